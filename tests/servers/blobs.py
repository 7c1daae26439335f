"""A stand-in for Azure Blob Storage on loopback: blobs are put and read, and each request's signature is checked.

    with blobs.service() as server: ...      # server.connection; the container is there

Azurite, which Azure's users test with, is only to be had from npm. What is checked of a signature is all of it, as
"Authorize with Shared Key" in Azure's documentation has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.servers.minded import minded

ACCOUNT = "devstoreaccount1"
KEY = base64.b64encode(b"the key of this account").decode()
_SIGNED = ("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date")
_CONDITIONS = ("If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range")


class Service(ThreadingHTTPServer):
    """Blobs by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.blobs: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{ACCOUNT}"

    @property
    def connection(self) -> str:
        """A connection string."""
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _signature(self) -> str:
        parts = urlsplit(self.path)
        said = [self.headers.get(name, "") for name in (*_SIGNED, *_CONDITIONS)]
        said[2] = "" if said[2] == "0" else said[2]
        own = sorted((name.lower(), value) for name, value in self.headers.items() if name.lower().startswith("x-ms-"))
        query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
        lines = [self.command, *said, *(f"{name}:{value}" for name, value in own), f"/{ACCOUNT}{parts.path}"]
        text = "\n".join([*lines, *(f"{name}:{value}" for name, value in query)])
        return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()

    def _known(self) -> bool:
        known = self.headers.get("Authorization") == f"SharedKey {ACCOUNT}:{self._signature()}"
        if not known:
            self._answer(403, b"<Error><Code>AuthenticationFailed</Code></Error>")
        return known

    def do_GET(self) -> None:
        if not self._known():
            return None
        with self.server.lock:
            found = self.server.blobs.get(unquote(urlsplit(self.path).path))
        if found is None:
            return self._answer(404, b"<Error><Code>BlobNotFound</Code></Error>", x_ms_error_code="BlobNotFound")
        return self._answer(200, found, ETag='"1"', Last_Modified="Thu, 26 Nov 2026 12:00:00 GMT")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._known():
            with self.server.lock:
                self.server.blobs[unquote(urlsplit(self.path).path)] = body
            self._answer(201, ETag='"1"', Last_Modified="Thu, 26 Nov 2026 12:00:00 GMT")


def service() -> AbstractContextManager[Service]:
    """A service for the length of a test."""
    return minded(Service())
