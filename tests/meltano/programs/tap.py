#!/usr/bin/env python3
"""A tap that sends its config, its environment and its catalog as rows, and numbered rows with a bookmark."""

import argparse
import json
import os
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
for option in ("config", "catalog", "state"):
    parser.add_argument(f"--{option}")
parser.add_argument("--discover", action="store_true")
given = parser.parse_args()

TEXT = {"text": {"type": "string"}}
PARTS = {"a": {"type": "string"}, "b": {"type": "string"}}
STREAMS = {
    "rows": {
        "id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "card": {"type": ["null", "string"]},
        "deep": {"type": "object", "properties": PARTS},
    },
    "rows_log": {"id": {"type": "integer"}, "note": {"type": "string"}},
    "config": TEXT,
    "env": TEXT,
    "catalog": TEXT,
}


def read(path):
    return json.loads(Path(path).read_text()) if path else {}


def write(message):
    print(json.dumps(message), flush=True)


def metadata(name, columns):
    keys = ["id"] if name == "rows" else []
    found = [{"breadcrumb": [], "metadata": {"inclusion": "available", "table-key-properties": keys}}]
    for column in columns:
        inclusion = "automatic" if column == "id" else "available"
        found.append({"breadcrumb": ["properties", column], "metadata": {"inclusion": inclusion}})
    inner = PARTS if name == "rows" else ()
    found += [
        {"breadcrumb": ["properties", "deep", "properties", part], "metadata": {"inclusion": "available"}}
        for part in inner
    ]
    return found


if given.discover:
    streams = [
        {
            "tap_stream_id": name,
            "stream": name,
            "schema": {"type": "object", "properties": columns},
            "metadata": metadata(name, columns),
        }
        for name, columns in STREAMS.items()
    ]
    write({"streams": streams})
    sys.exit()

config, catalog, state = read(given.config), read(given.catalog), read(given.state)
marks = dict(state.get("bookmarks") or {})


def text_of(name):
    if name == "config":
        return config
    if name == "env":
        return {key: value for key, value in os.environ.items() if key.startswith("ZOO_")}
    return [
        [one["tap_stream_id"], one["schema"], sorted(map(json.dumps, (m["metadata"] for m in one["metadata"])))]
        for one in catalog["streams"]
    ]


for one in catalog["streams"]:
    said = {tuple(entry["breadcrumb"]): entry["metadata"] for entry in one["metadata"]}
    top, name = said[()], one["tap_stream_id"]
    if not top.get("selected"):
        continue
    columns = {
        column: schema
        for column, schema in one["schema"]["properties"].items()
        if said["properties", column].get("selected") or said["properties", column]["inclusion"] == "automatic"
    }
    schema = {"type": "object", "properties": columns}
    write({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": top["table-key-properties"]})
    rows = [{"id": 1, "note": "x"}] if name == "rows_log" else []
    if name == "rows":
        first = marks.get("rows", {}).get("id", 0) if top.get("replication-method") == "INCREMENTAL" else 0
        parts = [part for part in PARTS if said["properties", "deep", "properties", part].get("selected")]
        rows = [
            {"id": number, "at": f"2026-01-{number:02}T00:00:00Z", "card": f"4111-{number}",
             "deep": {part: part * number for part in parts}}
            for number in range(first + 1, first + 1 + int(config.get("count", 2)))
        ]  # fmt: skip
        marks["rows"] = {"id": rows[-1]["id"]}
    if columns.keys() == TEXT.keys():
        rows = [{"text": json.dumps(text_of(name), sort_keys=True)}]
    for row in rows:
        kept = {key: value for key, value in row.items() if key in columns}
        write({"type": "RECORD", "stream": name, "record": kept})
    if name == "rows_log":
        marks["rows_log"] = {"seen": 1}
    write({"type": "STATE", "value": {"bookmarks": marks}})
