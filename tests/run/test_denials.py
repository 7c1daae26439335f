"""A run that failed because of its sandbox says so, and names the words that allow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dativo import errors
from dativo.bus.events import Confined, Connection, End, Exited
from dativo.observe.log import PluginLog
from dativo.run import conclusion, denials
from dativo.run.attempt import CONNECTIONS, Seen
from dativo.run.bounds import Bounds
from dativo.run.grants import Grants
from dativo.run.interrupts import Interrupts


def grants(**more) -> Grants:
    origins = {"db.internal:5432": "from its config"}
    return Grants(**{"name": "tap-x", "profile": "standard", "bounds": Bounds.defaults(), "origins": origins, **more})


def failed(code: str = "plugin.exited") -> errors.DativoError:
    return errors.from_code(code, "tap-x exited with 1", details=("bookmark unchanged",), context={"plugin": "tap-x"})


def explained(lines=(), seen=None, role="tap", code="plugin.exited", **more) -> errors.DativoError:
    return denials.explained(failed(code), grants(**more), role, seen=seen or Seen(), lines=lines)


def denied(*hosts, child="tap-x") -> Seen:
    seen = Seen()
    for host, port in hosts:
        seen.connected(Connection(child=child, host=host, port=port, outcome="denied", reason="not granted"))
    return seen


def test_a_host_that_was_denied():
    found = explained(seen=denied(("db2.internal", 5432)), network=("db.internal:5432",))
    assert found.message == "tap-x tried to reach db2.internal:5432, which it may not"
    assert found.details == ("allowed: db.internal:5432 (from its config)", "bookmark unchanged")
    assert found.remedy == "to allow it: dativo allow tap-x --network db2.internal:5432"
    assert (found.code, found.exit_code) == ("plugin.network.denied", 2)


@pytest.mark.parametrize(
    ("line", "network", "port"),
    [
        ('connection to server at "db2", port 6543 failed', (), 6543),
        ("HTTPSConnectionPool(host='db2', port=8443): Max retries", (), 8443),
        ("dial tcp db2:9000: lookup db2", (), 9000),
        ("no idea", ("db:5432",), 5432),
        ("no idea", (), 443),
        ("at 2026-11-23T06:10:00 it failed", (), 443),
    ],
)
def test_a_port_that_nobody_tried_is_read_from_what_it_said(line, network, port):
    found = explained([line], denied(("db2", None)), network=network)
    assert found.remedy.endswith(f"--network db2:{port}")


def test_others_denials_and_other_failures_are_no_reason():
    assert explained(seen=denied(("h", 1), child="target-y")).code == "plugin.exited"
    for code in ("limit.memory", "run.cancelled", "data.invalid_json"):
        assert explained(seen=denied(("h", 1)), code=code).code == code
    assert explained(seen=denied(("h", 1)), profile="off").code == "plugin.exited"


@pytest.mark.parametrize(
    "line",
    [
        "PermissionError: [Errno 13] Permission denied: '{}'",
        "FileNotFoundError: [Errno 2] No such file or directory: '{}'",
        'IO Error: Cannot open file "{}": No such file or directory',
        "open {}: no such file or directory",
        "cannot read {}: Permission denied (os error 13)",
        "Error: EACCES: permission denied, open '{}'",
    ],
)
def test_a_file_that_is_there_and_not_granted(tmp_path: Path, line: str):
    file = tmp_path / "a b.csv" if "'" in line or '"' in line else tmp_path / "a.csv"
    file.touch()
    found = explained(["starting", line.format(file), "bye"])
    assert found.code == "plugin.file.denied"
    assert found.message == f"tap-x tried to read {file}, which it may not"
    assert found.remedy == f"to allow it: dativo allow tap-x --read {file}"
    assert explained([line.format(file)], read=(str(tmp_path),)).code == "plugin.exited"
    assert explained([line.format(tmp_path / "never.csv")]).code == "plugin.exited"


def test_a_target_meant_to_write(tmp_path: Path):
    lines = [f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path}/new.csv'"]
    found = explained(lines, role="target")
    assert found.remedy == f"to allow it: dativo allow tap-x --write {tmp_path}"
    assert explained(lines, role="target", write=(str(tmp_path),)).code == "plugin.exited"
    (tmp_path / "ca.pem").touch()
    assert "--read" in explained([f"Permission denied: '{tmp_path}/ca.pem'"], role="target").remedy
    found = explained([f"OSError: [Errno 30] Read-only file system: '{tmp_path}/x'"])
    assert found.remedy.endswith(f"--write {tmp_path}")


def test_what_the_sandbox_lacks_is_one_line():
    note = denials.missing_note(
        {"tap-x": Confined(missing=("stat of files", "kill_all")), "target-y": Confined(missing=("kill_all",))}
    )
    assert note == "this machine's sandbox lacks: stat of files (tap-x); kill_all"
    assert denials.missing_note({"tap-x": Confined()}) is None


def test_connections_are_counted_and_bounded():
    seen = Seen()
    for outcome, sent in (("open", 0), ("closed", 5), ("open", 0), ("closed", 7)):
        seen.connected(Connection(child="t", host="h", port=1, outcome=outcome, sent=sent, received=1))
    (one,) = conclusion.summarise(seen, run="r", job=None, hold=None).as_dict()["connections"]
    assert (one["plugin"], one["host"], one["open"], one["sent"]) == ("t", "h", 2, 12)
    for number in range(2 * CONNECTIONS):
        seen.connected(Connection(child="t", host=f"h{number}", port=1, outcome="denied"))
    assert len(seen.connections) == CONNECTIONS


class _Step:
    name, ours, role = "tap-postgres", False, "tap"
    grants = grants(bounds=Bounds.defaults().within({"memory": 1 << 30}, "jobs.shop.limits"))


def test_a_limit_that_was_hit():
    message = "tap-postgres was killed (memory 1.00 GiB reached limits.memory 1G)"
    streams = {"public-orders": {"records": 1_204_311, "bytes": 5}}
    about = {"child": "tap-postgres", "setting": "limits.memory", "streams": streams}
    end = End(verdict="interrupted", reason="limit.memory", message=message, **about)
    seen = Seen(end=end, exits={"tap-postgres": Exited(child="tap-postgres", signal=9)})
    summary = conclusion.summarise(seen, run="r", job=None, hold=None)
    log = PluginLog(shown=True)
    log.line("tap-postgres", "INFO fine so far")
    found = conclusion.problem(seen, summary, [_Step()], log, Interrupts())
    assert found.message == f"{message} after 1,204,311 rows of public-orders"
    assert found.remedy == "raise jobs.shop.limits.memory, now 1G, or select fewer columns"
    assert (found.code, found.exit_code) == ("limit.memory", 1)
