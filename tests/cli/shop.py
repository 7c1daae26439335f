"""A project with one scripted tap and one scripted target, for the commands that ask a plugin something."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.terminal import dativo

TAP = """#!/usr/bin/env python3
import json, signal, sys, time

SETTINGS = {"type": "object", "required": ["host"], "properties": {
    "host": {"type": "string", "description": "where the shop is"},
    "port": {"type": ["integer", "null"], "default": 5432},
    "password": {"type": "string", "secret": True},
    "rows": {"type": "integer"},
    "flags": {"type": "array", "items": {"type": "string"}},
    "tunnel": {"type": "object",
               "properties": {"key": {"type": "string", "secret": True}, "enabled": {"type": "boolean"}}},
}}
ABOUT = {"name": "tap-shop", "version": "1.0", "kind": "tap", "capabilities": ["catalog", "discover", "state", "about"],
         "settings": SETTINGS}

def stream(name, *columns):
    return {"tap_stream_id": name, "stream": name, "key_properties": ["id"],
            "schema": {"type": "object", "properties": {one: {"type": ["string", "null"]} for one in columns}},
            "metadata": [{"breadcrumb": [], "metadata": {"inclusion": "available"}}]}

CATALOG = {"streams": [stream("orders", "id", "total", "card_number"), stream("users", "id", "name")]}

def option(name):
    return json.load(open(sys.argv[sys.argv.index(name) + 1])) if name in sys.argv else None

if "--about" in sys.argv:
    print(json.dumps(ABOUT)); sys.exit()
config = option("--config")
if config["host"] == "down":
    print("could not connect to down", file=sys.stderr); sys.exit(1)
if "--discover" in sys.argv:
    print(json.dumps(CATALOG, indent=1)); sys.exit()
print(json.dumps({"type": "SCHEMA", "stream": "orders", "schema": {"type": "object"}, "key_properties": ["id"]}))
sent = 0
while config.get("rows") is None or sent < config["rows"]:
    print(json.dumps({"type": "RECORD", "stream": "orders", "record": {"id": str(sent)}}), flush=True)
    sent += 1
"""

TARGET = """#!/usr/bin/env python3
import json, sys
if "--about" in sys.argv:
    print(json.dumps({"name": "target-shop", "version": "1.0", "kind": "target", "capabilities": ["about"],
                      "settings": {"type": "object", "properties": {"path": {"type": "string"}}}})); sys.exit()
for line in sys.stdin:
    pass
"""


def make(folder: Path) -> Path:
    """A project in `folder` with tap-shop (configured) and target-shop."""
    for name, text in (("tap_shop.py", TAP), ("target_shop.py", TARGET)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "dativo.yml").write_text("# the shop\n")
    done = dativo(folder, "add", "./tap_shop.py", "./target_shop.py", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert dativo(folder, "config", "tap-shop", "set", "host", "h").returncode == 0
    return folder


def answer(done):
    """The JSON document a command printed."""
    return json.loads(done.stdout)
