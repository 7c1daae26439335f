"""Which pairs are tried: the 36 that singer's users have most, and every other plugin with one that runs."""

from __future__ import annotations

from tests.conformance.mappers import MAPPERS
from tests.conformance.taps import TAPS
from tests.conformance.targets import TARGETS

SQL_TAPS = ("meltanolabs-tap-postgres", "pipelinewise-tap-postgres", "tap-mysql", "pipelinewise-tap-mysql")
NINE = (
    "target-jsonl",
    "meltanolabs-target-csv",
    "meltanolabs-target-postgres",
    "pipelinewise-target-postgres",
    "target-duckdb",
    "target-sqlite",
    "singer-target-postgres",
    "target-csv",
    "target-sqlite-sdk",
)
MATRIX = tuple((tap, target, None) for tap in SQL_TAPS for target in NINE)
"""4 taps x 9 targets."""
OTHER_TAPS = tuple(
    (tap, "meltanolabs-target-csv" if tap.startswith(("tap-csv", "tap-dbf")) else "target-jsonl", None)
    for tap in TAPS
    if tap not in SQL_TAPS
)
OTHER_TARGETS = tuple(
    (
        "tap-jsonl" if target in ("target-localjson", "target-universal-file") else "meltanolabs-tap-postgres",
        target,
        None,
    )
    for target in TARGETS
    if target not in NINE
)
THROUGH_MAPPERS = tuple(("meltanolabs-tap-postgres", "target-jsonl", mapper) for mapper in MAPPERS)
ACROSS = (
    ("tap-rest-api-msdk", "pipelinewise-target-postgres", None),
    ("tap-spreadsheets", "meltanolabs-target-postgres", None),
    ("pipelinewise-tap-s3-csv", "plinxore-target-s3", None),
)
PAIRS = (*MATRIX, *OTHER_TAPS, *OTHER_TARGETS, *THROUGH_MAPPERS, *ACROSS)
PLUGINS = {name: one.plugin for table in (TAPS, TARGETS, MAPPERS) for name, one in table.items()}
