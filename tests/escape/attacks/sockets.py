"""UNIX sockets: the doors of container engines, agents, buses and loggers."""

from __future__ import annotations

import socket

from tests.escape.attacks.attack import Scene, attack


def ask(address: str, token: str) -> str:
    """Say something to a stream socket, and what it answers."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(2)
        one.connect(address)
        one.sendall(token.encode())
        return one.recv(200).decode()


@attack("ipc", "unix-engine", "talks to a container engine's socket", secret="engine")
def _(scene: Scene) -> str:
    return ask(scene["engine"], scene.token)


@attack("ipc", "unix-agent", "talks to the user's key agent", secret="agent")
def _(scene: Scene) -> str:
    return ask(scene["agent"], scene.token)


@attack("ipc", "unix-abstract", "talks to an abstract socket", secret="abstract")
def _(scene: Scene) -> str:
    return ask("\0" + scene["abstract"], scene.token)


@attack("ipc", "unix-datagram", "writes to the machine's log socket")
def _(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.sendto(scene.token.encode(), scene["log"])


@attack("ipc", "unix-abstract-datagram", "writes to an abstract datagram socket")
def _(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.sendto(scene.token.encode(), "\0" + scene["abstract_log"])


@attack("ipc", "unix-pair-sendto", "names an address on one end of a socket pair")
def _(scene: Scene) -> None:
    one, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(scene.token.encode(), scene["log"])


@attack("ipc", "unix-bind", "offers an abstract socket under a name that others look for")
def _(scene: Scene) -> object:
    one = socket.socket(socket.AF_UNIX)
    one.bind("\0" + scene.token)
    one.listen(1)
    return scene.hold({"abstract": scene.token, "keep": one.fileno()})
