"""Registries on loopback: a Hub as the Hub serves itself, a server that does what it likes, an index of packages."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dativo.cli import main
from tests.workspace import Answer, Workspace

Page = tuple[int, dict[str, str], bytes]


class Site:
    """What a server answers, by path; `asked` is what it was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.url = ""

    def json(self, path: str, document: Any, code: int = 200) -> None:
        """Serve a document."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.pages[path] = (code, {"Content-Type": "application/json"}, raw)

    def answer(self, path: str) -> Page:
        self.asked.append(path)
        return self.pages.get(path, (404, {}, b"not here"))


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, headers, body = site.answer(self.path)
            self.send_response(code)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                return  # the reader had enough

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as made:
        yield made


class Here(Workspace):
    """A project in which commands run in this process: many short ones, without a start for each."""

    said: Callable[[], Any]

    def dativo(self, *words: str | Path, job: str | None = None) -> Answer:
        """Run `dativo WORDS`."""
        self.said()
        code = main.main([str(word) for word in words])
        stdout, stderr = self.said()
        return Answer(" ".join(["dativo", *map(str, words)]), code, stdout, stderr)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    made = Here(tmp_path / "project", tmp_path / "home")
    made.said = capsys.readouterr
    monkeypatch.setenv("DATIVO_HOME", str(made.home))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def processes(tmp_path: Path) -> Workspace:
    """A project in which each command is a process, as a user's are."""
    return Workspace(tmp_path / "project", tmp_path / "home")


API = "/meltano/api/v1"


def definition(name: str, variant: str, **more: Any) -> dict[str, Any]:
    """A definition as the Hub serves them: its keys, kinds of settings and groups."""
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "variant": variant,
        "label": "Orchard",
        "description": "Apples, counted",
        "docs": f"https://hub.example.org/extractors/{name}--{variant}",
        "logo_url": "https://hub.example.org/assets/logos/extractors/orchard.png",
        "repo": f"https://code.example.org/{variant}/{name}",
        "pip_url": f"{variant}-{name}",
        "executable": name,
        "capabilities": ["catalog", "discover", "state"],
        "settings": [
            {"name": "api_url", "kind": "string", "label": "Address", "value": "https://api.example.org"},
            {"name": "account", "label": "Account"},
            {"name": "pin", "kind": "password", "label": "PIN", "sensitive": True},
            {"name": "seed", "kind": "string", "sensitive": True, "description": "What the trees grew from"},
            {"name": "page_size", "kind": "integer", "value": 100},
            {"name": "from", "kind": "date_iso8601"},
            {"name": "deep.kind", "kind": "options", "options": [{"label": "Red", "value": "red"}]},
            {"name": "deep.cellar", "kind": "password"},
            {"name": "rows", "kind": "array"},
            {"name": "dry", "kind": "boolean", "value": False},
        ],
        "settings_group_validation": [["account", "pin"]],
        "supported_python_versions": ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"],
        **more,
    }


def hub(site: Site, *definitions: tuple[str, dict[str, Any]], host: str = "https://hub.example.org") -> None:
    """Serve definitions as the Hub does: an index of all types, one of each type, a page for each variant."""
    types: dict[str, dict[str, Any]] = {
        kind: {} for kind in ("extractors", "loaders", "mappers", "files", "utilities", "orchestrators")
    }
    for kind, one in definitions:
        ref = f"{host}{API}/plugins/plugins/{kind}/{one['name']}--{one['variant']}"
        listed = types[kind].setdefault(
            one["name"], {"default_variant": one["variant"], "variants": {}, "logo_url": one.get("logo_url")}
        )
        listed["variants"][one["variant"]] = {"ref": ref}
        site.json(f"{API}/plugins/{kind}/{one['name']}--{one['variant']}", one)
    site.json(f"{API}/plugins/index", types)
    for kind, index in types.items():
        site.json(f"{API}/plugins/{kind}/index", index)


def package(site: Site, name: str, about: str, *, command: str) -> None:
    """Put a wheel with one command on the site, as a package index serves it."""
    module, version = name.replace("-", "_"), "1.0"
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": f"import sys\n\ndef main():\n    {about}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{command} = {module}:main\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    wheel = f"{module}-{version}-py3-none-any.whl"
    digest = hashlib.sha256(raw.getvalue()).hexdigest()
    site.pages[f"/files/{wheel}"] = (200, {"Content-Type": "application/zip"}, raw.getvalue())
    page = f'<!DOCTYPE html><html><body><a href="/files/{wheel}#sha256={digest}">{wheel}</a></body></html>'
    site.pages[f"/simple/{name}/"] = (200, {"Content-Type": "text/html"}, page.encode())


LEGACY = (
    'print("usage: x [-h] [-c CONFIG] [--catalog CATALOG] [-s STATE] [-d]\\n --config --catalog --state --discover")'
)
"""A tap that has --help and nothing else."""
