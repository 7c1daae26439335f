"""What was sent against what is there, in DuckDB: no row passes through Python, and what is too big for memory spills.

With keys the last row of each key counts, and it must be there. Without keys every row must be there as often as it was
sent. Two rows are the same when all their columns' canonical texts are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dativo.dataclass import dataclass
from dativo.run.verify import canonical, singer_lines
from dativo.run.verify.database import Database
from dativo.run.verify.findings import SHOWN, Finding
from dativo.run.verify.readback import Read
from dativo.run.verify.singer_lines import Sent

DELETED = "_sdc_deleted_at"
ADDED = ("_sdc_", "_dativo")
"""How the columns begin that targets add, or taps for targets: they are not data."""


@dataclass(frozen=True)
class Column:
    """A property and where it landed."""

    prop: str
    kind: str
    column: str


class Comparison:
    """The sent lines of one run or one source, ready to be compared with destinations' rows."""

    def __init__(self, folder: Path) -> None:
        self._db = Database(folder)
        self.stop = self._db.stop
        self.streams: dict[str, Sent] = {}

    def take(self, sent: Path) -> dict[str, Sent]:
        """Take in what was sent: a file of Singer lines."""
        if sent.exists() and sent.stat().st_size:
            self.streams = singer_lines.take(self._db, sent)
        return self.streams

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()

    def compare(
        self, name: str, read: Read, *, upserts: bool, whole: bool, empty_is_null: bool = False, since: Any = None
    ) -> Finding:
        """Compare one stream. `whole`: what was sent is all that may be there. `since`: the bookmark's position."""
        sent = self.streams[name]
        found = Finding(name)
        if not read.found:
            return self._all_missing(sent, found, since)
        columns = self._columns(sent, read, found)
        keys = [one for one in columns if one.prop in sent.keys]
        if len(keys) < len(sent.keys):
            lost = [key for key in sent.keys if key not in {one.prop for one in keys}]
            found.absent = list(dict.fromkeys([*found.absent, *lost]))
            found.note = f"without its key {', '.join(lost)} nothing can be compared"
            return found
        self._sides(sent, read, columns, keys, empty=empty_is_null, since=since)
        if sent.keys:
            self._by_key(found, columns, upserts=upserts, whole=whole)
        else:
            self._by_row(found, whole=whole)
        return found

    # -- columns

    def _columns(self, sent: Sent, read: Read, found: Finding) -> list[Column]:
        """The properties that can be compared; the others are noted in the finding."""
        columns = []
        for prop, schema in (sent.schema.get("properties") or {}).items():
            if prop.startswith(ADDED):
                continue
            column = canonical.column_for(prop, read.columns, read.names)
            kind = canonical.kind_of(schema)
            if column is None:
                parts = f"{prop}__".lower()
                if any(name.lower().startswith(parts) for name in read.columns or ()):
                    found.left_out[prop] = "spread over columns"
                elif self._has_values(sent, prop):
                    found.absent.append(prop)
                continue
            kept_as = (read.columns or {}).get(column, "").lower().split("(")[0].strip()
            if kept_as in canonical.INEXACT:
                found.left_out[prop] = f"kept as {canonical.INEXACT[kept_as]}"
                continue
            columns.append(Column(prop, kind, column))
        return columns

    def _has_values(self, sent: Sent, prop: str) -> bool:
        statement = (
            "SELECT 1 FROM lines WHERE type = 'RECORD' AND stream = $1 AND json_extract_string(json, $2) IS NOT NULL"
        )
        return bool(self._db.rows(f"{statement} LIMIT 1", [sent.name, pointer("record", prop)]))

    # -- the two sides as keys and hashes

    def _sides(
        self, sent: Sent, read: Read, columns: Sequence[Column], keys: Sequence[Column], *, empty: bool, since: Any
    ) -> None:
        wanted = [pointer("record", one.prop) for one in columns] + [pointer("record", DELETED)]
        held = [pointer(one.column) for one in columns] + [pointer(DELETED)]
        at = {one.prop: number for number, one in enumerate(columns, 1)}
        texts = [canonical.expression(one.kind, f"v[{at[one.prop]}]", empty_is_null=empty) for one in columns]
        key = f"to_json([{', '.join(texts[at[one.prop] - 1] for one in keys)}])::VARCHAR" if keys else "NULL::VARCHAR"
        row = f"md5(to_json([{', '.join(texts)}]::VARCHAR[])::VARCHAR)"
        deleted = f"v[{len(columns) + 1}] IS NOT NULL"
        newer = self._newer(sent, at, columns, since)
        select = f"{key} AS k, {row} AS h, {deleted} AS d"
        self._listed = f"{key} AS k, [{', '.join(texts)}]::VARCHAR[] AS c"
        version = "" if sent.version is None else f" AND coalesce(version, {sent.version}) >= {sent.version}"
        self._from_lines = (
            f"(SELECT rowid AS n, json_extract_string(json, {_list(wanted)}) AS v FROM lines"
            f" WHERE type = 'RECORD' AND stream = {_text(sent.name)}{version})"
        )
        size = singer_lines.buffer(read.rows)
        self._from_rows = (  # a line that is no JSON is no row
            f"(SELECT json_extract_string(json, {_list(held)}) AS v FROM read_ndjson_objects({_text(str(read.rows))},"
            f" maximum_object_size = {size}, ignore_errors = true) WHERE json IS NOT NULL)"
        )
        self._db.run(f"CREATE OR REPLACE TEMP TABLE e AS SELECT n, {select}, {newer} AS w FROM {self._from_lines}")
        if read.rows.stat().st_size:
            self._db.run(f"CREATE OR REPLACE TEMP TABLE a AS SELECT {select} FROM {self._from_rows}")
        else:
            self._db.run("CREATE OR REPLACE TEMP TABLE a (k VARCHAR, h VARCHAR, d BOOLEAN)")

    @staticmethod
    def _newer(sent: Sent, at: dict[str, int], columns: Sequence[Column], since: Any) -> str:
        """SQL: whether a record of the source is beyond the bookmark."""
        if since is None or isinstance(since, dict | list) or sent.replication not in at:
            return "false"
        kind = next(one.kind for one in columns if one.prop == sent.replication)
        value, mark = f"v[{at[sent.replication]}]", _text(str(since))
        if kind == "instant":
            return f"coalesce(TRY_CAST({value} AS TIMESTAMPTZ) > TRY_CAST({mark} AS TIMESTAMPTZ), false)"
        if kind in ("integer", "number"):
            return f"coalesce(TRY_CAST({value} AS DOUBLE) > TRY_CAST({mark} AS DOUBLE), false)"
        return f"coalesce({value} > {mark}, false)"

    # -- comparing

    def _by_key(self, found: Finding, columns: Sequence[Column], *, upserts: bool, whole: bool) -> None:
        self._db.run(
            "CREATE OR REPLACE TEMP TABLE x AS SELECT k, arg_max(h, n) AS h, arg_max(d, n) AS d, arg_max(w, n) AS w,"
            " max(n) AS n FROM e GROUP BY k"
        )
        promised = "FROM x {} WHERE NOT d AND NOT w"
        found.rows, found.newer = self._one("SELECT count(*) FILTER (NOT d AND NOT w), count(*) FILTER (w) FROM x")
        missing = promised.format("ANTI JOIN a ON x.k = a.k")
        different = (
            "FROM x SEMI JOIN a ON x.k = a.k WHERE NOT d AND NOT w"
            " AND NOT EXISTS (SELECT 1 FROM a WHERE a.k = x.k AND a.h = x.h)"
        )
        (found.missing,) = self._one(f"SELECT count(*) {missing}")
        (found.different,) = self._one(f"SELECT count(*) {different}")
        names = [one.prop for one in columns]
        keys = list(self.streams[found.stream].keys)
        if found.missing:
            rows = self._rows(f"SELECT k {missing} ORDER BY n LIMIT {SHOWN}")
            found.examples["missing"] = [_key(keys, names, k) for (k,) in rows]
        if found.different:
            rows = self._rows(f"SELECT k, n {different} ORDER BY n LIMIT {SHOWN}")
            found.examples["different"] = [
                f"{_key(keys, names, k)}: {', '.join(self._differing(names, k, n))}" for k, n in rows
            ]
        extras = []
        if whole:
            extras.append("SELECT k, 1 AS c FROM a ANTI JOIN x ON a.k = x.k WHERE NOT a.d")
        if upserts:
            extras.append("SELECT k, count(*) - 1 AS c FROM a WHERE k IN (SELECT k FROM x) GROUP BY k HAVING c > 0")
        if extras:
            union = " UNION ALL ".join(extras)
            (found.extra,) = self._one(f"SELECT coalesce(sum(c), 0)::BIGINT FROM ({union})")
            if found.extra:
                rows = self._rows(f"SELECT DISTINCT k FROM ({union}) ORDER BY k LIMIT {SHOWN}")
                found.examples["extra"] = [_key(keys, names, k) for (k,) in rows]

    def _differing(self, names: Sequence[str], key: str, number: int) -> list[str]:
        """The columns in which the destination's row of a key differs from the sent one."""
        (sent,) = self._one(f"SELECT c FROM (SELECT n, {self._listed} FROM {self._from_lines}) WHERE n = $1", [number])
        (there,) = self._one(
            f"SELECT c FROM (SELECT {self._listed} FROM {self._from_rows}) WHERE k = $1 LIMIT 1", [key]
        )
        return [name for name, one, other in zip(names, sent, there, strict=True) if one != other]

    def _by_row(self, found: Finding, *, whole: bool) -> None:
        self._db.run(
            "CREATE OR REPLACE TEMP TABLE x AS SELECT e.h, count(*) AS c, min(n) AS n, bool_or(w) AS w,"
            " coalesce(any_value(t.c), 0) AS t FROM e LEFT JOIN (SELECT h, count(*) AS c FROM a GROUP BY h) t"
            " ON e.h = t.h WHERE NOT d GROUP BY e.h"
        )
        found.rows, found.newer, found.missing = self._one(
            "SELECT coalesce(sum(c) FILTER (NOT w), 0)::BIGINT, coalesce(sum(c) FILTER (w), 0)::BIGINT,"
            " coalesce(sum(greatest(c - t, 0)) FILTER (NOT w), 0)::BIGINT FROM x"
        )
        if found.missing:
            rows = self._rows(f"SELECT n FROM x WHERE c > t AND NOT w ORDER BY n LIMIT {SHOWN}")
            found.examples["missing"] = [self._place(found.stream, n) for (n,) in rows]
        if whole:
            (found.extra,) = self._one(
                "SELECT coalesce(sum(greatest(a.c - coalesce(x.c, 0), 0)), 0)::BIGINT"
                " FROM (SELECT h, count(*) AS c FROM a WHERE NOT d GROUP BY h) a LEFT JOIN x ON a.h = x.h"
            )

    def _all_missing(self, sent: Sent, found: Finding, since: Any) -> Finding:
        """Nothing of the stream is there."""
        if sent.rows:
            found.rows = found.missing = sent.rows
            found.note = "the destination has no place for it" if since is None else "nothing of it is there"
        return found

    def _place(self, stream: str, number: int) -> str:
        (at,) = self._one(
            "SELECT count(*) FROM lines WHERE type = 'RECORD' AND stream = $1 AND rowid <= $2", [stream, number]
        )
        return f"row {at:,}"

    def _one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        return self._db.rows(statement, parameters)[0]

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._db.rows(statement)


def pointer(*parts: str) -> str:
    """A JSON pointer: any name is only a name in it (I12)."""
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)


def _text(value: str) -> str:
    """An SQL text."""
    return "'" + value.replace("'", "''") + "'"


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _key(keys: Sequence[str], names: Sequence[str], text: str) -> str:
    """`id=1, day=2026-11-26` of a key's canonical texts."""
    order = [name for name in names if name in keys]
    return ", ".join(f"{name}={value}" for name, value in zip(order, json.loads(text), strict=True))
