"""A plugin of the package index, unmodified, with one of ours at its other end, which should hide behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.bench import arrivals, ours, singers
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted

NAME = "foreign"
WALL = 1.1
RELIEF = 2.3
"""How much faster a target is that need not validate."""


def contests(arena: Arena) -> list[Contest]:
    """An SDK tap into our columnar targets, and our tap into a target that reads records."""
    name, rows = arena.table(few=True)
    parquet, lines = arena.out(f"{NAME}-parquet"), arena.out(f"{NAME}-lines")
    alone, database = arena.out(f"{NAME}-alone"), arena.out(f"{NAME}-duckdb") / "orders.duckdb"
    tap = ours.foreign_tap_postgres(arena, name)
    tap_alone = singers.pair(arena, rows, singers.tap_postgres(arena, name), None)

    def of_duckdb() -> int:
        return arrivals.duckdb_rows(database)

    return [
        Contest(
            "meltanolabs-tap-postgres into our target-duckdb",
            ours.run(
                arena,
                rows,
                tap,
                ours.target_duckdb(database),
                prepare=lambda: database.unlink(missing_ok=True),
                count=of_duckdb,
            ),
            [tap_alone],
            (Wanted("meltanolabs-tap-postgres", WALL, "wall"),),
        ),
        Contest(
            "meltanolabs-tap-postgres into our target-parquet",
            ours.run(
                arena,
                rows,
                tap,
                ours.target_parquet(parquet),
                prepare=arena.emptied(parquet),
                count=arrivals.of(arrivals.parquet, parquet),
            ),
            [tap_alone],
            (Wanted("meltanolabs-tap-postgres", WALL, "wall"),),
        ),
        Contest(
            "our tap-postgres into target-jsonl of the package index",
            ours.run(
                arena,
                rows,
                ours.tap_postgres(arena, name),
                ours.foreign_target_jsonl(lines),
                prepare=arena.emptied(lines),
                count=arrivals.of(arrivals.json_lines, lines),
            ),
            [
                singers.target_alone(
                    arena,
                    rows,
                    singers.target_jsonl(alone),
                    arena.files(few=True).singer,
                    prepare=arena.emptied(alone),
                    count=arrivals.of(arrivals.json_lines, alone),
                )
            ],
            (Wanted("target-jsonl", WALL, "wall"),),
        ),
    ]


def validated_once(arena: Arena) -> Contest:
    """meltanolabs-target-postgres behind the bus, which validates, and in a bare pipe, where it does so itself.

    Both with `use_copy`, its faster way to write: what validation costs it shows best there.
    """
    files = arena.files(few=True)
    tap = _tap_cat(arena.scratch / "tap-cat", files.singer)
    copying = {"use_copy": True}
    bare = singers.target_postgres(arena, "bare")
    target = replace(bare, config={**bare.config, **copying})
    behind = ours.foreign_target_postgres(arena, "behind_bus")
    schemas = {"here": "behind_bus", "there": "bare"}
    kept = {
        key: {
            "prepare": lambda schema=schema: arena.database.empty_schema(schema),
            "count": lambda schema=schema: arena.database.count(f"{schema}.orders"),
        }
        for key, schema in schemas.items()
    }
    grant = {"sandbox": {"read": [str(files.singer)]}}
    return Contest(
        "meltanolabs-target-postgres with use_copy, validation in the bus",
        ours.run(
            arena,
            files.rows,
            ours.End("tap-cat", str(tap), {}, grant),
            replace(behind, config={**behind.config, **copying}),
            **kept["here"],
        ),
        [singers.target_alone(arena, files.rows, target, files.singer, **kept["there"])],
        (
            Wanted("meltanolabs-target-postgres", RELIEF),
            Wanted("meltanolabs-target-postgres", 1 / RELIEF, "cpu"),
        ),
        settle=arena.database.settle,
    )


def _tap_cat(script: Path, file: Path) -> Path:
    script.write_text(f'#!/bin/sh\ncase "$*" in *--about*|*--help*) exit 2;; esac\nexec cat {file}\n', "utf-8")
    script.chmod(0o755)
    return script
