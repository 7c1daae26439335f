from __future__ import annotations

import io

from dativo.observe.log import KEPT, PluginLog


def test_shown_lines_are_prefixed_and_clean():
    out = io.StringIO()
    log = PluginLog(shown=True, out=out)
    log.line("tap-x", "hello\x1b[0m\n")
    log.line("tap-x", "later", dropped=1200)
    assert out.getvalue() == "  tap-x | hello\\x1b[0m\n  tap-x | … 1,200 lines left out\n  tap-x | later\n"
    log.show_last("tap-x")
    assert out.getvalue().count("hello") == 1


def test_the_last_lines_of_a_failing_plugin():
    out = io.StringIO()
    log = PluginLog(shown=False, out=out)
    for number in range(KEPT + 5):
        log.line("tap-x", f"line {number}")
    log.line("target-y", "fine")
    assert out.getvalue() == ""
    log.show_last("tap-x", but=lambda line: line == "line 14")
    shown = out.getvalue().splitlines()
    assert shown == [f"  tap-x | line {number}" for number in range(5, KEPT + 4)]
    assert log.last("nobody") == []
