"""Streams that no tap should send have the verdict that docs/reference/plugins.md tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import hostile, streams
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
