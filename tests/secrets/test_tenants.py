"""A job of one tenant cannot name another's secrets, however it spells them."""

import os

import pytest

from dativo import errors
from dativo.secrets.tenants import agreed

MAP = {
    "tenants": {
        "a": ["vault/kv/a/*", "env/A_*", "file/of-a/*", "aws/a/*", "azure/A-*", "exec/a-*"],
        "b": ["vault/kv/b/*", "env/B_*", "file/of-b/*", "aws/b/*", "gcp/b-*", "keyring/b/*"],
        "empty": [],
    },
    "gcp": {"project": "shop"},
}
OF_A = ["vault/kv/a/shop#x", "vault/kv/a/deep/er#x", "env/A_KEY", "file/of-a/key", "aws/a/db", "azure/a-db", "exec/a-1"]
OF_B = ["vault/kv/b/shop#x", "env/B_KEY", "file/of-b/key", "aws/b/db", "gcp/b-db", "keyring/b/me"]
SPELT = [
    "aws/arn:aws:secretsmanager:eu-1:1:secret:b/db-AbCdEf",
    "gcp/projects/shop/secrets/b-db",
    "gcp/projects/shop/secrets/b-db/versions/3",
    "gcp/b-db/versions/1",
    "file/{folder}/of-b/key",
    "file/linked",
    "file/of-a/linked",
]
OF_NOBODY = ["vault/kv/c/shop#x", "env/KEY", "aws/c", "vault/kv/A/shop#x"]


@pytest.fixture
def tenant_of(resolver, tmp_path):
    for name in ("of-a", "of-b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text("x")
    os.symlink(tmp_path / "of-b/key", tmp_path / "linked")
    os.symlink("../of-b/key", tmp_path / "of-a/linked")

    def allowed(tenant, name):
        found = resolver(MAP, tenant=tenant)
        try:
            found.check({"it": "secret://" + name.format(folder=tmp_path)}, "tap-x")
        except errors.ConfigError as problem:
            assert problem.code == "secret.tenant", problem
            return False
        return True

    return allowed


def test_each_names_its_own(tenant_of):
    for mine, others, tenant in ((OF_A, [*OF_B, *SPELT], "a"), (OF_B, OF_A, "b")):
        assert [name for name in mine if not tenant_of(tenant, name)] == []
        assert [name for name in [*others, *OF_NOBODY] if tenant_of(tenant, name)] == []
    assert [name for name in SPELT if not tenant_of("b", name)] == []
    for tenant in ("empty", "unheard-of"):
        assert [name for name in [*OF_A, *OF_B, *OF_NOBODY] if tenant_of(tenant, name)] == []


def test_a_job_without_a_tenant_names_what_is_nobodys(tenant_of):
    assert [name for name in OF_NOBODY if not tenant_of(None, name)] == []
    assert [name for name in [*OF_A, *OF_B, *SPELT] if tenant_of(None, name)] == []


@pytest.mark.parametrize(
    "name", ["vault/kv/a/../b/x", "vault/kv/a/%2e%2e/b/x", "vault/kv/a//../b/x", "file/of-a/../of-b/key"]
)
def test_there_is_no_way_around(resolver, name):
    with pytest.raises(errors.ConfigError) as caught:
        resolver(MAP, tenant="a").check({"it": f"secret://{name}"})
    assert caught.value.code == "secret.invalid"


def test_the_settings_of_a_backend_are_the_operators(resolver):
    section = {**MAP, "exec": {"a-1": ["echo", "from-a"]}, "file": {"identity": "secret://env/B_IDENTITY"}}
    found = resolver(section, tenant="a", variable={"B_IDENTITY": "where-it-is", "A_KEY": "of-a-itself"}.get)
    assert found.resolve({"x": "secret://exec/a-1", "y": "secret://env/A_KEY"}).config == {
        "x": "from-a",
        "y": "of-a-itself",
    }
    assert found.backend("file").around.text("identity") == "where-it-is"


def test_without_a_map_nothing_is_refused(resolver):
    assert resolver({}, tenant="a").check({"it": "secret://env/B_KEY"})


def test_everybody_who_names_a_tenant_names_the_same():
    assert agreed({"the project": None, "the job": "a", "--tenant": "a"}) == "a"
    assert agreed({"the project": None, "the job": None}) is None
    with pytest.raises(errors.ConfigError) as caught:
        agreed({"the project": "b", "the job": "a", "--tenant": None})
    assert caught.value.code == "secret.tenant"
