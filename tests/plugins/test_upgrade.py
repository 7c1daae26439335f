"""outdated, upgrade, audit and bundle as a user types them, on an index of loopback."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.plugins import tiny
from tests.workspace import Workspace

MODEST = {**tiny.ABOUT, "name": "tap-moving"}
GREEDY = {
    **MODEST,
    "sandbox": {"network": "any"},
    "settings": {
        "properties": {
            **tiny.ABOUT["settings"]["properties"],
            "region": {"type": "string"},
            "port": {"type": "string"},
        },
        "required": ["host", "region"],
    },
}


@pytest.fixture
def shop(tmp_path, shelved):
    """A project with tap-moving 1.0 of a shelf that has 2.0 by now; its library was built of a source."""
    shelved.shelf.sdist(tiny.make(tmp_path / "lib", "lib-base"), "lib-base")
    shelved.shelf.wheel(tiny.make(tmp_path / "one", "tap-moving", about=MODEST, dependencies=("lib-base",)))
    shelved.dativo("add", "tap-moving").expect()
    return shelved


def test_upgrade_shows_what_changes_and_asks_before_it_changes_anything(shop, tmp_path):
    assert "up to date" in shop.dativo("outdated").expect().stdout
    shop.shelf.wheel(tiny.make(tmp_path / "two", "tap-moving", version="2.0", about=GREEDY))
    (row,) = shop.dativo("outdated", "--json").expect().json
    assert (row["name"], row["version"], row["newer"], row["latest"]) == ("tap-moving", "1.0", "2.0", "2.0")
    assert {"name": "lib-base", "from": "1.0", "to": None} in row["packages"]
    assert "tap-moving 1.0 → 2.0 · 1 other package" in shop.dativo("outdated").expect().stdout

    lock, envs = (shop.folder / "dativo.lock").read_bytes(), shop.home / "data" / "envs"
    there = sorted(envs.iterdir())
    shown = shop.dativo("upgrade", "--dry-run").expect().stdout
    for line in ("+ region string required", "~ port string (was integer|null default 80)", "+ reach  any host"):
        assert line in shown
    stopped = shop.dativo("upgrade")
    assert "error[permissions.more]" in stopped.expect(2).stderr
    assert "+ region string required" in stopped.stdout  # shown before it was decided
    assert (shop.folder / "dativo.lock").read_bytes() == lock
    assert sorted(envs.iterdir()) == there

    done = shop.dativo("upgrade", "tap-moving", "--approve", "--json").expect().json
    assert [(one["name"], one["from"], one["to"]) for one in done["upgrades"]] == [("tap-moving", "1.0", "2.0")]
    assert "+ reach  any host" in done["upgrades"][0]["permissions"]
    assert len(list(envs.iterdir())) == 1  # nobody uses the old one
    assert shop.dativo("upgrade", "--json").expect().json["upgrades"] == []
    assert "error[plugin.unknown]" in shop.dativo("upgrade", "tap-nothing").expect(2).stderr


def test_a_bundle_installs_without_an_index_and_with_empty_caches(shop, tmp_path):
    bundle = tmp_path / "shop.bundle"
    made = shop.dativo("bundle", bundle, "--json").expect().json
    assert made["wheels"] == 2
    digest = shop.dativo("list", "--json").expect().json[0]["digest"]
    there = Workspace(tmp_path / "there", tmp_path / "there-home")
    alone = "unshare -n" if os.geteuid() == 0 else "unshare -rn"  # a network namespace without so much as a loopback
    nowhere = f"UV_DEFAULT_INDEX=http://127.0.0.1:9/simple UV_CACHE_DIR={tmp_path}/empty {alone}"
    there.shell(f"{nowhere} dativo sync --bundle {bundle}").expect()
    assert there.dativo("list", "--json").expect().json[0]["digest"] == digest
    assert there.shell(f"{nowhere} dativo sync --frozen --offline").expect()
    assert (there.folder / "dativo.lock").read_bytes() == (shop.folder / "dativo.lock").read_bytes()

    damaged = tmp_path / "damaged.bundle"
    body = bytearray(bundle.read_bytes())
    at = body.index(b"PK", len(body) // 2) - 200  # in a wheel, which lies there as it is
    body[at] ^= 1
    damaged.write_bytes(body)
    for file, code in ((damaged, "bundle.invalid"), (shop.folder / "dativo.lock", "bundle.invalid")):
        fresh = Workspace(tmp_path / f"at-{file.name}", tmp_path / "fresh-home")
        error = json.loads(fresh.dativo("sync", "--bundle", file, "--json").expect(2).stdout)
        assert error["code"] == code
        assert not (fresh.folder / "dativo.lock").exists()


def test_a_bundle_for_another_machine_is_refused(shop, tmp_path):
    import zipfile

    bundle, other = tmp_path / "a.bundle", tmp_path / "b.bundle"
    shop.dativo("bundle", bundle).expect()
    with zipfile.ZipFile(bundle) as read, zipfile.ZipFile(other, "w") as write:
        for one in read.infolist():
            body = read.read(one)
            if one.filename == "bundle.json":
                body = json.dumps({**json.loads(body), "platform": "plan9-mips"}).encode()
            write.writestr(one, body)
    error = json.loads(shop.dativo("sync", "--bundle", other, "--json").expect(3).stdout)
    assert error["code"] == "bundle.unfit"
    assert "plan9-mips" in error["message"]


class _Osv(BaseHTTPRequestHandler):
    """Answers as OSV documents it: one vulnerability on the first page of lib-base, one on its second."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self._answer({"results": [self._found(one["package"]["name"], one.get("page_token")) for one in asked]})

    @staticmethod
    def _found(name, page):
        if name != "lib-base":
            return {}
        vulns = [{"id": "PYSEC-1" if page else "PYSEC-0", "modified": "2026-01-01T00:00:00Z"}]
        return {"vulns": vulns} if page == "two" else {"vulns": vulns, "next_page_token": "two"}

    def do_GET(self):
        events = [{"introduced": "0"}, {"fixed": "1.1"}]
        affected = [{"package": {"name": "lib-base"}, "ranges": [{"events": events}]}]
        self._answer({"id": "PYSEC-0", "summary": "it leaks", "affected": affected})

    def _answer(self, found):
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def osv():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Osv)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_audit_knows_or_says_that_it_does_not(shop, osv, tmp_path):
    bill = tmp_path / "bom.json"
    found = shop.dativo("audit", "--source", osv, "--sbom", bill, "--json").expect(1).json
    assert found["checked"] is True
    assert [(one["id"], one["package"], one["fixed"]) for one in found["vulnerabilities"]] == [
        ("PYSEC-0", "lib-base", ["1.1"]),
        ("PYSEC-1", "lib-base", ["1.1"]),
    ]
    assert "PYSEC-0  lib-base 1.0  (tap-moving)  fixed in 1.1" in shop.dativo("audit", "--source", osv).expect(1).stdout
    for words in (("--offline",), ("--source", "http://127.0.0.1:9")):
        answer = shop.dativo("audit", *words).expect()
        assert "not checked" in answer.stdout
        assert "none" not in answer.stdout
        assert shop.dativo("audit", *words, "--json").expect().json["checked"] is False
    check_bill(json.loads(bill.read_text()), shop)


