"""What Airbyte's names and declarative manifests mean, and what is made of a manifest."""

from pathlib import Path

import pytest

from dativo import errors
from dativo.plugins import airbyte
from tests.airbyte import boats


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://pokeapi.co/api/v2", ["pokeapi.co:443"]),
        ("http://localhost:8080", ["localhost:8080"]),
        ("{{ config['base'] }}", ["{config:base}"]),
        ('{{ config["base"] }}/v1', ["{config:base}"]),
        ("https://{{ config['shop'] }}.example.com/admin", ["{config:shop}.example.com:443"]),
        ("https://{{ config.shop }}.example.com:8443", ["{config:shop}.example.com:8443"]),
        ("{{ next_page_token['next'] }}", []),
        ("https://{{ config['a'] or config['b'] }}/x", []),
        ("https://u:p@example.com/x", ["example.com:443"]),
        ("javascript:alert(1)", []),
    ],
)
def test_hosts_of_a_manifest(url: str, host: list[str]) -> None:
    assert airbyte.hosts({"streams": [{"requester": {"url_base": url}}]}) == host


def test_names() -> None:
    assert airbyte.connector("source-faker==7.2.1").requirement == "airbyte-source-faker==7.2.1"
    assert airbyte.connector("airbyte-source-faker").name == "source-faker"
    assert airbyte.connector("Destination_PGVector").kind == "target"
    for text in ("tap-csv", "faker", "source-faker @ https://example.com/x.whl"):
        with pytest.raises(errors.ConfigError):
            airbyte.connector(text)


def test_a_manifest_is_the_same_wheel_each_time(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(boats.MANIFEST)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (airbyte.wheel(path, "source-boats", tmp_path / name) for name in "ab")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    path.write_text(boats.MANIFEST.replace("Boats", "Ships"))
    assert airbyte.wheel(path, "source-boats", tmp_path / "a").name != first.name


def test_the_package_that_runs_it() -> None:
    assert airbyte.runner({"version": "4.6.2"}) == "airbyte-source-declarative-manifest"
    assert airbyte.runner({"version": "6.48.9"}) == "airbyte-cdk>=6.48"
    assert airbyte.runner({}) == "airbyte-source-declarative-manifest"


@pytest.mark.parametrize(
    "text",
    [
        "type: Other\nstreams: []\n",
        "- 1\n",
        "a: &a [1]\nb: [*a, *a]\ntype: DeclarativeSource\n",
        "type: DeclarativeSource\nstreams: [!!python/name:os.system x]\n",
        "type: DeclarativeSource\nstreams: 3\n",
    ],
)
def test_other_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(text)
    with pytest.raises(errors.ConfigError):
        airbyte.read_manifest(path)
