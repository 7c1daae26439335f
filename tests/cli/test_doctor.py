import fcntl
import json
import time

import pytest

from dativo.cli import doctor, main
from dativo.state.store import Store

BUS = """#!/bin/sh
case $1 in --version) echo dativo-bus {version};; *) cat "$0.probe";; esac
"""
WORKS = {"works": True}
LAYERS = (
    "no_new_privs", "subreaper", "memfd_seal", "pidfd", "landlock", "seccomp", "seccomp_notify",
    "user_namespace", "mount_namespace", "pid_namespace", "proc_mount", "network_namespace", "ipc_namespace", "cgroup",
)  # fmt: skip
HELD = {"available": True, "layout": "namespaces"}
ALL = {
    "kernel": "6.18.44-x", "root": False, "landlock": 7,
    "layers": dict.fromkeys(LAYERS, WORKS),
    "profiles": {"limits": {"available": True, "layout": "none"}, "standard": HELD, "strict": HELD},
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project with a data plane that only knows its version."""
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATIVO_BUS", str(tmp_path / "bus"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dativo.yml").touch()
    install_bus(tmp_path, doctor_version())
    return tmp_path


def doctor_version():
    from dativo import __version__

    return __version__


def install_bus(folder, version):
    path = folder / "bus"
    path.write_text(BUS.format(version=version))
    path.chmod(0o755)
    probed(folder)


def probed(folder, **changes):
    """What the data plane says that it found: all works, but for `changes` of layers and profiles."""
    said = json.loads(json.dumps(ALL))
    for name, value in changes.items():
        place = said["profiles"] if name in said["profiles"] else said["layers"] if name in said["layers"] else said
        place[name] = value
    (folder / "bus.probe").write_text(json.dumps(said))


def diagnose(capsys, code):
    """The findings by name, as --json tells them."""
    assert main.main(["doctor", "--json"]) == code, capsys.readouterr()
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] == (code == 0)
    return {one["name"]: one for one in told["checks"]}


def test_all_is_well(here, capsys):
    found = diagnose(capsys, 0)
    assert {one["verdict"] for one in found.values()} <= {"ok", "off"}
    assert found["dativo-bus"]["detail"].startswith(doctor_version())
    assert found["uv"]["detail"].split()[0][0].isdigit()
    assert found["state store"]["detail"].startswith("none yet")
    assert found["plugins"]["detail"] == "none in dativo.lock"


def test_the_table_names_each_check(here, capsys):
    assert main.main(["doctor"]) == 0
    first, second, *lines = capsys.readouterr().out.splitlines()
    assert first == "  kernel 6.18   landlock 7 yes  seccomp yes  user namespaces yes  cgroup memory yes"
    assert second.startswith("  strict is available · state store none yet")
    assert all(line.split()[0] in ("ok", "off") for line in lines)
    for name in ("kernel", "landlock", "dativo-bus", "state store", "clock"):
        assert any(f" {name} " in line for line in lines)


def test_what_is_missing_is_named_with_what_to_do(here, monkeypatch, capsys):
    monkeypatch.setenv("DATIVO_BUS", str(here / "nowhere"))
    assert main.main(["doctor"]) == 3
    said = capsys.readouterr()
    assert any(line.split()[:2] == ["missing", "dativo-bus"] for line in said.out.splitlines())
    assert "  dativo-bus: install dativo-native, or set DATIVO_BUS\n" in said.out
    assert f"    {here / 'nowhere'}  (DATIVO_BUS)\n" in said.out
    assert "1 missing: dativo-bus" in said.err


def test_a_data_plane_of_another_version_does_not_do(here, capsys):
    install_bus(here, "9.9.9")
    assert "same version" in diagnose(capsys, 3)["dativo-bus"]["hint"]


def test_a_data_plane_that_does_not_run_does_not_do(here, capsys):
    (here / "bus").write_text("#!/bin/sh\nexit 7\n")
    assert "ended with 7" in diagnose(capsys, 3)["dativo-bus"]["detail"]
    (here / "bus").write_bytes(b"\x7fELF nonsense")
    assert "does not run" in diagnose(capsys, 3)["dativo-bus"]["detail"]


def test_the_state_store_is_checked(here, capsys):
    path = here / ".dativo" / "state.db"
    with Store.open(path) as store:
        store.set("j", "{}")
    assert diagnose(capsys, 0)["state store"]["detail"].startswith("WAL, 0.")
    path.write_bytes(b"damaged " * 1000)
    found = diagnose(capsys, 3)
    assert "damaged" in found["state store"]["detail"]
    assert "restore" in found["state store"]["hint"]


def test_a_clock_behind_the_bookmarks_is_found(here, capsys, monkeypatch):
    with Store.open(here / ".dativo" / "state.db") as store:
        store.set("j", "{}")
    now = time.time()
    monkeypatch.setattr(doctor.time, "time", lambda: now - 86_400)
    found = doctor._clock(None)
    assert (found.verdict, found.hint) == ("missing", "set this machine's clock")


def test_a_full_disk_is_found(here, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_SPACE", 1 << 62)
    assert "free some space" in diagnose(capsys, 3)["disk space"]["hint"]


def test_a_lock_file_without_its_plugins_is_found(here, capsys):
    (here / "dativo.lock").write_text("this is no lock file {")
    found = diagnose(capsys, 3)["plugins"]
    assert found["verdict"] == "missing"
    assert found["hint"]


def test_stale_run_directories_are_swept_and_live_ones_are_not(here, capsys):
    runs = here / "home" / "run" / "runs"
    for name in ("r-dead", "r-alive"):
        (runs / name).mkdir(parents=True, mode=0o700)
        (runs / name / "lock").touch()
        (runs / name / "0-config.json").write_text("{}")
    with (runs / "r-alive" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "1 stale removed" in diagnose(capsys, 0)["run directory"]["detail"]
        assert [one.name for one in runs.iterdir()] == ["r-alive"]


def test_version_lists_every_part(here, capsys):
    assert main.main(["version", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["dativo"] == told["dativo-bus"] == told["dativo-protocol"] == doctor_version()
    assert all(told[name] for name in ("python", "uv", "sqlite", "click", "platform"))
    (here / "bus").unlink()
    assert main.main(["version"]) == 0
    assert "dativo-bus       not found" in capsys.readouterr().out
