"""`python -m tests.bench [--rows N] [--rounds N] [--only NAME] [--json] [--write FOLDER]`: figures beside limits."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.bench import (
    airbyte,
    confinement,
    csv_jsonl,
    csv_postgres,
    data_plane,
    databases,
    foreign,
    installs,
    meltano_projects,
    mending,
    page,
    parallel,
    postgres_jsonl,
    postgres_parquet,
    postgres_postgres,
    shapes,
    sizes,
    transcoding,
    validation,
)
from tests.bench.arena import Arena
from tests.bench.contest import Contest
from tests.bench.figures import Section
from tests.bench.workload import write_singer_file

FEW = 150_000
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dativo" / "bench"

CONTESTS: dict[str, Callable[[Arena], list[Contest]]] = {
    "postgres-parquet": lambda arena: [postgres_parquet.contest(arena)],
    "postgres-postgres": lambda arena: [postgres_postgres.contest(arena)],
    "postgres-jsonl": lambda arena: [postgres_jsonl.contest(arena)],
    "csv-postgres": lambda arena: [csv_postgres.contest(arena)],
    "csv-jsonl": lambda arena: [csv_jsonl.contest(arena)],
    "foreign": foreign.contests,
    "validated-once": lambda arena: [foreign.validated_once(arena)],
    "parallel": lambda arena: [parallel.contest(arena)],
    "shapes": shapes.contests,
    "meltano": meltano_projects.contests,
}
FIGURES = ("bus", "confinement", "mending", "airbyte", "installs", "transcoding", "sizes")


def bus(scratch: Path, megabytes: int, rounds: int) -> Section:
    """What the data plane costs by itself."""
    file = scratch / "orders.singer.jsonl"
    rows = write_singer_file(file, megabytes)
    figures = [*data_plane.figures(file, scratch, rounds), *validation.figures(file, scratch, rounds)]
    file.unlink()
    return Section(f"The bus alone, {rows:,} records in {megabytes} MB", figures=tuple(figures))


def sections(names: list[str], args: argparse.Namespace, scratch: Path) -> Iterator[Section]:
    """Each as soon as it is measured."""
    if "bus" in names:
        yield bus(scratch, args.megabytes, args.rounds)
    if "confinement" in names:
        yield Section("The sandbox", figures=tuple(confinement.figures(scratch, args.rounds)))
    if "mending" in names:
        yield Section("A run that is mended", figures=tuple(mending.figures(scratch, min(args.rounds, 3))))
    if "airbyte" in names:
        yield Section("Airbyte sources", figures=tuple(airbyte.figures(scratch, min(args.rounds, 3))))
    if "installs" in names:
        yield Section("Installs", figures=tuple(installs.figures(scratch, args.rounds)))
    if "transcoding" in names:
        yield transcoding.section(CACHE, args.rounds)
    if not set(names) - set(FIGURES) and "sizes" not in names:
        return
    with databases.served() as database:
        arena = Arena(args.rows, min(args.rows, args.few), scratch, CACHE, database)
        for name, contests in CONTESTS.items():
            if name in names:
                for contest in contests(arena):
                    yield contest.run(args.rounds)
        if "sizes" in names:
            yield sizes.section(arena)


def main() -> int:
    """Measure, print, and exit 1 when a figure misses its limit or one of ours does not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the tables")
    parser.add_argument("--few", type=int, default=FEW, help="rows for those that are slow")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of each comparison")
    parser.add_argument("--megabytes", type=int, default=500, help="what goes through the bus alone")
    parser.add_argument("--only", metavar="NAME", action="append", choices=[*FIGURES, *CONTESTS], help="repeatable")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="also into benchmarks.md, .json and .svg in there")
    args = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory(prefix="dativo-bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        quick = os.environ.get("CARGO_PROFILE_RELEASE_LTO") == "off"
        how = ", our plugins built without link-time optimisation" if quick else ""
        day = f"{datetime.date.today():%Y-%m-%d}, {args.rounds} pairs{how}"
        for section in sections(args.only or [*FIGURES, *CONTESTS], args, scratch):
            measured.append(replace(section, measured=day))
            if not args.json:
                sys.stdout.write(section.text() + "\n\n")
                sys.stdout.flush()
    told = {"machine": page.machine(), "rows": args.rows, "few": args.few}
    if args.json:
        found = [section.as_dict() for section in measured]
        sys.stdout.write(json.dumps({**told, "sections": found}, indent=1) + "\n")
    if args.write:
        page.write(args.write, told, measured)
    return 0 if all(section.kept for section in measured) else 1


if __name__ == "__main__":
    raise SystemExit(main())
