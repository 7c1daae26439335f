"""The page and the plot say what was measured, and who was not."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

from tests.bench import page, plot
from tests.bench.figures import Figure, Row, Section

SECTION = Section(
    "PostgreSQL to <Parquet>",
    (
        Row("COPY", "limit", 1_000_000, 500_000.0, 0.4, 8.0),
        Row("dativo run tap-postgres target-parquet", "dativo", 1_000_000, 300_000.0, 3.0, 150.0),
        Row("meltano 4.4.1: a | b", "peer", 50_000, 6_000.0, 150.0, 300.0, few=True),
        Row("gone 1.0", "peer", 0, missing="not installed: no such package"),
    ),
    (
        Figure.of("to COPY", "x", [0.5, 0.6, 0.7], 0.55, at_least=True),
        Figure.of("to gone", "x", [1.0], 2.2, at_least=True),
        Figure("memory", "MB", 150.0, 400.0),
        Figure("anything", "x", 3.0, None),
    ),
    ("a remark",),
)


def test_a_bound_is_kept_or_missed():
    assert [figure.kept for figure in SECTION.figures] == [True, False, True, True]
    assert [figure.wanted for figure in SECTION.figures] == ["at least 0.55", "at least 2.2  MISSED", "at most 400", ""]
    assert not SECTION.kept
    assert (SECTION.figures[0].low, SECTION.figures[0].median, SECTION.figures[0].high) == (0.5, 0.6, 0.7)


def test_the_page_names_all(tmp_path):
    told = {"machine": page.machine(), "rows": 1_000_000, "few": 50_000}
    page.write(tmp_path, told, [SECTION])
    lines = (tmp_path / "benchmarks.md").read_text("utf-8").splitlines()
    assert "| **dativo run tap-postgres target-parquet** | 300,000 | 3.00 | 150 |" in lines
    assert "| meltano 4.4.1: a \\| b (50,000 rows) | 6,000 | 150.00 | 300 |" in lines
    assert "| gone 1.0 | not measured: not installed: no such package | | |" in lines
    assert "| to gone | 1.00 x | 1.00 to 1.00 | at least 2.2  MISSED |" in lines
    read = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))
    assert [row["rows_s"] for row in read["sections"][0]["rows"]] == [500_000.0, 300_000.0, 6_000.0, 0.0]
    assert [figure["kept"] for figure in read["sections"][0]["figures"]] == [True, False, True, True]


def test_a_part_that_is_measured_again_takes_its_old_place_and_the_others_stay(tmp_path):
    told = {"machine": page.machine(), "rows": 1_000_000, "few": 50_000}
    page.write(tmp_path, told, [SECTION, Section("b", measured="yesterday")])
    page.write(tmp_path, told, [Section("c"), replace(SECTION, figures=(), measured="today")])
    read = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))["sections"]
    assert [(one["title"], one["measured"]) for one in read] == [
        (SECTION.title, "today"),
        ("b", "yesterday"),
        ("c", ""),
    ]
    assert Section.from_dict(read[0]) == replace(SECTION, figures=(), measured="today")
    page.write(tmp_path, told | {"machine": "another"}, [Section("c")])
    assert [one["title"] for one in json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))["sections"]] == ["c"]


def test_the_plot_has_a_bar_for_each_that_was_measured():
    drawn = ElementTree.fromstring(plot.svg([SECTION, Section("figures only")]))
    bars = [float(one.attrib["width"]) for one in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(bars) == 3
    assert bars == sorted(bars, reverse=True)
    assert bars[1] / bars[0] == 0.6
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "PostgreSQL to <Parquet>, rows per second"
    assert "300,000" in texts
