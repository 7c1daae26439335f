"""The console script. Everything but the standard library is imported when a run starts, so that --about is quick."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, NoReturn

from target_duckdb import __version__
from target_duckdb.errors import TargetError, from_duckdb
from target_duckdb.settings import PREFIX, PROPERTIES, json_schema, load

CAPABILITIES = [
    "about", "activate-version", "arrow", "batch", "bookmark", "exit-codes", "hard-delete", "schema-evolution",
    "target-schema", "upsert",
]  # fmt: skip


class Parser(argparse.ArgumentParser):
    """argparse with this project's way of saying errors."""

    def error(self, message: str) -> NoReturn:
        """A mistake on the command line."""
        raise TargetError("usage", message, "see target-duckdb --help")


def about() -> dict[str, Any]:
    """The manifest."""
    return {
        "name": "target-duckdb",
        "description": "Loads Singer streams into a DuckDB file; data and bookmark are committed in one transaction",
        "version": __version__,
        "kind": "target",
        "capabilities": CAPABILITIES,
        "settings": json_schema(),
        "supported_python_versions": ["3.11", "3.12", "3.13"],
        "sandbox": {"read": [], "write": ["{config:path}/.."], "network": []},
        "limits": {"memory": "4G"},
        "env": ["DATIVO_JOB", "DATIVO_RUN", *(PREFIX + name.upper() for name in PROPERTIES)],
    }


def about_text() -> str:
    """The manifest for people."""
    lines = [f"target-duckdb {__version__}", about()["description"], "", "settings:"]
    for name, schema in PROPERTIES.items():
        default = "" if "default" not in schema else f" (default {json.dumps(schema['default'])})"
        lines.append(f"  {name}: {schema['description']}{default}")
    return "\n".join(lines)


def parser() -> Parser:
    """The command line."""
    found = Parser(
        prog="target-duckdb",
        description="Reads Singer messages on stdin and loads them into a DuckDB file.",
        epilog="example: tap-csv --config tap.json | target-duckdb --config target.json",
    )
    found.add_argument(
        "-c", "--config", action="append", default=[], metavar="FILE|ENV", help="JSON settings; later wins"
    )
    found.add_argument("--input", metavar="FILE", help="read this file instead of stdin")
    found.add_argument("--bookmark", metavar="JOB", help="print the STATE value stored for this job, and end")
    found.add_argument("--about", action="store_true", help="describe this plugin and its settings, and end")
    found.add_argument("--format", choices=["json", "text"], default="text", help="how --about is printed")
    found.add_argument("--version", action="store_true", help="print the version, and end")
    return found


def act(arguments: list[str]) -> int:
    """Do what the command line says."""
    options = parser().parse_args(arguments)
    if options.version:
        sys.stdout.write(f"target-duckdb {__version__}\n")
        return 0
    if options.about:
        sys.stdout.write((json.dumps(about(), indent=2) if options.format == "json" else about_text()) + "\n")
        return 0
    settings = load(options.config)
    if options.bookmark is not None:
        from target_duckdb.database import stored_bookmark

        state = stored_bookmark(settings, options.bookmark)
        sys.stdout.write("" if state is None else state + "\n")
        return 0
    fd = 0
    if options.input is not None:
        try:
            fd = os.open(options.input, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise TargetError("usage", f"{options.input} cannot be read: {error.strerror}") from None
    from target_duckdb.run import run

    return run(settings, fd)


def abandon_output() -> int:
    """Let go of an output that cannot be written, so that Python's own flush at the end says nothing; the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1


def main() -> None:
    """Run, and end with the exit code of what happened; never with a traceback for what a user can cause."""
    try:
        code = act(sys.argv[1:])
        sys.stdout.flush()
    except TargetError as error:
        sys.stderr.write(error.text() + "\n")
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.write("error[pipe.closed]  nobody reads the STATE on stdout any more\n")
        code = abandon_output()
    except OSError as error:
        found = from_duckdb(error, str(error.filename or "the output"))
        sys.stderr.write(found.text() + "\n")
        code = abandon_output() and found.exit_code
    except MemoryError:
        sys.stderr.write("error[env.memory]  out of memory\n  hint: lower batch_rows, batch_bytes or memory_limit\n")
        code = 3
    sys.exit(code)
