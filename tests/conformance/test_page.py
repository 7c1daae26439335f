"""The page says what the numbers say, and how two tables are compared."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance import found, page, pair, plan
from tests.conformance.hostile import Verdict
from tests.conformance.ledger import Ledger, key
from tests.conformance.plugin import Outcome
from tests.pipelines.rows import Table
from tests.workspace import ROOT

AIRLINES = [{"carrier": "AA", "name": "American"}, {"carrier": "UA", "name": "United"}]


def test_the_page_is_what_the_numbers_say() -> None:
    folder = ROOT / "docs" / "reference"
    assert (folder / page.NAME).read_text("utf-8") == page.text(Ledger(folder)), "run `make plugins`"


def test_a_run_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    first.note("tap-mysql", kind="tap", install="")
    first.pairs[key("tap-mysql", "target-jsonl")] = Outcome(
        "tap-mysql", "target-jsonl", rows={"airlines": 16}, first="ok", second="ok", adapted=["t: multipleOf"]
    )
    first.streams, first.verdicts = {"bom": "a mark"}, {"target-jsonl": {"bom": Verdict(0, None, 2)}}
    first.save()
    second = Ledger(tmp_path)
    assert second.as_dict() == first.as_dict()
    told = page.text(second)
    assert "| `tap-mysql` | 1.17.7 | tap | 3.11 | `target-jsonl` | 16 | ok | ok | none | t: multipleOf |" in told
    assert "| bom | a mark | 2 rows |" in told
    assert json.loads((tmp_path / "plugins.json").read_text("utf-8"))["verdicts"]["target-jsonl"]["bom"]["rows"] == 2


def test_each_plugin_is_in_a_pair() -> None:
    assert len(plan.MATRIX) == 36
    assert {name.partition(" ")[0] for names in plan.PAIRS for name in names if name} == plan.PLUGINS.keys()


def test_values_are_compared_whatever_types_a_target_keeps(tmp_path: Path) -> None:
    wanted = Table("airlines", AIRLINES)
    (tmp_path / "public-airlines-1.csv").write_text(
        "name,carrier,_sdc_batched_at\nUnited,UA,x\nAmerican,AA,x\n", "utf-8"
    )
    assert found.tables(["airlines"], found.folder(tmp_path))["airlines"].checksum == wanted.checksum
    (tmp_path / "public-airlines-2.jsonl").write_text('{"CARRIER":"UA","NAME":"United"}\n', "utf-8")
    there = found.tables(["airlines"], found.folder(tmp_path))["airlines"]
    assert pair.difference(there, wanted) == "airlines: 0 of 2 rows missing, 1 others"
    assert pair.kept({"airlines": there}, {"airlines": wanted}, again=1) == "appended"
    assert list(pair.foreign({"airlines": there}, {"airlines": wanted})) == []
    other = Table("airlines", [{"carrier": "ua", "name": "United"}])
    assert list(pair.foreign({"airlines": other}, {"airlines": wanted})) == [
        "airlines: 1 rows that the source does not have"
    ]
