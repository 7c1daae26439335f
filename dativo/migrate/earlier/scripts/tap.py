"""A Singer tap around one reader of the earlier Dativo. What it reads is one stream, by its data contract."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import PLUGIN, engine

TYPES = {
    "integer": {"type": ["null", "integer"]},
    "float": {"type": ["null", "number"]},
    "double": {"type": ["null", "number"]},
    "boolean": {"type": ["null", "boolean"]},
    "timestamp": {"type": ["null", "string"], "format": "date-time"},
    "datetime": {"type": ["null", "string"], "format": "date-time"},
    "date": {"type": ["null", "string"], "format": "date-time"},
    "string": {"type": ["null", "string"]},
}
SETTINGS = {
    "type": "object",
    "required": ["source", "asset"],
    "properties": {
        "source": {"type": "object", "description": "What the reader is given: type, connection, credentials, …"},
        "asset": {"type": "object", "description": "The data contract: name, object, schema."},
        "strict": {"type": "boolean", "default": True, "description": "Whether a record must fit the contract."},
        "library": {"type": "string", "description": "The shared library, of a reader in Rust."},
    },
}
ABOUT = {
    "name": PLUGIN["name"],
    "version": PLUGIN["version"],
    "kind": "tap",
    "description": "A reader of the earlier Dativo",
    "capabilities": ["about", "catalog", "discover", "state"],
    "settings": SETTINGS,
    "env": PLUGIN["env"],
    "sandbox": {"read": ["{config:library}", "{config:source.files.path}"], "write": [], "network": "config"},
}


def main() -> Any:
    """Answer one command line."""
    options = parsed()
    if options.about:
        print(json.dumps(ABOUT))
        return
    config = json.loads(Path(options.config).read_text(encoding="utf-8"))
    if options.discover:
        print(json.dumps({"streams": [stream(config)]}))
        return
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a reader prints is no message
    state = json.loads(Path(options.state).read_text(encoding="utf-8")) if options.state else {}
    sync(config, state, out)


def parsed() -> Any:
    """The command line."""
    parser = argparse.ArgumentParser(prog=PLUGIN["name"])
    parser.add_argument("--config")
    parser.add_argument("--catalog")
    parser.add_argument("--state")
    parser.add_argument("--discover", action="store_true")
    parser.add_argument("--about", action="store_true")
    parser.add_argument("--format", default="json")
    return parser.parse_args()


def stream(config: Any) -> Any:
    """The one stream, as a catalog has it."""
    asset = config["asset"]
    columns = asset.get("schema") or []
    properties = {one["name"]: TYPES.get(one.get("type", "string"), {}) for one in columns}
    crumbs = [([], "available"), *((["properties", one["name"]], "available") for one in columns)]
    return {
        "tap_stream_id": asset["name"],
        "stream": asset["name"],
        "schema": {"type": "object", "properties": properties},
        "key_properties": [one["name"] for one in columns if one.get("primaryKey")],
        "metadata": [{"breadcrumb": crumb, "metadata": {"inclusion": word, "selected-by-default": True}}
                     for crumb, word in crumbs],
    }  # fmt: skip


def sync(config: Any, state: Any, out: Any) -> Any:
    """Read everything; the reader's state goes out when all that it covers has."""
    about, source = stream(config), dict(config["source"])
    name = about["stream"]
    known = (state.get("bookmarks") or {}).get(name) or {}
    contract = engine.Contract(config["asset"].get("schema") or [], config.get("strict", True))
    say(out, type="SCHEMA", stream=name, schema=about["schema"], key_properties=about["key_properties"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        engine.IncrementalStateManager.write_state(path, known.get("state") or {})
        manager = None
        if source.get("incremental"):
            source["incremental"] = {**source["incremental"], "state_path": str(path)}
            manager = engine.IncrementalStateManager()
        made = engine.load("reader", PLUGIN["class"], config.get("library"))
        for batch in made(engine.SourceConfig(**source)).extract(state_manager=manager):
            for record in contract.records(batch):
                say(out, type="RECORD", stream=name, record=record)
        kept = engine.IncrementalStateManager.read_state(path)
    say(out, type="STATE", value={"bookmarks": {name: {"state": kept}}})
    out.flush()


def say(out: Any, **message: Any) -> Any:
    """One message."""
    out.write(json.dumps(message, default=engine.plain, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
