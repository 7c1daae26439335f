"""A Docker or Podman engine, spoken to over its unix socket, and a container of it as if it were a child process.

Run as a program (`SPEC NAME=FILE …`) it starts one container with these files in it, passes its stdout and stderr on,
and its own stdin to one that reads, and leaves with its exit code. The data plane is given it as text, for a child of a
plan: so it uses the standard library alone. Nothing of this machine is mounted: files go in as an archive, before the
container starts. The API is Docker's, version 1.40, which Podman speaks too.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import sys
import tarfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

API = "/v1.40"
FOLDER = "dativo"
"""Where the files are in the container."""
PLACES = ("/var/run/docker.sock", "/run/podman/podman.sock")
GONE = (404, 409, 304)
OWNER = "dativo.owner"
"""The label that says which process takes a container away: `BOOT PID_NAMESPACE PID BEGAN`."""


class Fault(Exception):
    """The engine said no, or did not answer."""


def find(environ: Mapping[str, str] = os.environ) -> str | None:
    """The socket of this machine's engine: DOCKER_HOST, else Docker's, else Podman's; None if there is none."""
    host = environ.get("DOCKER_HOST", "")
    if host:
        return host.removeprefix("unix://") if host.startswith("unix:///") else None
    own = environ.get("XDG_RUNTIME_DIR")
    places = [*PLACES, *([f"{own}/podman/podman.sock"] if own else [])]
    return next((place for place in places if Path(place).is_socket()), None)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class Engine:
    """One engine."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(self, method: str, path: str, body: Any = None, *, fine: Sequence[int] = ()) -> bytes:
        """The body of an answer that is a success, or `fine`. Raises Fault with what the engine says."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        connection = _Connection(self.path)
        try:
            connection.request(method, API + path, raw, {"Content-Type": kind} if raw is not None else {})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            raise Fault(f"the engine at {self.path} does not answer: {problem}") from problem
        finally:
            connection.close()
        if answer.status >= 300 and answer.status not in fine:
            raise Fault(_said(content) or f"the engine answered {answer.status}")
        return content

    def pull(self, image: str) -> None:
        """Fetch an image. The engine answers 200 before it knows whether it can: its last lines say how it went."""
        name, _, tag = image.partition("@") if "@" in image else image.rpartition(":")
        told = self.ask("POST", f"/images/create?fromImage={quote(name, safe='')}&tag={quote(tag, safe='')}")
        for line in told.splitlines():
            wrong = json.loads(line).get("error") if line.strip() else None
            if wrong:
                raise Fault(str(wrong))

    def digest(self, image: str) -> str:
        """The image's own hash, `sha256:…`."""
        found = json.loads(self.ask("GET", f"/images/{quote(image, safe='')}/json"))
        return str(found["Id"])

    def attach(self, container: str, *, stdin: bool = False) -> tuple[socket.socket, io.BufferedReader]:
        """The container's input, and its output from now on, in frames."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.path)
        ends = f"stream=1&stdout=1&stderr=1{'&stdin=1' if stdin else ''}"
        line = f"POST {API}/containers/{container}/attach?{ends} HTTP/1.1\r\n"
        connection.sendall(f"{line}Host: localhost\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())
        stream = connection.makefile("rb")
        status = stream.readline().split()
        while stream.readline().strip():
            pass
        if len(status) < 2 or status[1] not in (b"101", b"200"):
            why = _said(stream.read1(1 << 16).strip()) or b" ".join(status[1:]).decode("ascii", "replace")
            raise Fault(f"the engine does not pass the container's output on: {why}")
        return connection, stream


def _said(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def packed(files: Mapping[str, bytes]) -> bytes:
    """The archive with the files, readable for whoever the container runs as."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        folder = tarfile.TarInfo(FOLDER)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name, content in files.items():
            about = tarfile.TarInfo(f"{FOLDER}/{name}.json")
            about.size, about.mode = len(content), 0o444
            archive.addfile(about, io.BytesIO(content))
    return made.getvalue()