def check_bill(bom, shop):
    """The official schema of CycloneDX 1.6, and what a reader of the bill needs."""
    assert not list(JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom), all_errors=True) or ())
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert bom["serialNumber"].startswith("urn:uuid:")
    refs = [one["bom-ref"] for one in bom["components"]]
    assert len(refs) == len(set(refs))
    for one in bom["components"]:
        assert one["type"] in ("application", "library")
        assert one["name"] and one["version"]
        assert all(item["alg"] == "SHA-256" and len(item["content"]) == 64 for item in one.get("hashes", []))
    library = next(one for one in bom["components"] if one["name"] == "lib-base")
    assert library["purl"] == "pkg:pypi/lib-base@1.0"
    assert library["hashes"][0]["content"] in (shop.folder / "dativo.lock").read_text()
    depends = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    assert depends["project"] == ["plugin:tap-moving"]
    assert library["purl"] in depends["plugin:tap-moving"]
    assert set(depends) | {ref for some in depends.values() for ref in some} <= {"project", *refs}
    known, _ = bom["vulnerabilities"]
    assert (known["id"], known["affects"]) == ("PYSEC-0", [{"ref": library["purl"]}])


def test_a_licence_is_what_the_package_says(shop):
    said = shop.dativo("audit", "--offline", "--licences").expect().stdout
    assert "not told" in said
    assert "licences: 0 of 2 packages tell theirs" in said


def test_licences_in_a_bill_are_spdx_where_the_package_says_so(shop, tmp_path):
    bill = tmp_path / "bom.json"
    told = ("License-Expression: MIT OR Apache-2.0", "License: BSD 3-Clause")
    for at, line in enumerate(told):
        made = tiny.make(tmp_path / f"lib{at}", f"lib-{at}", scripts=())
        backend = (made / "backend.py").read_text()
        (made / "backend.py").write_text(backend.replace("{needs}", f"{line}\\n{{needs}}"))
        shop.shelf.wheel(made)
    needs = tuple(f"lib-{at}" for at in range(len(told)))
    shop.shelf.wheel(tiny.make(tmp_path / "t", "tap-licensed", dependencies=needs))
    shop.dativo("add", "tap-licensed").expect()
    shop.dativo("audit", "tap-licensed", "--offline", "--sbom", bill).expect()
    bom = json.loads(bill.read_text())
    assert not list(JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom), all_errors=True) or ())
    licences = {one["name"]: one.get("licenses") for one in bom["components"]}
    assert licences["lib-0"] == [{"expression": "MIT OR Apache-2.0"}]
    assert licences["lib-1"] == [{"license": {"name": "BSD 3-Clause"}}]
