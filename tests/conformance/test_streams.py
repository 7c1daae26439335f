"""Streams that no tap should send have the verdict that docs/reference/plugins.md tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import hostile, pair, streams
from tests.conformance.ledger import Ledger
from tests.conformance.targets import TARGETS
from tests.conformance.world import World
from tests.workspace import ROOT, Workspace

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(600)]

TARGET = "target-jsonl"


def test_each_stream_has_the_verdict_that_is_told(plugins: Workspace, world: World, tmp_path: Path) -> None:
    environment = plugins.executable("meltanolabs-target-csv").parents[1]
    found = [*streams.ours(tmp_path), *streams.of_the_sdk(environment)]
    told = Ledger(ROOT / "docs" / "reference")
    assert {one.name: one.what for one in found} == told.streams
    read = dict(hostile.verdicts(plugins, TARGETS[TARGET], found, world, tmp_path / "each"))
    wrong = {
        name: (one, told.verdicts[TARGET][name]) for name, one in read.items() if one != told.verdicts[TARGET][name]
    }
    assert not wrong


def test_a_row_that_a_target_loses_is_found_out(plugins: Workspace, world: World, tmp_path: Path) -> None:
    target = TARGETS["target-duckdb"]
    assert pair.install(plugins, target.plugin) == ""
    (stream,) = (one for one in streams.ours(tmp_path) if one.name == "float-key")
    plain = hostile.verdict(plugins, target, stream, world, tmp_path / "plain")
    assert (plain.code, plain.rows) == (None, 1)
    checked = hostile.verdict(plugins, target, stream, world, tmp_path / "checked", "--verify", "after")
    assert (checked.code, checked.rows) == ("verify.mismatch", 1)
