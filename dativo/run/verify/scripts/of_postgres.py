"""Rows of tables in PostgreSQL, as row_to_json writes them, by COPY."""

import json
import sys
from typing import Any, BinaryIO, Callable, Dict, Tuple

# JSON holds no control characters, so with these as quote and delimiter each line of COPY is a row's JSON as it is.
SHAPE = "WITH (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02', ENCODING 'UTF8')"


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def connect(address: Dict[str, Any]) -> Tuple[Any, Callable[[Any, str, BinaryIO], None]]:
    """A connection with whichever driver the target has: the connection and how it copies."""
    url = address.pop("url", None)
    words = [url] if url else []
    try:
        import psycopg
    except ImportError:
        import psycopg2

        return psycopg2.connect(*words, **address), copy_old
    return psycopg.connect(*words, **address), copy_new


def copy_old(cursor: Any, statement: str, out: BinaryIO) -> None:
    """COPY by psycopg2."""
    cursor.copy_expert(statement, out)


def copy_new(cursor: Any, statement: str, out: BinaryIO) -> None:
    """COPY by psycopg."""
    with cursor.copy(statement) as rows:
        for block in rows:
            out.write(block)


def main() -> None:
    """Print every stream's rows."""
    with open(sys.argv[1], encoding="utf-8") as file:
        question = json.load(file)
    connection, copy = connect({key: value for key, value in question["address"].items() if value is not None})
    cursor = connection.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    cursor.execute("SET DateStyle = 'ISO'")
    out = sys.stdout.buffer
    for number, one in enumerate(question["streams"]):
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = coalesce(%s, current_schema()) AND table_name = %s ORDER BY ordinal_position",
            [one["schema"], one["table"]],
        )
        columns = dict(cursor.fetchall())
        head = {"stream": number, "found": bool(columns), "columns": columns, "names": {}}
        out.write(b"\x1e" + json.dumps(head).encode() + b"\n")
        if not columns:
            continue
        place = (quoted(one["schema"]) + "." if one["schema"] else "") + quoted(one["table"])
        copy(cursor, "COPY (SELECT row_to_json(r) FROM " + place + " r) TO STDOUT " + SHAPE, out)
    out.flush()


def guarded() -> None:
    """Say in one line what went wrong."""
    try:
        main()
    except Exception as problem:
        sys.stderr.write(" ".join(str(problem).split())[:500] + "\n")
        sys.exit(1)


guarded()
