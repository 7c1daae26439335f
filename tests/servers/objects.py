"""A stand-in for an object service on loopback: S3's GET, PUT and list, with conditions decided in one step.

moto's server knows the same conditions; this one decides them under a lock, so that many writers can fight over an
object, and can lose the answer to a PUT after doing it (`lose_answers`).

    with objects.service() as url: ...      # an endpoint; any bucket is there
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.servers.minded import minded


class Service(ThreadingHTTPServer):
    """Objects by path."""

    daemon_threads = True

    def __init__(self, handler: type[Handler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.lock = threading.Lock()
        self.objects: dict[str, bytes] = {}
        self.lose_answers = 0
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Its requests."""

    server: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if "list-type" in parse_qs(parts.query):
            return self._list(parse_qs(parts.query))
        with self.server.lock:
            found = self.server.objects.get(unquote(parts.path))
        if found is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self.answer(200, found, ETag=_etag(found), Last_Modified="Thu, 26 Nov 2026 12:00:00 GMT")

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        bucket = urlsplit(self.path).path.rstrip("/")
        with self.server.lock:
            keys = {path.removeprefix(f"{bucket}/"): len(one) for path, one in sorted(self.server.objects.items())}
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-26T12:00:00.000Z</LastModified>"
            f"<Size>{size}</Size></Contents>"
            for key, size in keys.items()
            if key.startswith(prefix) and "/" not in key.removeprefix(prefix)
        )
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = unquote(urlsplit(self.path).path)
        with self.server.lock:
            there = self.server.objects.get(path)
            wanted = self.headers.get("If-Match")
            taken = self.headers.get("If-None-Match") == "*" and there is not None
            if taken or (wanted is not None and (there is None or _etag(there) != wanted)):
                self.server.refused += 1
                return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            self.server.objects[path] = body
            lost = self.server.lose_answers > 0
            self.server.lose_answers -= int(lost)
        if lost:
            return self.answer(503, b"<Error><Code>SlowDown</Code></Error>")
        return self.answer(200, ETag=_etag(body))


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def service() -> AbstractContextManager[Service]:
    """A service for the length of a test."""
    return minded(Service())
