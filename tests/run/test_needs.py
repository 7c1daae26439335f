"""What is proposed from what a plugin tried: the least, grouped, and never keys or homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dativo.bus.events import Access, Connection
from dativo.run.attempt import Seen
from dativo.run.needs import Needs, merged, needs
from dativo.run.places import Own
from tests.run.granting import Bench


@pytest.fixture
def bench(bench: Bench) -> Bench:
    (bench.data / "in").mkdir()
    return bench


def file(bench: Bench, name: str) -> str:
    path = bench.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return str(path)


def of(
    bench: Bench, *tried: tuple[str, str], said: str = "", named: tuple[str, ...] = (), denied=(), **manifest
) -> Needs:
    """The proposal for a plugin that tried these (kind, what)."""
    accesses = [Access("", "tap-x", kind, what, what[0] == "/" and Path(what).exists()) for kind, what in tried]
    seen = Seen(accesses=accesses)
    for host, port in denied:
        seen.connected(Connection("", "tap-x", host, port, outcome="denied"))
    grants = bench.grants(manifest.pop("sandbox", {"network": []}), **manifest)
    return needs(seen, grants, Own.of(bench.project()), lines=[said], named=named)


def test_a_file_is_asked_for_as_itself_and_several_as_their_folder(bench: Bench):
    one, two, three = (file(bench, f"in/{name}.csv") for name in "abc")
    assert of(bench, ("read", one), ("read", two)).read == (one, two)
    assert of(bench, ("read", one), ("read", two), ("run", three)).read == (str(bench.data / "in"),)
    held = {"read": [one, two], "network": []}
    assert of(bench, ("read", one), ("read", three), sandbox=held).read == (str(bench.data / "in"),)


def test_a_folder_that_a_setting_names_is_asked_for_whole(bench: Bench):
    deep = file(bench, "in/2026/a.csv")
    assert of(bench, ("read", deep), named=(str(bench.data / "in"),)).read == (str(bench.data / "in"),)


def test_what_is_granted_or_absent_or_anybodys_is_not_asked_for(bench: Bench):
    one = file(bench, "in/a.csv")
    absent = str(bench.data / "in" / "absent.csv")
    found = of(bench, ("read", one), ("read", absent), ("read", "/usr/bin/env"), ("read", str(bench.data)),
               sandbox={"read": [one], "network": []})  # fmt: skip
    assert not found


def test_a_look_counts_only_when_nothing_was_opened(bench: Bench):
    seen, opened = file(bench, "in/seen"), file(bench, "in/opened")
    assert of(bench, ("look", seen), ("look", str(bench.data / "in"))).read == (seen,)
    assert of(bench, ("look", seen), ("read", opened)).read == (opened,)


def test_settings_of_the_machine_are_left_aside_unless_it_complains(bench: Bench):
    rc = bench.home / ".toolrc"
    rc.touch()
    data = file(bench, "in/a.csv")
    found = of(bench, ("read", str(rc)), ("read", data))
    assert (found.read, found.aside) == ((data,), (str(rc),))
    assert of(bench, ("read", str(rc)), said=f"cannot open {rc}").read == (str(rc),)


def test_keys_are_told_and_never_proposed(bench: Bench):
    key = bench.home / ".ssh" / "id_rsa"
    key.parent.mkdir()
    key.touch()
    found = of(bench, ("read", str(key)), ("read", str(bench.home)), ("read", "/etc/shadow"), ("write", "/etc/passwd"))
    assert not found
    assert {one.what for one in found.withheld} == {str(key), str(bench.home), "/etc/shadow", "/etc/passwd"}
    found = of(bench, ("write", f"{bench.home}/new"))
    assert not found.write and found.withheld[0].what == str(bench.home)


def test_three_files_of_a_home_do_not_make_it_readable(bench: Bench):
    names = [bench.home / name for name in ("a", "b", "c")]
    for path in names:
        path.touch()
    assert of(bench, *(("read", str(path)) for path in names)).read == tuple(map(str, names))


def test_a_new_file_asks_for_its_folder_a_new_folder_for_itself(bench: Bench):
    there = file(bench, "in/there.db")
    new, made = f"{bench.data}/in/new.db", f"{bench.data}/out"
    assert of(bench, ("write", there)).write == (there,)
    assert of(bench, ("write", there), ("write", new)).write == (str(bench.data / "in"),)
    assert of(bench, ("write", made), ("write", f"{made}/a.csv")).write == (made,)
    assert not of(bench, ("write", "/tmp/scratch-of-its-own"))
    assert of(bench, ("write", f"{bench.root}/out.csv")).write == (str(bench.root),)


def test_hosts_come_from_names_that_were_asked_for_and_ports_that_were_tried(bench: Bench):
    assert of(bench, denied=[("db.internal", None)]).network == ("db.internal:443",)
    assert of(bench, denied=[("db.internal", None)], said="cannot reach db.internal port 5432").network == (
        "db.internal:5432",
    )
    held = {"network": ["db.internal:443", "*.x.com:443"]}
    tried = [("connect", one) for one in ("db.internal:5432", "localhost:53", "127.0.2.9:443", "a.x.com:443")]
    assert of(bench, *tried, sandbox=held).network == ("db.internal:5432",)
    assert of(bench, ("connect", "10.0.0.7:80"), ("connect", "localhost:9000")).network == (
        "10.0.0.7:80",
        "localhost:9000",
    )
    found = of(bench, ("connect", "169.254.169.254:80"))
    assert not found and found.withheld[0].what == "169.254.169.254:80"
    assert not of(bench, ("connect", "10.0.0.7:80"), sandbox={"network": "any"})


def test_sockets(bench: Bench):
    path = file(bench, "pg/.s.PGSQL.5432")
    assert of(bench, ("connect", path)).unix == (path,)


def test_proposals_add_up():
    assert merged({"read": ["a"]}, {"read": ["b", "a"], "network": ["h:1"]}) == {
        "read": ("a", "b"),
        "network": ("h:1",),
    }
