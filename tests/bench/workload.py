"""The file that is passed through: Singer lines of 20 mixed columns, the same bytes on every machine."""

from __future__ import annotations

import json
import random
from pathlib import Path

BLOCK_ROWS = 10_000
_STATUS = ("new", "paid", "packed", "shipped", "returned")
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty", "knoll", "larch")
_SCHEMA = {
    "type": "object",
    "properties": {
        **{name: {"type": ["integer", "null"]} for name in ("id", "account", "quantity", "rank")},
        **{name: {"type": ["number", "null"]} for name in ("price", "discount", "tax", "total")},
        **{name: {"type": ["string", "null"]} for name in ("code", "status", "mail", "name", "country", "note", "ref")},
        **{name: {"type": ["boolean", "null"]} for name in ("active", "gift")},
        **{name: {"type": ["string", "null"], "format": "date-time"} for name in ("created", "updated")},
        "meta": {"type": ["object", "null"]},
    },
}


def _record(rng: random.Random, row: int) -> dict[str, object]:
    day = f"2024-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    return {
        "id": row,
        "account": rng.randrange(1, 200_000),
        "quantity": rng.randrange(1, 20),
        "rank": None if rng.random() < 0.3 else rng.randrange(100),
        "price": rng.randrange(99, 99_999) / 100,
        "discount": rng.random() * 0.3,
        "tax": rng.choice((0.0, 0.07, 0.19)),
        "total": rng.randrange(1, 10**7) / 1000,
        "code": f"ORD-{row:010}",
        "status": rng.choice(_STATUS),
        "mail": f"{rng.choice(_WORDS)}.{row % 9973}@example.com",
        "name": f"{rng.choice(_WORDS)} Müller",
        "country": rng.choice(("DE", "BR", "TR")),
        "note": " ".join(rng.choices(_WORDS, k=rng.randrange(3, 14))) + rng.choice(("", ' "quoted"')),
        "ref": f"{rng.getrandbits(128):032x}",
        "active": rng.random() < 0.8,
        "gift": None,
        "created": f"{day}T10:11:12.131415+00:00",
        "updated": f"{day}T11:00:00+00:00",
        "meta": {
            "source": rng.choice(("web", "app")),
            "tags": rng.sample(_WORDS, 2),
            "geo": {"lat": 1.5, "lon": -2.25},
        },
    }


def write_singer_file(path: Path, megabytes: int) -> int:
    """Write SCHEMA, then blocks of records each closed by a STATE, up to `megabytes` MB; returns the number of rows."""
    rng = random.Random(20_261_123)
    dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    head = {"type": "SCHEMA", "stream": "public-orders", "schema": _SCHEMA, "key_properties": ["id"]}
    block = "".join(
        dump({"type": "RECORD", "stream": "public-orders", "record": _record(rng, row)}) + "\n"
        for row in range(BLOCK_ROWS)
    ).encode()
    rows = 0
    with path.open("wb") as out:
        out.write(dump(head).encode() + b"\n")
        while out.tell() < megabytes * 1_000_000:
            out.write(block)
            rows += BLOCK_ROWS
            state = {"type": "STATE", "value": {"bookmarks": {"public-orders": {"rows": rows}}}}
            out.write(dump(state).encode() + b"\n")
    return rows
