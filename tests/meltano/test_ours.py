"""Our plugins in Meltano: the definitions that `dativo inspect --meltano` prints, run by the real one."""

from __future__ import annotations

import json

import duckdb
import pytest
from ruamel.yaml import YAML

from tests.meltano.world import World
from tests.pipelines import rows

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(1_200)]
SETTINGS = """\
default_environment: dev
environments: [{{name: dev}}]
send_anonymous_usage_stats: false
include_paths: ["*.meltano.yml"]
plugins:
  extractors:
    - {{name: csv, inherit_from: tap-csv, config: {{files: "{files}"}}}}
  loaders:
    - {{name: duck, inherit_from: target-duckdb, config: {{path: "{path}"}}}}
"""


def test_meltano_runs_our_tap_and_target(meltano, home, our_plugins, flights_csv, tmp_path):
    database = tmp_path / "out.duckdb"
    world = World(tmp_path, home, meltano)
    for name in ("tap-csv", "target-duckdb"):
        printed = our_plugins.dativo("inspect", name, "--meltano").expect().stdout
        (tmp_path / f"{name}.meltano.yml").write_text(printed, "utf-8")
    text = SETTINGS.format(files=f"{flights_csv}/air*.csv", path=database)
    (tmp_path / "meltano.yml").write_text(text, "utf-8")

    for committed in ("committed 1,474 rows", "committed 0 rows"):
        done = world.real("run", "csv", "duck").expect()
        assert committed in done.stderr, done.stderr
        with duckdb.connect(str(database), read_only=True) as connection:
            counts = {name: len(connection.table(name).fetchall()) for name in ("airlines", "airports")}
        assert counts == {name: rows.SIZES[name] for name in counts}

    # its settings are known to Meltano with their kinds, so variables are read as what they are
    world.env = {"CSV_SAMPLE_ROWS": "7", "DUCK_PATH": "elsewhere.duckdb"}
    config = json.loads(world.real("config", "--unsafe", "print", "csv").expect().stdout)
    known = next(one for one in defined(tmp_path / "tap-csv.meltano.yml")["settings"] if one["name"] == "sample_rows")
    assert (known["kind"], config["sample_rows"]) == ("integer", 7)
    assert json.loads(world.real("config", "--unsafe", "print", "duck").expect().stdout)["path"] == "elsewhere.duckdb"


def defined(file):
    plugins = YAML(typ="safe").load(file)["plugins"]
    return next(iter(plugins.values()))[0]


@pytest.mark.parametrize(("name", "kind"), [("tap-csv", "extractors"), ("target-duckdb", "loaders")])
def test_a_definition_tells_what_the_plugin_tells(name, kind, our_plugins):
    said = our_plugins.dativo("inspect", name, "--meltano", "--json").expect().json
    ((found, (plugin,)),) = said["plugins"].items()
    about = json.loads(our_plugins.shell(f"{our_plugins.executable(name)} --about --format json").expect().stdout)
    described = about["settings"]["properties"]
    assert (found, plugin["namespace"]) == (kind, name.replace("-", "_"))
    assert [one["name"] for one in plugin["settings"]] == list(described)
    assert set(plugin["capabilities"]) <= {*about["capabilities"], "about"}
    for one in plugin["settings"]:
        assert one.get("value") == described[one["name"]].get("default")
        assert one.get("sensitive", False) == bool(described[one["name"]].get("secret"))
        assert one.get("description") == described[one["name"]].get("description")
