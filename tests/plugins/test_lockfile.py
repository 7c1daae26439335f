"""dativo.lock: what is written is what is read, byte for byte the same each time, and nothing else is believed."""

import pytest

from dativo import errors
from dativo.plugins import lockfile
from dativo.plugins.lockfile import Lock, LockedPackage, LockedPlugin

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PLUGIN = LockedPlugin(
    name="tap-x",
    kind="tap",
    variant=None,
    source="pypi",
    requirement='tap-x[a,"b"]>=1',
    with_=("setuptools<80",),
    python="3.11",
    distribution="tap-x",
    version="1.0",
    executable="tap-x",
    digest="",
    capabilities=("catalog", "state"),
    packages=(LockedPackage("zeta", "2", (B, A)), LockedPackage("tap-x", "1.0", (A,), "path:./x")),
).with_digest()


def test_round_trip(tmp_path):
    file = tmp_path / "dativo.lock"
    lockfile.write(file, Lock({"tap-x": PLUGIN}))
    found = lockfile.read(file).plugins["tap-x"]
    assert (found.requirement, found.with_, found.digest, found.variant) == (
        PLUGIN.requirement, PLUGIN.with_, PLUGIN.digest, None,
    )  # fmt: skip
    assert {(one.name, one.built) for one in found.packages} == {("zeta", None), ("tap-x", "path:./x")}
    assert lockfile.render(Lock({"tap-x": found})) == file.read_text()


def test_headers_come_from_the_cache_and_follow_the_file(tmp_path, home):
    file = tmp_path / "dativo.lock"
    assert lockfile.headers(file).plugins == {}
    lockfile.write(file, Lock({"tap-x": PLUGIN}))
    first = lockfile.headers(file).plugins["tap-x"]
    assert len(list((home / "cache" / "headers").iterdir())) == 1
    assert lockfile.headers(file).plugins["tap-x"] == first
    assert first.packages == ()
    file.write_text(file.read_text().replace('version = "1.0"', 'version = "1.1"', 1))
    assert lockfile.headers(file).plugins["tap-x"].version == "1.1"


def test_a_damaged_cache_is_no_harm(tmp_path, home):
    file = tmp_path / "dativo.lock"
    lockfile.write(file, Lock({"tap-x": PLUGIN}))
    lockfile.headers(file)
    for cached in (home / "cache" / "headers").iterdir():
        cached.write_text("[{}]")
    assert lockfile.headers(file).plugins["tap-x"].version == "1.0"


def test_the_digest_is_of_what_gets_installed():
    other = LockedPlugin(**{**vars(PLUGIN), "packages": (LockedPackage("zeta", "2", (B,)), PLUGIN.packages[1])})
    assert other.with_digest().digest != PLUGIN.digest
    turned = LockedPlugin(**{**vars(PLUGIN), "packages": tuple(reversed(PLUGIN.packages))})
    assert turned.with_digest().digest == PLUGIN.digest


@pytest.mark.parametrize(
    "text",
    [
        "version = 2\n",
        "version = \n",
        "version = 1\n[[plugin]]\nname = 'x'\n",
        "version = 1\nplugin = 3\n",
        b"\xff\xfe",
    ],
)
def test_a_lock_that_cannot_be_read(tmp_path, text):
    file = tmp_path / "dativo.lock"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(errors.EnvironmentFault) as caught:
        lockfile.headers(file)
    assert caught.value.code == "lock.invalid"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "tap-x"', 'name = "../../etc"'),
        (f'digest = "{PLUGIN.digest}"', 'digest = "sha256:../../x"'),
        ('executable = "tap-x"', 'executable = "../../../bin/sh"'),
    ],
)
def test_names_that_would_leave_their_folder_are_refused(tmp_path, old, new):
    file = tmp_path / "dativo.lock"
    file.write_text(lockfile.render(Lock({"tap-x": PLUGIN})).replace(old, new, 1))
    with pytest.raises(errors.EnvironmentFault) as caught:
        lockfile.read(file)
    assert caught.value.code == "lock.invalid"
