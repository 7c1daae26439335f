"""A JSON API on loopback for a declarative manifest: `/boats?since=TIME&page=N`, 100 a page, behind a bearer token."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.minded import minded

PAGE = 100
KEY = "loopback-key-1"
MANIFEST = """
version: 4.6.2
type: DeclarativeSource
check: {type: CheckStream, stream_names: [boats]}
streams:
  - type: DeclarativeStream
    name: boats
    primary_key: [id]
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "2026-01-01T00:00:00Z"
      end_datetime: "2027-01-01T00:00:00Z"
      step: P1M
      cursor_granularity: PT1S
      start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: since}
      end_time_option: {type: RequestOption, inject_into: request_parameter, field_name: until}
    retriever:
      type: SimpleRetriever
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [items]}}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
        pagination_strategy: {type: PageIncrement, page_size: 100, start_from_page: 1, inject_on_first_request: true}
      requester:
        type: HttpRequester
        url_base: "{{ config['base'] }}"
        path: /boats
        http_method: GET
        authenticator: {type: BearerAuthenticator, api_token: "{{ config['api_key'] }}"}
    schema_loader:
      type: InlineSchemaLoader
      schema:
        type: object
        properties:
          id: {type: integer}
          name: {type: [string, "null"]}
          updated_at: {type: string, format: date-time}
spec:
  type: Spec
  connection_specification:
    type: object
    title: Boats
    required: [base, api_key]
    properties:
      base: {type: string}
      api_key: {type: string, airbyte_secret: true}
"""


class Harbour(ThreadingHTTPServer):
    """Boats, twenty a day from the first of January on."""

    daemon_threads = True

    def __init__(self, boats: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.boats = [_boat(number) for number in range(boats)]
        self.lock = threading.Lock()
        self.asked: list[str] = []
        self.stuck_after: int | None = None
        """From so many requests on no answer comes: whoever asks can be killed meanwhile."""
        self.stuck = threading.Event()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def arrive(self, boats: int) -> None:
        """More boats, later than all."""
        self.boats += [_boat(len(self.boats) + number) for number in range(boats)]


def _boat(number: int) -> dict[str, Any]:
    month, day = divmod(number // 20, 28)
    at = f"2026-{month + 1:02d}-{day + 1:02d}T{number % 20:02d}:00:00Z"
    return {"id": number, "name": f"Boat {number}", "updated_at": at}


class _Handler(BaseHTTPRequestHandler):
    server: Harbour
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        with self.server.lock:
            self.server.asked.append(query.get("since", ""))
            stuck = self.server.stuck_after is not None and len(self.server.asked) > self.server.stuck_after
        if stuck:
            self.server.stuck.set()
            self.server.released.wait()
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self._answer(401, {"message": "no such key"})
        since, until, page = query.get("since", ""), query.get("until", "3"), int(query.get("page", "1"))
        found = [boat for boat in self.server.boats if since <= boat["updated_at"] <= until]
        return self._answer(200, {"items": found[(page - 1) * PAGE : page * PAGE]})

    def _answer(self, code: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def harbour(boats: int) -> AbstractContextManager[Harbour]:
    """A harbour for as long as the block lasts."""
    return minded(Harbour(boats))
