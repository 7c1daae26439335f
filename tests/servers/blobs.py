"""A stand-in for Azure Blob Storage on loopback: blobs are put and read, and each request's signature is checked.

    with blobs.service() as server: ...      # server.connection; the container is there

Azurite, which Azure's users test with, is only to be had from npm. What is checked of a signature is all of it, as
"Authorize with Shared Key" in Azure's documentation has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import AbstractContextManager
from urllib.parse import parse_qsl, urlsplit

from tests.servers import objects
from tests.servers.minded import minded

ACCOUNT = "devstoreaccount1"
KEY = base64.b64encode(b"the key of this account").decode()
_SIGNED = ("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date")
_CONDITIONS = ("If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range")


class Service(objects.Service):
    """Blobs by path."""

    def __init__(self) -> None:
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        return f"{super().url}/{ACCOUNT}"

    @property
    def connection(self) -> str:
        """A connection string."""
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"


class _Handler(objects.Handler):
    def _signature(self) -> str:
        parts = urlsplit(self.path)
        said = [self.headers.get(name, "") for name in (*_SIGNED, *_CONDITIONS)]
        said[2] = "" if said[2] == "0" else said[2]
        own = sorted((name.lower(), value) for name, value in self.headers.items() if name.lower().startswith("x-ms-"))
        query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
        lines = [self.command, *said, *(f"{name}:{value}" for name, value in own), f"/{ACCOUNT}{parts.path}"]
        text = "\n".join([*lines, *(f"{name}:{value}" for name, value in query)])
        return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        if self.headers.get("Authorization") != f"SharedKey {ACCOUNT}:{self._signature()}":
            code, body, headers = 403, b"<Error><Code>AuthenticationFailed</Code></Error>", {}
        super().answer(code, body, **headers)


def service() -> AbstractContextManager[Service]:
    """A service for the length of a test."""
    return minded(Service())
