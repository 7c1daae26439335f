"""Ten times fewer and ten times more rows: processor time per row and memory stay what they are."""

from __future__ import annotations

from tests.bench import arrivals, ours, trees
from tests.bench.arena import Arena
from tests.bench.contest import Absent, Contender
from tests.bench.figures import Figure, Row, Section
from tests.bench.tables import ORDERS

NAME = "sizes"
STEPS = (0.1, 1, 10)
SPREAD = 1.1
"""The dearest size to the cheapest."""


def section(arena: Arena) -> Section:
    """PostgreSQL to Parquet in three sizes, each beyond a run of one row."""
    title = "PostgreSQL to Parquet, ten times fewer and ten times more rows"
    rows: list[Row] = []
    cpu: dict[int, float] = {}
    peak: dict[int, float] = {}
    start = 0.0
    for count in (1, *(max(1, int(arena.rows * step)) for step in STEPS)):
        table = _table(arena, count)
        folder = arena.out(f"{NAME}-{count}")
        job = ours.run(
            arena,
            count,
            ours.tap_postgres(arena, table),
            ours.target_parquet(folder),
            prepare=arena.emptied(folder),
            count=arrivals.of(arrivals.parquet, folder),
        )
        row, cost = _measured(arena, job, count)
        rows.append(row)
        if cost is None:
            return Section(title, tuple(rows))
        if count == 1:
            start = cost.cpu
        else:
            cpu[count], peak[count] = (cost.cpu - start) / count * 1e6, cost.peak / 1e6
        arena.emptied(folder)()
        arena.database.server.sql(f"drop table {table}")
    note = "; ".join(
        f"{count:,} rows {seconds:.2f} CPU s/M rows, {peak[count]:.0f} MB" for count, seconds in cpu.items()
    )
    return Section(
        title,
        tuple(rows),
        (
            Figure(
                "CPU per row, the dearest size to the cheapest",
                "x",
                max(cpu.values()) / min(cpu.values()),
                SPREAD,
                note=note,
            ),
            Figure(
                "memory, the largest size to the middle one",
                "x",
                list(peak.values())[2] / list(peak.values())[1],
                SPREAD,
            ),
        ),
    )


def _table(arena: Arena, count: int) -> str:
    """The table, cut or repeated to so many rows."""
    source, there = arena.table()
    name = f"sized_{count}"
    columns = ", ".join(column for column, _ in ORDERS.columns[1:])
    arena.database.server.sql(ORDERS.create(name))
    for first in range(0, count, there):
        arena.database.server.sql(
            f"insert into {name} select {first} + id, {columns} from {source} where id <= {count - first}"
        )
    arena.database.server.sql(f"analyze {name}")
    return name


def _measured(arena: Arena, job: Contender | Absent, count: int) -> tuple[Row, trees.Cost | None]:
    if isinstance(job, Absent):
        return Row(job.name, job.role, 0, missing=job.reason), None
    try:
        job.run(arena.database.settle)  # a warm-up
        job.costs.append(job.run(arena.database.settle))
    except trees.Failed as failed:
        return job.row(str(failed)), None
    row = job.row()
    return Row(f"{count:,} rows", row.role, row.rows, row.rows_s, row.cpu_s, row.peak_mb), job.costs[0]
