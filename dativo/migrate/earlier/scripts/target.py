"""A Singer target around one writer of the earlier Dativo. It commits once, when all records are written."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import PLUGIN, engine

SETTINGS = {
    "type": "object",
    "required": ["target", "asset", "output_base"],
    "properties": {
        "target": {"type": "object", "description": "What the writer is given: type, connection, engine, …"},
        "asset": {"type": "object", "description": "The data contract: name, object, schema."},
        "output_base": {"type": "string", "description": "Where the writer puts its files."},
        "strict": {"type": "boolean", "default": True, "description": "Whether a record must fit the contract."},
        "batch_rows": {"type": "integer", "default": 10000, "description": "Records that are written at once."},
        "library": {"type": "string", "description": "The shared library, of a writer in Rust."},
    },
}
ABOUT = {
    "name": PLUGIN["name"],
    "version": PLUGIN["version"],
    "kind": "target",
    "description": "A writer of the earlier Dativo",
    "capabilities": ["about"],
    "settings": SETTINGS,
    "env": PLUGIN["env"],
    "sandbox": {"read": ["{config:library}"], "write": ["{config:output_base}"], "network": "config"},
}


def main() -> Any:
    """Answer one command line."""
    parser = argparse.ArgumentParser(prog=PLUGIN["name"])
    parser.add_argument("--config")
    parser.add_argument("--about", action="store_true")
    parser.add_argument("--format", default="json")
    options = parser.parse_args()
    if options.about:
        print(json.dumps(ABOUT))
        return
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a writer prints is no state
    config = json.loads(Path(options.config).read_text(encoding="utf-8"))
    state = Load(config).lines(sys.stdin.buffer)
    if state is not None:
        out.write(json.dumps(state, ensure_ascii=False) + "\n")
        out.flush()


class Load:
    """All records of one run."""

    def __init__(self, config: Any) -> None:
        asset = config["asset"]
        made = engine.load("writer", PLUGIN["class"], config.get("library"))
        self.writer = made(
            engine.AssetDefinition(**asset), engine.TargetConfig(**config["target"]), config["output_base"]
        )
        self.contract = engine.Contract(asset.get("schema") or [], config.get("strict", True))
        self.size = config.get("batch_rows", 10000)
        self.waiting: list[Any] = []
        self.files: list[Any] = []
        self.stream: Any = None

    def lines(self, stream: Any) -> Any:
        """Write what comes and commit it; the last STATE, which is then true."""
        state = None
        for line in stream:
            message = json.loads(line)
            if message["type"] == "RECORD":
                self.record(message)
            elif message["type"] == "STATE":
                state = message["value"]
        self.flush()
        if self.files:
            self.writer.commit_files(self.files)
        return state

    def record(self, message: Any) -> Any:
        """One record. A writer of the earlier Dativo knows one stream."""
        if self.stream not in (None, message["stream"]):
            raise SystemExit(f"{PLUGIN['name']} writes one stream, and got {self.stream} and {message['stream']}")
        self.stream = message["stream"]
        self.waiting.append(message["record"])
        if len(self.waiting) >= self.size:
            self.flush()

    def flush(self) -> Any:
        """Write what is waiting."""
        if self.waiting:
            records, self.waiting = self.contract.records(self.waiting), []
            self.files += self.writer.write_batch(records, len(self.files)) or []


if __name__ == "__main__":
    sys.exit(main())
