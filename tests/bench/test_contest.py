"""A contest counts what arrives, compares by rows per second, and leaves nobody out silently."""

from tests.bench.contest import Absent, Contender, Contest, Wanted


def contender(tmp_path, name, role, rows, line, **more):
    command = ["/bin/sh", "-c", line]
    return Contender(name, role, rows, lambda: command, {"PATH": "/usr/bin:/bin"}, tmp_path, **more)


def test_the_ratio_is_of_rows_per_second(tmp_path):
    ours = contender(tmp_path, "ours", "dativo", 1000, "sleep 0.2")
    slow = contender(tmp_path, "slow 1.0", "peer", 10, "sleep 0.2", few=True)
    section = Contest("job", ours, [slow], [Wanted("slow", 20.0), Wanted("slow", 1.5, "cpu")]).run(2)
    speed, cpu = section.figures
    assert speed.at_least and not cpu.at_least
    assert 20 < speed.median < 500, speed
    assert speed.kept
    assert [row.name for row in section.rows] == ["ours", "slow 1.0"]
    assert "of 10 rows" in section.text()


def test_one_that_loses_rows_has_no_figure(tmp_path):
    out = tmp_path / "out"
    ours = contender(tmp_path, "ours", "dativo", 3, "true")
    loses = contender(tmp_path, "loses", "peer", 3, f"echo 1 > {out}", count=lambda: len(out.read_text().split()))
    section = Contest("job", ours, [loses, Absent("gone", "not installed: no such package")], [Wanted("loses", 1)]).run(
        1
    )
    missing = {row.name: row.missing for row in section.rows if row.missing}
    assert missing == {
        "loses": "1 of 3 rows arrived",
        "gone": "not installed: no such package",
    }
    assert "not measured: not installed: no such package" in section.text()


def test_ours_must_run(tmp_path):
    ours = contender(tmp_path, "ours", "dativo", 3, "echo broken >&2; exit 1")
    other = contender(tmp_path, "other", "peer", 3, "true")
    section = Contest("job", ours, [other], [Wanted("other", 1)]).run(1)
    assert not section.kept
    assert {row.name: row.missing for row in section.rows}["ours"] == "exit 1: broken"
    assert {row.name: row.missing for row in section.rows}["other"] == ""
