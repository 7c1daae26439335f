"""The stand-ins for everything that a plugin could reach: services, hosts, sockets, a terminal, a busy home.

One process with one loop. What it hears goes to a file, in which the arena looks for the attacks' tokens.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import socket
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.escape.world import HOST, METADATA, NAME, resolvers

UDPLITE, SCTP = 136, 132
DNS = "answer dns"


@dataclass(frozen=True)
class Town:
    """A town and where it writes down what it hears."""

    pid: int
    log: Path

    def heard(self, token: str, patience: float = 0.0) -> bool:
        """Whether that came to any of its ears, each of which writes down what it is called."""
        until = time.monotonic() + patience
        while True:
            if token.encode() in self.log.read_bytes():
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)


def build(place: Path, home: Path, terminal: tuple[int, int], secrets: dict[str, str]) -> tuple[Town, dict[str, Any]]:
    """Open everything, start the town; what the attacks are told of it."""
    ears: list[tuple[socket.socket, str]] = []
    facts: dict[str, Any] = {"host": HOST, "name": NAME}

    def listen(
        name: str, address: Any, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0
    ):
        one = socket.socket(family, kind, protocol)
        one.setblocking(False)
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET:
                one.setsockopt(socket.IPPROTO_TCP, 23, 16)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen(64)
        ears.append((one, secrets.get(name, f"answer {name}")))
        if family in (socket.AF_INET, socket.AF_INET6):
            facts[name] = one.getsockname()[1]

    listen("tcp", ("127.0.0.1", 0))
    for name in ("tcp_host", "tcp_other", "tcp_address"):
        listen(name, (HOST, 0))
    listen("udp", ("0.0.0.0", 0), kind=socket.SOCK_DGRAM)
    listen("metadata", (METADATA, 80))
    for address in {HOST, *resolvers()}:
        listen("dns", (address, 53), kind=socket.SOCK_DGRAM)
    for name, family, protocol, kind, address in (
        ("tcp6", socket.AF_INET6, 0, socket.SOCK_STREAM, "::1"),
        ("udplite", socket.AF_INET, UDPLITE, socket.SOCK_DGRAM, "0.0.0.0"),
        ("sctp", socket.AF_INET, SCTP, socket.SOCK_STREAM, "127.0.0.1"),
    ):
        with contextlib.suppress(OSError):
            listen(name, (address, 0), family, kind, protocol)
    free = socket.socket()
    free.bind(("0.0.0.0", 0))
    facts["free"] = free.getsockname()[1]
    free.close()
    for name in ("engine", "agent"):
        facts[name] = str(home / f"{name}.sock")
        listen(name, facts[name], socket.AF_UNIX)
    facts["log"] = str(home / "log.sock")
    listen("log", facts["log"], socket.AF_UNIX, socket.SOCK_DGRAM)
    facts |= {"abstract": f"escape-{os.getpid()}", "abstract_log": f"escape-log-{os.getpid()}"}
    listen("abstract", "\0" + facts["abstract"], socket.AF_UNIX)
    listen("abstract_log", "\0" + facts["abstract_log"], socket.AF_UNIX, socket.SOCK_DGRAM)
    facts["fifo"] = str(home / "fifo")
    os.mkfifo(facts["fifo"])
    log = place / "heard"
    log.touch()
    if (pid := os.fork()) == 0:
        try:
            loop(ears, os.open(facts["fifo"], os.O_RDWR | os.O_NONBLOCK), terminal, log, home, secrets)
        finally:
            os._exit(1)
    for one, _ in ears:
        one.close()
    return Town(pid, log), facts


def loop(ears: Any, fifo: int, terminal: tuple[int, int], log: Path, home: Path, secrets: dict[str, str]) -> None:
    """Answer who speaks; in between keep the home, the network and the keyboard busy."""
    book = os.open(log, os.O_WRONLY | os.O_APPEND)
    with selectors.DefaultSelector() as selector:
        for one, answer in ears:
            selector.register(one, selectors.EVENT_READ, answer)
        selector.register(fifo, selectors.EVENT_READ, None)
        selector.register(terminal[0], selectors.EVENT_READ, None)
        os.set_blocking(terminal[0], False)
        speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        due = 0.0
        while True:
            for key, _ in selector.select(0.05):
                with contextlib.suppress(OSError):
                    serve(selector, key.fileobj, key.data, book)
            if time.monotonic() >= due:
                due = time.monotonic() + 0.2
                busy(home, speaker, terminal, secrets)


def serve(selector: selectors.BaseSelector, thing: Any, answer: Any, book: int) -> None:
    """One visitor, one datagram or one word."""
    if isinstance(thing, int):
        os.write(book, os.read(thing, 65536))
        return
    if thing.type == socket.SOCK_DGRAM:
        heard, asker = thing.recvfrom(65536)
        os.write(book, heard + b"\n")
        if answer == DNS:  # that there is no such name
            thing.sendto(heard[:2] + b"\x81\x83" + heard[4:], asker)
        return
    if answer is not None and thing.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        visitor, _ = thing.accept()
        visitor.setblocking(False)
        selector.register(visitor, selectors.EVENT_READ, answer)
        return
    heard = thing.recv(65536)
    if not heard:
        selector.unregister(thing)
        thing.close()
        return
    os.write(book, heard + b"\n")
    thing.send(answer.encode())


def busy(home: Path, speaker: socket.socket, terminal: tuple[int, int], secrets: dict[str, str]) -> None:
    """What goes on in a home anyway."""
    note = home / secrets["touched"]
    note.touch()
    note.unlink()
    with contextlib.suppress(OSError):
        speaker.sendto(secrets["chatter"].encode(), ("127.0.0.1", 9))
    waiting = fcntl.ioctl(terminal[1], termios.FIONREAD, bytes(4))
    if not any(waiting):
        os.write(terminal[0], secrets["typed"].encode() + b"\n")
