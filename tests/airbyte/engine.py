"""A stand-in for a Docker engine on a unix socket: its images are programs here, its containers real processes.

What is checked of a container is what was asked of the engine (`created`), for nothing here confines.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import socketserver
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Made:
    """A container."""

    spec: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    started: threading.Event = field(default_factory=threading.Event)


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The engine: `images` by name, and the program that each is."""

    block_on_close = True

    def __init__(self, place: Path) -> None:
        self.path = place / "engine.sock"
        super().__init__(str(self.path), _Handler)
        self.place = place
        self.images: dict[str, Path] = {}
        self.built: set[str] = set()
        """Those that no registry has: they were built here."""
        self.containers: dict[str, Made] = {}
        self.created: list[dict[str, Any]] = []
        self.environment = dict(os.environ)
        """Of its programs: pytest may change its own while a thread starts one."""
        self.numbers = itertools.count()
        """Of the containers: a tap's and a target's are asked for at once."""
        self.removed: list[str] = []

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)

    def digest(self, name: str) -> str:
        """An image's hash: of its name and its program."""
        return "sha256:" + hashlib.sha256(name.encode() + self.images[name].read_bytes()).hexdigest()

    def program(self, image: str) -> Path | None:
        """What an image, by its hash, runs."""
        return next((path for name, path in self.images.items() if self.digest(name) == image), None)


class _Handler(BaseHTTPRequestHandler):
    server: Engine
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, document: Any = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:  # who is told that there is none may be gone
            self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _words(self) -> tuple[list[str], dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return [unquote(word) for word in parts.path.split("/")[2:]], query

    def do_GET(self) -> None:
        match self._words():
            case ["images", name, "json"], _:
                known = name in self.server.images
                self._answer(
                    200 if known else 404, {"Id": self.server.digest(name)} if known else {"message": "no such image"}
                )
            case ["containers", "json"], query:
                wanted = dict(label.split("=", 1) for label in json.loads(query["filters"])["label"])
                found = [
                    {"Id": key, "Labels": made.spec.get("Labels", {})}
                    for key, made in self.server.containers.items()
                    if wanted.items() <= made.spec.get("Labels", {}).items()
                ]
                self._answer(200, found)
            case ["containers", _, "json"], _:
                self._answer(200, {"State": {"OOMKilled": False}})
            case _:
                self._answer(404, {"message": self.path})

    def do_POST(self) -> None:
        body = self._body()
        match self._words():
            case ["images", "create"], query:
                name = f"{query['fromImage']}:{query['tag']}"
                pulled = name in self.server.images and name not in self.server.built
                wrong = [] if pulled else [{"error": f"pull access denied for {query['fromImage']}"}]
                text = "".join(json.dumps(line) + "\n" for line in [{"status": "Pulling"}, *wrong]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            case ["containers", "create"], _:
                self._create(json.loads(body))
            case ["containers", key, "attach"], _:
                self._attach(self.server.containers[key])
            case ["containers", key, "start"], _:
                self._start(self.server.containers[key])
                self._answer(204)
            case ["containers", key, "wait"], _:
                process = self.server.containers[key].process
                assert process is not None
                code = process.wait()
                self._answer(200, {"StatusCode": code if code >= 0 else 128 - code})
            case _:
                self._answer(404, {"message": self.path})

    def do_PUT(self) -> None:
        body = self._body()
        words, _ = self._words()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            archive.extractall(self.server.containers[words[1]].folder, filter="data")
        self._answer(200)

    def do_DELETE(self) -> None:
        words, _ = self._words()
        made = self.server.containers.pop(words[1], None)
        if made is not None:
            self.server.removed.append(words[1])
            _end(made)
        self._answer(204 if made else 404, None if made else {"message": "no such container"})

    def _create(self, spec: dict[str, Any]) -> None:
        if self.server.program(spec["Image"]) is None:
            return self._answer(404, {"message": f"No such image: {spec['Image']}"})
        key = f"c{next(self.server.numbers)}"
        self.server.containers[key] = Made(spec, Path(tempfile.mkdtemp(dir=self.server.place)))
        self.server.created.append(spec)
        return self._answer(201, {"Id": key})

    def _start(self, made: Made) -> None:
        program = self.server.program(made.spec["Image"])
        words = [word.replace("/dativo/", f"{made.folder}/dativo/") for word in made.spec["Cmd"]]
        made.process = subprocess.Popen(
            [sys.executable, str(program), *words],
            stdin=subprocess.PIPE if made.spec.get("OpenStdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.server.environment,
        )
        made.started.set()

    def _attach(self, made: Made) -> None:
        self.wfile.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        self.close_connection = True
        made.started.wait()
        if made.process is None:
            return  # it was taken away before anybody started it
        lock = threading.Lock()
        if made.process.stdin is not None:
            assert "stdin=1" in self.path
            threading.Thread(target=self._input, args=(made.process.stdin,), daemon=True).start()
        streams = ((1, made.process.stdout), (2, made.process.stderr))
        threads = [threading.Thread(target=self._frames, args=(number, stream, lock)) for number, stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _input(self, stream: Any) -> None:
        """What the client sends behind its request, and then its end."""
        with contextlib.suppress(OSError), stream:
            while part := self.rfile.read1(1 << 15):
                stream.write(part)
                stream.flush()

    def _frames(self, number: int, stream: Any, lock: threading.Lock) -> None:
        with stream:
            while part := stream.read1(1 << 15):
                with lock:
                    try:
                        self.wfile.write(bytes([number, 0, 0, 0]) + len(part).to_bytes(4, "big") + part)
                    except OSError:
                        return


def _end(made: Made) -> None:
    made.started.set()  # whoever waits for its output need not wait any more
    if made.process is not None:
        made.process.kill()
        made.process.wait()


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine without images, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, Engine(Path(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for made in server.containers.values():
                _end(made)
