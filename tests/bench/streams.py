"""Several streams of one tap at once: four equal tables through a tap that is limited by its processor time."""

from __future__ import annotations

from tests.bench import arrivals, ours
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted

NAME = "parallel"
STREAMS = 4
SPEED = 1.7


def contest(arena: Arena) -> Contest:
    """`--parallel 2` against the same run without it."""
    name, few = arena.table(few=True)
    rows = few // STREAMS
    schema = "four"
    arena.database.empty_schema(schema)
    for number in range(STREAMS):
        table = f"{schema}.part_{number}"
        arena.database.server.sql(f"create table {table} as select * from {name} where id <= {rows}")
        arena.database.server.sql(f"alter table {table} add primary key (id)")
    tap = ours.foreign_tap_postgres(arena, name)
    four = ours.End(
        tap.plugin, tap.request, {**tap.config, "filter_schemas": [schema]}, {"select": [f"{schema}-part_*.*"]}
    )
    sides = {}
    for side, words in (("parallel", ["--parallel", "2"]), ("serial", [])):
        folder = arena.out(f"{NAME}-{side}")
        sides[side] = ours.run(
            arena,
            rows * STREAMS,
            four,
            ours.target_jsonl(folder),
            words,
            prepare=arena.emptied(folder),
            count=arrivals.of(arrivals.json_lines, folder),
        )
    serial = sides["serial"]
    return Contest(
        f"{STREAMS} streams of meltanolabs-tap-postgres, two at once",
        sides["parallel"],
        [serial],
        (Wanted(serial.name, SPEED),),
        settle=arena.database.settle,
    )
