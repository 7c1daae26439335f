"""A site on loopback that serves tables as a paged JSON API, and whatever else is put on it.

`/TABLE?page=N&limit=M` answers `{"data": [rows…], "next": N+1 or null}`; the first request for page 2 fails with a 500,
as services do now and then. `texts` are further paths with their content.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.minded import minded

LIMIT = 500


class Site(ThreadingHTTPServer):
    """The tables and texts of one test."""

    daemon_threads = True

    def __init__(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tables, self.texts = tables, dict[str, tuple[str, str]]()
        self.failed = False
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stumbles(self) -> bool:
        """Whether this is the request that fails."""
        with self.lock:
            first, self.failed = not self.failed, True
        return first


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        name = parts.path.strip("/")
        if parts.path in self.server.texts:
            kind, text = self.server.texts[parts.path]
            return self._answer(200, text, kind)
        if name not in self.server.tables:
            return self._answer(404, "{}", "application/json")
        page, limit = int(query.get("page", "1")), int(query.get("limit", LIMIT))
        if page == 2 and self.server.stumbles():
            return self._answer(500, "{}", "application/json")
        rows = self.server.tables[name]
        found, more = rows[(page - 1) * limit : page * limit], page * limit < len(rows)
        document = {"data": found, "next": page + 1 if more else None}
        return self._answer(200, json.dumps(document, default=float), "application/json")

    def _answer(self, code: int, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def site(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> AbstractContextManager[Site]:
    """A site for as long as the block lasts."""
    return minded(Site(tables))
