"""What the doctor says about the sandbox: of machines that are made up, and of this one with namespaces taken away."""

import json
import os
import shutil
import subprocess

import pytest

from dativo.bus import kernel
from dativo.cli import main
from tests.cli import shop
from tests.cli.terminal import command, environment
from tests.cli.test_doctor import diagnose, here, probed  # noqa: F401 - a fixture

REFUSED = {"works": False, "detail": "Operation not permitted (os error 1)"}
SPACES = ["user_namespace", "mount_namespace", "pid_namespace", "proc_mount", "network_namespace", "ipc_namespace"]
FLOOR = {"available": True, "layout": "floor"}
NO_STRICT = {"available": False, "reason": "strict needs namespaces of its own"}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A made-up /proc, in which nothing refuses anything."""
    for name in ("user/max_user_namespaces", "kernel/unprivileged_userns_clone"):
        setting(tmp_path, name, "1")
    monkeypatch.setattr(kernel, "PROC", tmp_path / "proc")
    monkeypatch.setattr(kernel, "MACHINE", tmp_path / "machine")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return tmp_path


def setting(folder, name, value):
    path = folder / "proc" / "sys" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def without_namespaces(folder):
    probed(folder, **dict.fromkeys(SPACES, REFUSED), standard=FLOOR, strict=NO_STRICT)


def test_without_namespaces_there_is_the_floor(here, machine, capsys):  # noqa: F811
    without_namespaces(here)
    assert main.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "user namespaces no" in said.splitlines()[0]
    assert "  standard is available (floor: Landlock and seccomp), strict is not ·" in said
    assert "kept by Landlock and seccomp, no namespaces" in said
    assert said.count("this kernel refuses namespaces") == 1
    found = diagnose(capsys, 0)
    assert (found["profile strict"]["verdict"], found["profile standard"]["verdict"]) == ("off", "ok")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces"),
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "dativo doctor --apparmor | sudo tee"),
    ],
)
def test_who_refuses_namespaces_is_named(here, machine, capsys, name, value, said):  # noqa: F811
    setting(machine, name, value)
    without_namespaces(here)
    assert any(said in line for line in diagnose(capsys, 0)["user namespaces"]["more"])


def test_a_container_is_told_from_a_kernel(here, machine, capsys):  # noqa: F811
    without_namespaces(here)
    (machine / "machine").mkdir()
    (machine / "machine" / ".dockerenv").touch()
    assert "seccomp=FILE" in diagnose(capsys, 0)["user namespaces"]["hint"]
    probed(here, proc_mount=REFUSED, standard=FLOOR, strict=NO_STRICT)
    assert "systempaths=unconfined" in diagnose(capsys, 0)["proc in them"]["hint"]


def test_landlock_that_is_not_switched_on(here, machine, capsys):  # noqa: F811
    lsm = machine / "machine" / "sys" / "kernel" / "security" / "lsm"
    lsm.parent.mkdir(parents=True)
    lsm.write_text("lockdown,capability,apparmor\n")
    probed(here, landlock=REFUSED)
    assert diagnose(capsys, 0)["landlock"]["hint"].endswith("lsm=landlock,lockdown,capability,apparmor")


def test_a_machine_that_cannot_confine_at_all(here, machine, capsys):  # noqa: F811
    without_namespaces(here)
    probed(here, standard=NO_STRICT, strict=NO_STRICT)
    assert diagnose(capsys, 3)["profile standard"]["verdict"] == "missing"


def test_without_the_data_plane_nothing_is_known(here, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setenv("DATIVO_BUS", str(here / "nowhere"))
    found = diagnose(capsys, 3)
    assert {found[name]["verdict"] for name in ("landlock", "seccomp", "subreaper", "profile strict")} == {"unknown"}
    assert [name for name, one in found.items() if one["verdict"] == "missing"] == ["dativo-bus"]


def test_a_data_plane_that_cannot_say_is_a_finding(here, capsys):  # noqa: F811
    (here / "bus.probe").write_text("no")
    assert "--probe gave no answer" in diagnose(capsys, 3)["sandbox"]["detail"]


def test_the_apparmor_profile_names_this_data_plane(here, capsys):  # noqa: F811
    odd = here / 'a "b" [c]*'
    odd.mkdir()
    shutil.copy(here / "bus", odd / "bus")
    text = kernel.apparmor(odd / "bus")
    assert f'profile dativo-bus "{here}/a \\"b\\" \\[c\\]\\*/bus" flags=(unconfined) {{' in text
    assert main.main(["doctor", "--apparmor"]) == 0
    assert f'"{here / "bus"}" flags=(unconfined)' in capsys.readouterr().out


def test_the_apparmor_profile_can_be_read(here):  # noqa: F811
    text = kernel.apparmor(here / "bus")
    if shutil.which("apparmor_parser") is None:
        return  # nobody here can read one
    version = subprocess.run(["apparmor_parser", "--version"], capture_output=True, text=True, check=True).stdout
    if version.split()[3] < "4":  # an older parser knows neither this rule nor its ABI; the rest it can read
        text = text.replace("abi/4.0", "abi/3.0").replace("  userns,\n", "")
    done = subprocess.run(["apparmor_parser", "-Q", "-K"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- this machine


def real():
    """The data plane that was built."""
    return kernel.probe()


def test_this_machine_is_tried():
    found = real()
    assert found.release == os.uname().release
    assert all(found.layer(name).works for name in ("no_new_privs", "subreaper", "memfd_seal"))
    assert found.profile("limits").available


@pytest.fixture
def without(tmp_path):
    """This machine without namespaces, from within one that allows no further ones: runs `dativo WORDS`."""
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    inside = ["unshare", "-Ur", "sh", "-c", script, "-"] if real().profile("strict").available else []

    def run(*words):
        return subprocess.run(
            [*inside, *command(*words)], capture_output=True, text=True, cwd=tmp_path, check=False,
            stdin=subprocess.DEVNULL, env=environment(tmp_path / "home"),
        )  # fmt: skip

    return run


def test_the_doctor_where_namespaces_are_switched_off(without):
    done = without("doctor", "--json")
    told = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stderr
    assert told["profile standard"]["detail"] == "kept by Landlock and seccomp, no namespaces"
    assert (told["profile strict"]["verdict"], told["user namespaces"]["verdict"]) == ("off", "off")
    assert told["user namespaces"]["hint"]


def test_runs_where_namespaces_are_switched_off(without, tmp_path):
    shop.make(tmp_path)
    done = without("tap-shop", "--rows", "3", "--sandbox", "standard")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"RECORD"') == 3
    done = without("tap-shop", "--rows", "3", "--sandbox", "strict")
    assert (done.returncode, done.stdout) == (3, "")
    assert "error[sandbox.unavailable]" in done.stderr
    if real().profile("strict").available:
        assert "sudo sysctl -w user.max_user_namespaces=15000" in done.stderr
