"""secret://gcp: the real SDK against a stand-in on loopback."""

import pytest

from dativo import errors
from tests.secrets.conftest import CANARY, read
from tests.secrets.standins import GcpService, serving


@pytest.fixture
def gcp():
    with serving(GcpService()) as service:
        service.versions["projects/shop/secrets/token"] = [b"first", CANARY.encode()]
        service.versions["projects/other/secrets/db"] = [b'{"password": "of-other"}']
        yield service


def settings(gcp):
    return {"gcp": {"project": "shop", "endpoint": gcp.address}}


def test_versions_projects_keys(gcp, resolver):
    found = resolver(settings(gcp))
    assert read(found, "secret://gcp/token") == CANARY
    assert read(found, "secret://gcp/token/versions/1") == "first"
    assert read(found, "secret://gcp/projects/other/secrets/db#password") == "of-other"
    assert found.identity(found.checked("secret://gcp/projects/shop/secrets/token/versions/1", "")) == "gcp/token#"
    assert not found.can_replace(found.checked("secret://gcp/token/versions/1", ""))
    for text in ("secret://gcp/none", "secret://gcp/a/b/c", "secret://gcp/token#x"):
        with pytest.raises(errors.ConfigError) as caught:
            read(found, text)
        assert caught.value.code == "secret.unknown"


def test_compare_and_set(gcp, resolver):
    found = resolver(settings(gcp))
    reference = found.checked("secret://gcp/token", "")
    found.replace(reference, CANARY, "after")
    assert found.value(reference) == "after"
    with pytest.raises(errors.RunError):
        found.replace(reference, CANARY, "again")
    held = gcp.versions["projects/shop/secrets/token"]
    gcp.before_add = lambda versions: versions.append(b"theirs")
    with pytest.raises(errors.RunError) as caught:
        found.replace(reference, "after", "ours")
    assert caught.value.code == "secret.conflict"
    assert held[-1] == b"theirs"


def test_what_is_missing(gcp, resolver, monkeypatch, tmp_path):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({"gcp": {"endpoint": gcp.address}}), "secret://gcp/token")
    assert "secrets.gcp.project" in caught.value.message
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({"gcp": {"project": "p", "endpoint": "http://example.org"}}), "secret://gcp/token")
    assert "for this machine only" in caught.value.message
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(
            resolver({"gcp": {"project": "p", "endpoint": "http://127.0.0.1:9"}, "timeout": 1.0}), "secret://gcp/token"
        )
    assert caught.value.code == "secret.backend"
