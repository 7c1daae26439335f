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
    for tap, one in TAPS.items()
    if tap not in SQL_TAPS and not one.way
)
INTO = {
    "target-localjson": "tap-jsonl",  # a file for each row
    "target-universal-file": "tap-rest-api-msdk",  # it writes no times
    "scalefree-target-s3-json": "pipelinewise-tap-s3-csv",  # it writes no decimals
    "thk-target-mysql": "tap-jsonfile",  # a statement for each row, and keys of 1,000 characters, which MariaDB refuses
}
"""Taps for targets that cannot load what others can."""
OTHER_TARGETS = tuple(
    (INTO.get(target, "meltanolabs-tap-postgres"), target, None)
    for target, one in TARGETS.items()
    if target not in NINE and not one.way
)
THROUGH_MAPPERS = tuple(("meltanolabs-tap-postgres", "target-jsonl", mapper) for mapper in MAPPERS)
ACROSS = (
    ("tap-rest-api-msdk", "pipelinewise-target-postgres", None),
    ("tap-spreadsheets", "meltanolabs-target-postgres", None),
    ("pipelinewise-tap-s3-csv", "plinxore-target-s3", None),
)
WAYS = (
    ("meltanolabs-tap-postgres in BATCHes", "meltanolabs-target-postgres", None),
    ("meltanolabs-tap-postgres in BATCHes", "target-jsonl", None),
    ("pipelinewise-tap-postgres by the log", "pipelinewise-target-postgres with hard_delete", None),
    ("pipelinewise-tap-mysql by the log", "pipelinewise-target-postgres with hard_delete", None),
)
"""Taps that are not told to read tables."""
PAIRS = (*MATRIX, *OTHER_TAPS, *OTHER_TARGETS, *THROUGH_MAPPERS, *ACROSS, *WAYS)
PLUGINS = {one.plugin.name: one.plugin for table in (TAPS, TARGETS, MAPPERS) for one in table.values()}