def owner(pid: int) -> str:
    """A process as the label names it; empty when it has ended, even if nobody has asked how."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        about = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        state, *rest = about[about.rindex(")") + 2 :].split()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{boot} {namespace} {pid} {rest[18]}" if state not in "ZX" else ""


def over(label: str) -> bool:
    """Whether the process of a label has ended; False of one that cannot be seen from here."""
    boot, namespace, pid = (*label.split(), "", "", "")[:3]
    here = owner(os.getpid()).split()
    if not pid.isdigit() or boot not in here:
        return True
    return namespace == here[1] and owner(int(pid)) != label


class Container:
    """One container, from its creation to its removal."""

    def __init__(self, engine: Engine, spec: Mapping[str, Any]) -> None:
        labels = {**spec["create"].get("Labels", {}), OWNER: owner(os.getpid())}
        self._engine, self._spec, self._id = engine, spec, ""
        self._create = {**spec["create"], "Labels": labels}

    def run(self, files: Mapping[str, bytes]) -> int:
        """Start it, pass its output on, and return its exit code. It is removed whatever happens."""
        for leftover in self._leftovers():
            self._engine.ask("DELETE", f"/containers/{leftover}?force=1&v=1", fine=GONE)
        self._id = str(json.loads(self._engine.ask("POST", "/containers/create", self._create))["Id"])
        try:
            self._engine.ask("PUT", f"/containers/{self._id}/archive?path=/", packed(files))
            reads = bool(self._create.get("OpenStdin"))
            connection, stream = self._engine.attach(self._id, stdin=reads)
            with connection, stream:
                self._engine.ask("POST", f"/containers/{self._id}/start")
                if reads:  # the program's end does not wait for input that a container which has ended did not read
                    threading.Thread(target=_pass_in, args=(connection,), daemon=True).start()
                _pass_on(stream)
            told = json.loads(self._engine.ask("POST", f"/containers/{self._id}/wait"))
            about = json.loads(self._engine.ask("GET", f"/containers/{self._id}/json"))
            if about.get("State", {}).get("OOMKilled"):
                print("the container was killed: its memory is used up (limits.memory)", file=sys.stderr)
            return int(told["StatusCode"])
        finally:
            self.remove()

    def remove(self) -> None:
        """Kill it if it runs, and take it away with all that it wrote."""
        if self._id:
            self._engine.ask("DELETE", f"/containers/{self._id}?force=1&v=1", fine=GONE)

    def _leftovers(self) -> list[str]:
        """Containers of this job and plugin whose own process was killed and could not take them away. A job of the
        same name in another project, another tap of this run and another trial of its settings are left alone."""
        labels = [f"{key}={value}" for key, value in self._spec.get("alone", {}).items()]
        if not labels:
            return []
        wanted = quote(json.dumps({"label": labels}))
        found = json.loads(self._engine.ask("GET", f"/containers/json?all=1&filters={wanted}"))
        return [str(one["Id"]) for one in found if over((one.get("Labels") or {}).get(OWNER, ""))]


def _pass_in(connection: socket.socket) -> None:
    """What comes on stdin, and then its end."""
    try:
        while part := os.read(0, 1 << 16):
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the container has ended: how, its exit code tells


def _pass_on(stream: io.BufferedReader) -> None:
    """Frames: which stream, three empty bytes, how many bytes, the bytes."""
    while head := stream.read(8):
        size = int.from_bytes(head[4:8], "big")
        target = 2 if head[0] == 2 else 1
        while size:
            part = stream.read(min(size, 1 << 16))
            if not part:
                return
            size -= len(part)
            view = memoryview(part)
            while view:
                view = view[os.write(target, view) :]


def main(words: Sequence[str]) -> int:
    """`SPEC NAME=FILE …`"""
    spec = json.loads(Path(words[0]).read_bytes())
    files = {name: Path(path).read_bytes() for name, _, path in (word.partition("=") for word in words[1:])}
    container = Container(Engine(spec["socket"]), spec)

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    try:
        return container.run(files)
    except Fault as fault:
        print(f"error[env.engine]  {fault}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
