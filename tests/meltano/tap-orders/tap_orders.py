"""A custom tap as Meltano users write them: a folder of JSON lines, one stream a file, read on from a bookmark.

Config: `path` (folder), `start_date`, `page_size` (rows between two STATEs), `token` (a secret that it checks).
"""

import argparse
import json
import sys
from pathlib import Path

KEY = "updated_at"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--catalog")
    parser.add_argument("--state")
    parser.add_argument("--discover", action="store_true")
    args = parser.parse_args()
    config = json.loads(Path(args.config).read_text())
    if config.get("token", "open sesame") != "open sesame":
        sys.exit("tap-orders: the token is wrong")
    if args.discover:
        json.dump({"streams": [stream(file) for file in files(config)]}, sys.stdout)
        return
    state = json.loads(Path(args.state).read_text()) if args.state else {}
    catalog = json.loads(Path(args.catalog).read_text()) if args.catalog else {"streams": []}
    sync(config, catalog, state.get("bookmarks", {}))


def files(config):
    return sorted(Path(config["path"]).glob("*.jsonl"))


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def stream(file):
    first = rows(file)[0]
    kinds = {int: "integer", str: "string", float: "number", bool: "boolean"}
    columns = {name: {"type": ["null", kinds[type(value)]]} for name, value in first.items()}
    metadata = [{"breadcrumb": [], "metadata": {"table-key-properties": ["id"], "valid-replication-keys": [KEY]}}]
    for name in columns:
        inclusion = "automatic" if name in ("id", KEY) else "available"
        metadata.append({"breadcrumb": ["properties", name], "metadata": {"inclusion": inclusion}})
    return {
        "stream": file.stem,
        "tap_stream_id": file.stem,
        "schema": {"type": "object", "properties": columns},
        "key_properties": ["id"],
        "metadata": metadata,
    }


def sync(config, catalog, bookmarks):
    for one in catalog["streams"]:
        said = {tuple(entry["breadcrumb"]): entry["metadata"] for entry in one["metadata"]}
        if not said[()].get("selected"):
            continue
        columns = {
            name: schema
            for name, schema in one["schema"]["properties"].items()
            if said[("properties", name)].get("selected") or said[("properties", name)].get("inclusion") == "automatic"
        }
        name = one["tap_stream_id"]
        incremental = said[()].get("replication-method") == "INCREMENTAL"
        put(
            {
                "type": "SCHEMA",
                "stream": name,
                "schema": {"type": "object", "properties": columns},
                "key_properties": ["id"],
            }
        )
        since = bookmarks.get(name, {}).get(KEY) or config.get("start_date") or ""
        for count, row in enumerate(sorted(rows(Path(config["path"]) / f"{name}.jsonl"), key=lambda row: row[KEY]), 1):
            if incremental and row[KEY] <= since:
                continue
            put({"type": "RECORD", "stream": name, "record": {key: row[key] for key in columns}})
            bookmarks[name] = {KEY: row[KEY]} if incremental else {"seen": count}
            if count % config.get("page_size", 2) == 0:
                put({"type": "STATE", "value": {"bookmarks": bookmarks}})
        put({"type": "STATE", "value": {"bookmarks": bookmarks}})


def put(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
