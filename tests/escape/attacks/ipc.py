"""What System V, POSIX and the key retention service share between the programs of a user."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from pathlib import Path

from tests.escape.attacks.attack import Scene, attack
from tests.escape.attacks.calls import call

USER_KEYRING, SESSION_KEYRING = -4, -3
SEARCH, READ = 10, 11


@attack("ipc", "sysv-shm", "reads a shared memory segment", secret="sysv-shm")
def _(scene: Scene) -> str:
    identity = call("shmget", scene["ipc_key"], 0, 0)
    address = call("shmat", identity, None, 0o10000)
    return ctypes.string_at(address, 64).decode("latin-1")


@attack("ipc", "sysv-shm-remove", "removes a shared memory segment")
def _(scene: Scene) -> None:
    call("shmctl", call("shmget", scene["ipc_key"] + 1, 0, 0), 0, None)


@attack("ipc", "sysv-sem", "takes a semaphore that others wait for")
def _(scene: Scene) -> None:
    identity = call("semget", scene["ipc_key"], 1, 0)
    call("semop", identity, ctypes.c_char_p(struct.pack("=Hhh", 0, -1, 0o4000)), 1)


@attack("ipc", "sysv-msg", "takes a message out of a queue", secret="sysv-msg")
def _(scene: Scene) -> str:
    buffer = ctypes.create_string_buffer(256)
    call("msgrcv", call("msgget", scene["ipc_key"], 0), buffer, 200, 0, 0o4000)
    return buffer.raw[8:].decode("latin-1")


@attack("ipc", "posix-mq", "takes a message out of a POSIX queue", secret="posix-mq", needs="mqueue")
def _(scene: Scene) -> str:
    fd = call("mq_open", scene["mq"].encode(), os.O_RDONLY | os.O_NONBLOCK, 0, None)
    buffer = ctypes.create_string_buffer(8192)
    size = call("mq_timedreceive", fd, buffer, 8192, None, None)
    return buffer.raw[:size].decode("latin-1")


@attack("ipc", "shm-read", "reads another program's object in /dev/shm", secret="posix-shm")
def _(scene: Scene) -> str:
    fd = os.open(f"/dev/shm/{scene['shm']}", os.O_RDONLY)
    with mmap.mmap(fd, 64, prot=mmap.PROT_READ) as mapped:
        return mapped[:64].decode("latin-1")


@attack("ipc", "shm-write", "changes another program's object in /dev/shm")
def _(scene: Scene) -> None:
    fd = os.open(f"/dev/shm/{scene['shm']}", os.O_RDWR)
    with mmap.mmap(fd, 256) as mapped:
        mapped[128 : 128 + len(scene.token)] = scene.token.encode()


@attack("ipc", "key-user", "reads a key in the user's keyring", secret="key-user", needs="keys")
def _(scene: Scene) -> str:
    return key(USER_KEYRING, scene["key_user"])


@attack("ipc", "key-session", "reads a key in the session's keyring", secret="key-session", needs="keys")
def _(scene: Scene) -> str:
    return key(SESSION_KEYRING, scene["key_session"])


@attack("ipc", "key-request", "asks for a key by its name", secret="key-session", needs="keys")
def _(scene: Scene) -> str:
    return read_key(call("request_key", b"user", scene["key_session"].encode(), None, 0))


@attack("ipc", "proc-keys", "lists the keys that the user has", secret="key-name", needs="keys")
def _(scene: Scene) -> str:
    return Path("/proc/keys").read_text()


@attack("ipc", "key-plant", "puts a key into the session's keyring", needs="keys")
def _(scene: Scene) -> None:
    call("add_key", b"user", scene.token.encode(), b"planted", 7, SESSION_KEYRING)


def key(ring: int, name: str) -> str:
    """The content of the key of that name in a keyring."""
    return read_key(call("keyctl", SEARCH, ring, b"user", name.encode(), 0))


def read_key(identity: int) -> str:
    """The content of a key."""
    buffer = ctypes.create_string_buffer(256)
    size = call("keyctl", READ, identity, buffer, 256)
    return buffer.raw[:size].decode("latin-1")
