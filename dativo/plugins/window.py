"""A window onto the user's indexes, for a build that may reach nothing else: an HTTP server on loopback for its length.

The build's uv is pointed at it. What it asks for is fetched here: so the sandbox is granted one address, whichever
hosts an index keeps its files on, and the build never holds the credentials of an index (I13). Only pages of projects,
and files that a page has listed, can be had through it, by who knows its secret path.
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import urllib.error
from contextlib import suppress
from dataclasses import field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from dativo import errors
from dativo.dataclass import dataclass
from dativo.plugins import index as indexes
from dativo.plugins.index import File, Index


@dataclass
class Window:
    """Use it in a `with`: `address` is `127.0.0.1:PORT`, `variables` are what uv inside is given."""

    among: list[Index]
    address: str = ""
    files: list[File] = field(default_factory=list)
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _known: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"window": self}))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def variables(self) -> dict[str, str]:
        """The indexes as uv inside the sandbox sees them, in the same order."""
        urls = [f"http://{self.address}/{self._token}/{at}/simple" for at in range(len(self.among))]
        return {"UV_INDEX": " ".join(urls[:-1]), "UV_DEFAULT_INDEX": urls[-1] if urls else "", "NO_PROXY": "*"}

    def hidden(self, text: str) -> str:
        """A text of a build without the window's secret path."""
        return text.replace(f"http://{self.address}/{self._token}", "index:")

    def listed(self, at: int, name: str) -> dict[str, Any] | None:
        """A project's page on an index, with the window's own addresses."""
        found = indexes.page(self.among[at], name)
        if found is None:
            return None
        return {"meta": {"api-version": "1.0"}, "name": name, "files": [self._shown(one) for one in found]}

    def _shown(self, file: File) -> dict[str, Any]:
        with self._lock:
            number = self._known.setdefault(file.url, len(self.files))
            if number == len(self.files):
                self.files.append(file)
        return {
            "filename": file.name,
            "url": f"http://{self.address}/{self._token}/file/{number}/{file.name}",
            "hashes": {"sha256": file.sha256} if file.sha256 else {},
            "requires-python": file.requires_python,
            "yanked": file.yanked,
            "core-metadata": file.metadata,
        }

    def within(self, path: str) -> list[str] | None:
        """The parts of a path behind the secret; None for whoever does not know it."""
        token, _, rest = path.partition("?")[0].removeprefix("/").partition("/")
        return rest.split("/") if secrets.compare_digest(token.encode(), self._token.encode()) else None


def _address(file: File, name: str) -> str:
    return file.url + (".metadata" if name == f"{file.name}.metadata" else "")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a build that has died hangs up on us, which is no fault of ours to print a traceback for."""


class _Handler(BaseHTTPRequestHandler):
    window: Window
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A page or a file."""
        parts = self.window.within(self.path)
        try:
            match parts:
                case [number, "simple", name, ""] if number.isdigit() and int(number) < len(self.window.among):
                    self._page(int(number), name)
                case ["file", number, _] if number.isdigit() and int(number) < len(self.window.files):
                    self._file(self.window.files[int(number)], parts[2])
                case _:
                    self.send_error(404)
        except errors.DativoError as problem:
            self.send_error(502, problem.message)
        except urllib.error.HTTPError as problem:
            self.send_error(problem.code)
        except (OSError, HTTPException):
            with suppress(OSError):
                self.send_error(502)

    def do_HEAD(self) -> None:
        """How large a file is; no ranges of it are given."""
        parts = self.window.within(self.path)
        match parts:
            case ["file", number, name] if number.isdigit() and int(number) < len(self.window.files):
                file = self.window.files[int(number)]
                try:
                    with indexes.opened(file.index, _address(file, name), method="HEAD") as answer:
                        self.send_response(200)
                        self.send_header("Content-Length", answer.headers.get("Content-Length") or "0")
                        self.end_headers()
                except (OSError, HTTPException):
                    self.send_error(502)
            case _:
                self.send_error(404)

    def _page(self, at: int, name: str) -> None:
        found = self.window.listed(at, name)
        if found is None:
            self.send_error(404)
            return
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", indexes.JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, file: File, name: str) -> None:
        with indexes.opened(file.index, _address(file, name)) as answer:
            length = answer.headers.get("Content-Length")
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            if length:
                self.send_header("Content-Length", length)
            else:
                self.close_connection = True
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what matters is said by the build."""
