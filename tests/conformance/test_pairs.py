"""A few pairs of the table in docs/reference/plugins.md; `make plugins` tries them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import pair
from tests.conformance.conftest import QUICK
from tests.conformance.ledger import Ledger, key
from tests.conformance.taps import TAPS
from tests.conformance.targets import TARGETS
from tests.conformance.world import World
from tests.workspace import ROOT, Workspace

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("tap", "target"), QUICK, ids=[key(*names) for names in QUICK])
def test_every_row_arrives_twice_run_as_the_table_says(
    tap: str, target: str, plugins: Workspace, world: World, place: Path
) -> None:
    found = pair.tried(plugins, TAPS[tap], TARGETS[target], world, place)
    assert (found.first, found.second) == ("ok", "ok")
    told = Ledger(ROOT / "docs" / "reference").pairs[key(tap, target)]
    assert (found.rows, found.again, found.kept, found.bookmark, found.adapted) == (
        told.rows,
        told.again,
        told.kept,
        told.bookmark,
        told.adapted,
    )
