"""Rows of tables in a DuckDB file, every value as DuckDB's own text."""

import json
import sys
from typing import Any, Dict, Optional


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def same(name: str) -> str:
    """What DuckDB compares names by."""
    return name.lower()


def renamed(connection: Any, schema: str, stream: str) -> Dict[Optional[str], str]:
    """The names that our own target remembers for a stream: property (None: the table) to name."""
    known = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE lower(table_schema) = ? AND table_name = '_dativo_names'",
        [same(schema)],
    ).fetchone()
    if not known:
        return {}
    table = quoted(schema) + "._dativo_names"
    found = connection.execute("SELECT property, name FROM " + table + " WHERE stream = ?", [stream])
    return dict(found.fetchall())


def columns_of(connection: Any, schema: str, table: str) -> Dict[str, str]:
    """The table's columns with their types; none when it is not there."""
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE lower(table_schema) = ? AND lower(table_name) = ? ORDER BY ordinal_position",
        [same(schema), same(table)],
    )
    return dict(found.fetchall())


def main() -> None:
    """Print every stream's rows."""
    import duckdb

    with open(sys.argv[1], encoding="utf-8") as file:
        question = json.load(file)
    try:
        connection = duckdb.connect(question["path"], read_only=True)
    except duckdb.IOException as problem:
        if "does not exist" not in str(problem):
            raise
        connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    for number, one in enumerate(question["streams"]):
        names = renamed(connection, one["schema"], one["stream"])
        table = names.pop(None, one["table"])
        columns = columns_of(connection, one["schema"], table)
        head = {"stream": number, "found": bool(columns), "columns": columns, "names": names}
        sys.stdout.write("\x1e" + json.dumps(head) + "\n")
        if not columns:
            continue
        listed = ", ".join("CAST({0} AS VARCHAR) AS {0}".format(quoted(name)) for name in columns)
        place = quoted(one["schema"]) + "." + quoted(table)
        connection.execute("SELECT CAST(to_json(r) AS VARCHAR) FROM (SELECT " + listed + " FROM " + place + ") r")
        while True:
            rows = connection.fetchmany(20000)
            if not rows:
                break
            sys.stdout.write("\n".join([text for (text,) in rows]) + "\n")
    sys.stdout.flush()


def guarded() -> None:
    """Say in one line what went wrong."""
    try:
        main()
    except Exception as problem:
        sys.stderr.write(" ".join(str(problem).split())[:500] + "\n")
        sys.exit(1)


guarded()
