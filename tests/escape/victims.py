"""The scene of one arena: a home with secrets, programs that keep them, and what they share."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets as randomness
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.escape import town
from tests.escape.attacks.attack import Attack
from tests.escape.attacks.calls import call

SECRETS = [
    "config", "listed", "cwd-file", "touched", "environ", "argv", "comm", "fd", "memory", "mapped", "cwd", "typed",
    "sysv-shm", "sysv-msg", "posix-mq", "posix-shm", "key-user", "key-session", "key-name", "engine", "agent",
    "abstract", "metadata", "chatter", "sibling-env", "sibling-fd", "sibling-file", "inherited", "variable",
]  # fmt: skip


def canary() -> str:
    """A secret that nobody can guess."""
    return "CANARY" + randomness.token_hex(8)


@dataclass
class Scene:
    """Everything that is there, and what only the arena knows about it."""

    place: Path
    home: Path
    secrets: dict[str, str]
    facts: dict[str, Any]
    town: town.Town
    keeper: subprocess.Popen[bytes]
    terminal: int
    terminal_path: str
    echoes: int = 0
    ipc: dict[str, int] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def target(self, attack: Attack) -> dict[str, Any]:
        """What the attack is told besides the facts; its own victims are made now."""
        told: dict[str, Any] = {"id": attack.id, "token": self.tokens[attack.id]}
        if attack.id in self.files:
            told["file"] = str(self.files[attack.id])
        if "process" in attack.wants:
            self.processes[attack.id] = subprocess.Popen(["/bin/sleep", "900"], process_group=0)
            told["pid"] = self.processes[attack.id].pid
        return told


@contextlib.contextmanager
def scene(place: Path, attacks: list[Attack]) -> Iterator[Scene]:
    """Set it up; what is outside the world's own mounts is cleared away at the end."""
    home, terminal = place / "home", os.openpty()
    secrets = {name: canary() for name in SECRETS} | {f"file:{one.id}": canary() for one in attacks}
    secrets["comm"], secrets["address"] = secrets["comm"][:15], "10.66.0.7"
    folder = home / "data"
    folder.mkdir(0o700)
    environment = place / "arena" / "env"
    site = environment / "lib" / "site-packages"
    site.mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (home / ".bashrc").write_text("# mine\n")
    (home / secrets["listed"]).touch()
    (home / "mountpoint").mkdir()
    (home / "config.json").write_text(json.dumps({"password": secrets["config"]}))
    os.chmod(home / "config.json", 0o600)
    os.chmod(home, 0o700)
    people, facts = town.build(place / "arena", home, terminal, secrets)
    keeper, told = keep(home, secrets)
    facts |= {
        "home": str(home), "env": str(environment), "site": str(site), "config": str(home / "config.json"),
        "mountpoint": str(home / "mountpoint"), "tty": os.ttyname(terminal[1]), "setuid": str(place / "setuid-sleep"),
        "keeper": keeper.pid, "keeper_fd": told["fd"], "keeper_address": told["address"], "keeper_page": told["page"],
        "ping": "127.66.0.1", "raw_ping": "127.66.0.2", "new_address": "10.66.9.9", "handles": {},
    }  # fmt: skip
    made = Scene(place, home, secrets, facts, people, keeper, terminal[1], facts["tty"])
    for attack in attacks:
        made.tokens[attack.id] = randomness.token_hex(8)
        if "file" in attack.wants or "env-file" in attack.wants:
            folder_of = folder if "file" in attack.wants else site
            made.files[attack.id] = file = folder_of / f"{attack.id}.json"
            file.write_text(secrets[f"file:{attack.id}"] + " " * randomness.randbelow(4096) + "\n")
            os.chmod(file, 0o600 if "file" in attack.wants else 0o644)
            facts["handles"][file.name] = handle(file)
    share(made)
    try:
        yield made
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/dev/shm/{facts['shm']}")
        for token in made.tokens.values():
            for public in ("/tmp", "/dev/shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{public}/{token}")


def keep(home: Path, secrets: dict[str, str]) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    """Start the keeper of secrets; where it keeps them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.escape.keeper", "--password", secrets["argv"]],
        env={**os.environ, "PASSWORD": secrets["environ"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps({**secrets, "home": str(home)}).encode() + b"\n")
    process.stdin.flush()
    return process, json.loads(process.stdout.readline())


def handle(file: Path) -> tuple[int, str]:
    """The handle by which the kernel knows a file."""
    raw = ctypes.create_string_buffer(8 + 128)
    ctypes.c_uint.from_buffer(raw).value = 128
    mount = ctypes.c_int()
    try:
        call("name_to_handle_at", -100, str(file).encode(), raw, ctypes.byref(mount), 0)
    except OSError:
        return 0, ""
    size = ctypes.c_uint.from_buffer(raw, 0).value
    return ctypes.c_int.from_buffer(raw, 4).value, raw.raw[8 : 8 + size].hex()


def share(scene: Scene) -> None:
    """Shared memory, queues, semaphores and keys."""
    key = randomness.randbelow(1 << 30) * 2 + 2
    scene.facts["ipc_key"] = key
    create = 0o1000 | 0o600
    ipc = scene.ipc
    ipc["shm"] = call("shmget", key, 4096, create)
    address = call("shmat", ipc["shm"], None, 0)
    ctypes.memmove(address, scene.secrets["sysv-shm"].encode(), 22)
    ipc["shm-remove"] = call("shmget", key + 1, 4096, create)
    ipc["sem"] = call("semget", key, 1, create)
    call("semctl", ipc["sem"], 0, 16, 1)
    ipc["msg"] = call("msgget", key, create)
    text = scene.secrets["sysv-msg"].encode()
    call("msgsnd", ipc["msg"], ctypes.c_char_p(b"\1" + bytes(7) + text), len(text), 0)
    scene.facts["shm"] = f"escape-{randomness.token_hex(8)}"
    Path("/dev/shm", scene.facts["shm"]).write_bytes(scene.secrets["posix-shm"].encode().ljust(4096, b"\0"))
    scene.facts["mq"] = f"escape-{os.getpid()}"
    with contextlib.suppress(OSError):
        ipc["mq"] = call("mq_open", scene.facts["mq"].encode(), os.O_RDWR | os.O_CREAT, 0o600, None)
        text = scene.secrets["posix-mq"].encode()
        call("mq_timedsend", ipc["mq"], text, len(text), 0, None)
    with contextlib.suppress(OSError):
        call("keyctl", 1, None)  # a session keyring of our own, which children share
        scene.facts |= {"key_user": f"escape-{randomness.token_hex(8)}", "key_session": scene.secrets["key-name"]}
        for name, ring in (("key_user", -4), ("key_session", -3)):
            secret = scene.secrets[name.replace("_", "-")].encode()
            ipc[name] = call("add_key", b"user", scene.facts[name].encode(), secret, len(secret), ring)
        call("keyctl", 8, -4, -3)  # the user's keyring is possessed through the session's
