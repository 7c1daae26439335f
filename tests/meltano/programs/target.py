#!/usr/bin/env python3
"""A target that appends rows to files of JSON lines, and what it was configured with to `_config.jsonl`."""

import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--config")
config = json.loads(Path(parser.parse_args().config).read_text())
folder = Path(config["path"])
folder.mkdir(parents=True, exist_ok=True)


def append(stream, row):
    with (folder / f"{stream}.jsonl").open("a") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")


state = None
append("_config", {key: value for key, value in config.items() if key != "path"})
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        append(message["stream"], message["record"])
    elif message["type"] == "STATE":
        state = message["value"]
if state is not None:
    print(json.dumps(state), flush=True)
