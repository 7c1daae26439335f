"""What a manifest asks for: read leniently, hashed canonically, compared so that more is never overlooked."""

import pytest

from dativo import errors
from dativo.plugins import permissions
from dativo.plugins.permissions import Permissions, asks_more, from_block, from_manifest


def of(**manifest):
    return from_manifest({"name": "tap-x", **manifest})


def test_without_a_block_the_config_names_the_hosts():
    found = of()
    assert found == Permissions(network="config")
    assert of(sandbox=None, limits=None, env=None) == found
    assert found.block() == {"network": "config"}


def test_a_block_is_read_leniently():
    found = of(
        sandbox={"read": "{config:files}", "write": None, "network": False, "newer": {"x": 1}, "profile": None},
        limits={"memory": "1G", "cpu": 0, "wall": "2h", "nofile": 256, "newer": 1, "line": None},
    )
    assert (found.read, found.write, found.network) == (("{config:files}",), (), ())
    assert found.limits == {"memory": 1 << 30, "cpu": None, "wall": 7200.0, "files": 256}
    assert of(sandbox={}).network == ()
    assert of(sandbox={"network": True}).network == "any"
    asked = of(sandbox={"read": ["x"], "network": "config"})
    assert asked == Permissions(read=("x",), network="config") == from_block(asked.block(), "tap-x")


@pytest.mark.parametrize(
    ("manifest", "named"),
    [
        ({"sandbox": {"read": 3}}, "sandbox.read"),
        ({"sandbox": {"read": ["{config:a"]}}, "sandbox.read"),
        ({"sandbox": {"write": ["{env:HOME}"]}}, "sandbox.write"),
        ({"sandbox": {"read": ["a\0b"]}}, "sandbox.read"),
        ({"sandbox": {"network": ["db"]}}, "sandbox.network"),
        ({"sandbox": {"network": ["*:443"]}}, "sandbox.network"),
        ({"sandbox": {"profile": "off"}}, "sandbox.profile"),
        ({"sandbox": {"shm": "lots"}}, "sandbox.shm"),
        ({"limits": {"memory": "much"}}, "limits.memory"),
        ({"limits": {"memory": 5}}, "limits.memory"),
        ({"limits": ["x"]}, "limits"),
        ({"env": ["A=B"]}, "env"),
    ],
)
def test_nonsense_is_named(manifest, named):
    with pytest.raises(errors.ConfigError) as caught:
        of(**manifest)
    assert caught.value.code == "permissions.invalid"
    assert f"tap-x's manifest: {named}: " in caught.value.message


def test_variables_that_are_settings_or_given_are_not_asked_for():
    settings = {"properties": {"path": {"type": "string"}}}
    names = ["TAP_X_PATH", "DATIVO_JOB", "LD_PRELOAD", "PYTHONPATH", "PATH", "TZ", "AWS_PROFILE"]
    assert of(env=names, settings=settings).env == ("TZ", "AWS_PROFILE")


def test_equal_wishes_hash_alike():
    one = of(sandbox={"read": ["b", "a", "a"], "network": ["x:1", "y:2"]}, limits={"memory": "1024M"})
    other = of(sandbox={"network": ["y:2", "x:1"], "read": ["a", "b"]}, limits={"memory": 1 << 30})
    assert one.digest() == other.digest()
    assert one.digest() != of(sandbox={"read": ["a"], "network": ["x:1", "y:2"]}).digest()
    assert of().digest() != of(sandbox={}).digest()


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"sandbox": {}},
        {"sandbox": {"network": "any", "shm": "64M", "config_mode": "file", "profile": "strict"}},
        {"sandbox": {"read": ["/a"], "network": ["h:1"], "unix": ["/s"]}, "limits": {"wall": "90s"}, "env": ["TZ"]},
    ],
)
def test_the_lock_keeps_all_of_it(manifest):
    found = of(**manifest)
    again = from_block(found.block(), "tap-x")
    assert again == found
    assert permissions.digest(found.block()) == again.digest()


MORE = [
    ({"sandbox": {}}, {"sandbox": {"read": ["/a"]}}, "+ read  /a"),
    ({"sandbox": {"read": ["/a"]}}, {"sandbox": {"read": ["/a/../b"]}}, "+ read  /a/../b"),
    ({"sandbox": {"write": ["{config:p}"]}}, {"sandbox": {"write": ["{config:p}/.."]}}, "+ write  {config:p}/.."),
    ({"sandbox": {"read": ["/a"]}}, {"sandbox": {"write": ["/a"]}}, "+ write  /a"),
    ({"sandbox": {"network": ["a:1"]}}, {"sandbox": {"network": ["a:1", "b:1"]}}, "+ reach  b:1"),
    ({"sandbox": {"network": ["*.a.b:1"]}}, {"sandbox": {"network": ["x.a.b:2"]}}, "+ reach  x.a.b:2"),
    ({"sandbox": {"network": ["a:1"]}}, {"sandbox": {"network": "any"}}, "+ reach  any host"),
    ({"sandbox": {}}, {}, "+ reach  the hosts of its config"),
    ({}, {"sandbox": {"network": ["evil:443"]}}, "+ reach  evil:443"),
    ({"env": []}, {"env": ["AWS_SECRET"]}, "+ env  AWS_SECRET"),
    ({}, {"limits": {"memory": "4G"}}, "+ memory  4G (was 2G)"),
    ({"limits": {"wall": "1h"}}, {}, "+ wall  none (was 1h)"),
    ({"sandbox": {"profile": "strict"}}, {"sandbox": {}}, "+ profile  standard (was strict)"),
    ({"sandbox": {"unix": []}}, {"sandbox": {"unix": ["/run/x"]}}, "+ unix  /run/x"),
    ({"sandbox": {}}, {"sandbox": {"shm": "1G"}}, "+ shm  1G"),
]

SIDEWAYS = {"+ read  /a/../b", "+ write  {config:p}/..", "+ reach  x.a.b:2", "+ reach  evil:443"}
"""Neither of the two holds the other."""


@pytest.mark.parametrize(("old", "new", "line"), MORE)
def test_more_is_seen_and_less_is_not(old, new, line):
    assert line in asks_more(of(**old), of(**new))
    assert line in SIDEWAYS or asks_more(of(**new), of(**old)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"sandbox": {"read": ["/a"]}}, {"sandbox": {"read": ["/a/b"]}}),
        ({"sandbox": {"write": ["/a"]}}, {"sandbox": {"read": ["/a"]}}),
        ({"sandbox": {"network": "any"}}, {"sandbox": {"network": ["a:1"]}}),
        ({"sandbox": {"network": ["*.a.b:1"]}}, {"sandbox": {"network": ["x.a.b:1"]}}),
        ({}, {"sandbox": {"network": ["{config:host}:{config:port}", "{config:url}"]}}),
        ({}, {"limits": {"memory": "1G", "wall": "1h"}}),
    ],
)
def test_what_is_within_is_no_more(old, new):
    assert asks_more(of(**old), of(**new)) == []


def test_in_words():
    assert of().words() == ["no files", "network: hosts of its config", ""]
    found = of(sandbox={"read": ["{config:files}"], "write": ["/x"], "network": []}, env=["TZ"])
    assert found.words() == ["read: {config:files}  write: /x", "no network", "env: TZ"]
