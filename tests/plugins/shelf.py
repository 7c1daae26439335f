"""A package index on loopback (PEP 503), with or without a password, and packages to put into it."""

from __future__ import annotations

import base64
import hashlib
import html
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.plugins import tiny


class Shelf:
    """An index. `url` is what uv is given; `seen` are the paths that were asked for with the right credentials."""

    def __init__(self, folder: Path, credentials: tuple[str, str] | None = None) -> None:
        self.folder, self.credentials = folder, credentials
        self.seen: list[str] = []
        self.bounds: dict[str, str] = {}
        """The Pythons that the files of a project are said to be for."""
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"shelf": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/simple"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wheel(self, folder: Path) -> Path:
        """Put a tiny package's wheel onto it."""
        program = "import sys, backend; print(backend.build_wheel(sys.argv[1]))"
        command = [sys.executable, "-B", "-c", program, str(self.folder)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return self.folder / done.stdout.strip().splitlines()[-1]

    def sdist(self, folder: Path, name: str, version: str = "1.0") -> Path:
        """Put a tiny package's source distribution onto it."""
        stem = f"{name.replace('-', '_')}-{version}"
        path = self.folder / f"{stem}.tar.gz"
        (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, stem, filter=lambda one: None if "__pycache__" in one.name else one)
        return path

    def page(self, name: str) -> str | None:
        files = [path for path in sorted(self.folder.iterdir()) if _project(path.name) == name]
        bound = f' data-requires-python="{html.escape(self.bounds[name])}"' if name in self.bounds else ""
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        rows = [f'<a href="/files/{file}#sha256={digest}"{bound}>{file}</a>' for file, digest in hashes.items()]
        return f"<!DOCTYPE html><html><body>{''.join(rows)}</body></html>" if files else None


def _project(file: str) -> str:
    return file.partition("-")[0].lower().replace("_", "-").replace(".", "-")


class _Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.shelf.credentials is not None:
            told = base64.b64encode(":".join(self.shelf.credentials).encode()).decode()
            if self.headers.get("Authorization") != f"Basic {told}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="shelf"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.shelf.seen.append(self.path)
        kind, _, name = self.path.strip("/").partition("/")
        if kind == "simple" and (page := self.shelf.page(name)) is not None:
            self._answer(page.encode(), "text/html")
        elif kind == "files" and (self.shelf.folder / name).is_file():
            self._answer((self.shelf.folder / name).read_bytes(), "application/octet-stream")
        else:
            self.send_error(404)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def plugin(folder: Path, name: str, *, attack: str = "", **more: object) -> Path:
    """A tiny package whose build first runs `attack`, in Python."""
    made = tiny.make(folder, name, **more)
    backend = (made / "backend.py").read_text()
    (made / "backend.py").write_text(
        backend.replace("    project = tomllib", f"    {attack or 'pass'}\n    project = tomllib")
    )
    return made
