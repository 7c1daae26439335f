"""Rows of JSON lines files, as they are, and of CSV files, each row as an object of texts."""

import csv
import json
import os
import re
import sys
from typing import BinaryIO, List


def of_jsonl(path: str, out: BinaryIO) -> None:
    """The lines as they are."""
    with open(path, "rb") as file:
        ended = True
        for line in file:
            if line.strip():
                out.write(line)
                ended = line.endswith(b"\n")
        if not ended:
            out.write(b"\n")


def of_csv(path: str, out: BinaryIO) -> None:
    """Each row under the names of the first."""
    csv.field_size_limit(1 << 30)
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            out.write(json.dumps(row).encode() + b"\n")


def header(path: str) -> List[str]:
    """The names in a CSV file's first row."""
    with open(path, newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def main() -> None:
    """Print every stream's rows."""
    with open(sys.argv[1], encoding="utf-8") as file:
        question = json.load(file)
    folder, out = os.path.expanduser(question["folder"]) or ".", sys.stdout.buffer
    there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for number, one in enumerate(question["streams"]):
        wanted = re.compile(one["file"])
        files = [os.path.join(folder, name) for name in there if wanted.fullmatch(name)]
        columns = {name: "text" for path in files for name in header(path)} if question["form"] == "csv" else None
        head = {"stream": number, "found": bool(files), "columns": columns, "names": {}}
        out.write(b"\x1e" + json.dumps(head).encode() + b"\n")
        for path in files:
            (of_csv if question["form"] == "csv" else of_jsonl)(path, out)
    out.flush()


def guarded() -> None:
    """Say in one line what went wrong."""
    try:
        main()
    except Exception as problem:
        sys.stderr.write(" ".join(str(problem).split())[:500] + "\n")
        sys.exit(1)


guarded()
