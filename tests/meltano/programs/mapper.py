#!/usr/bin/env python3
"""A mapper that hides columns, and shows its config in a column of each row."""

import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--config")
config = json.loads(Path(parser.parse_args().config).read_text())
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        row = message["record"]
        row.update({column: config["mark"] for column in config.get("hide", ()) if column in row})
        if config.get("show"):
            row["mapper"] = json.dumps(config, sort_keys=True)
    print(json.dumps(message), flush=True)
