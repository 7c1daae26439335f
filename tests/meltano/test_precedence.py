"""Each setting has the value that the real Meltano gives it: one case a setting of projects/precedence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dativo.config.meltano.project import MeltanoProject
from dativo.config.project import Project
from tests.meltano.world import World

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(600)]

SHELL = {
    "TAP_MANY_FROM_ENV": "environment",
    "TAP_MANY_NUMBER_OF_ENV": "42",
    "TAP_MANY_FLAG_OF_ENV": "yes",
    "TAP_MANY_LIST_OF_ENV": '["a", 1]',
    "TAP_MANY_LIST_IN_PYTHON": "['a', 'b']",
    "TAP_MANY_OBJECT_OF_ENV": '{"a": {"b": 1}}',
    "TAP_MANY_ENV_OVER_DOTENV": "environment",
    "TAP_MANY__SELECT_FILTER": '["users"]',
    "TAP_MANY_CHILD_NUMBER": "9",
    "TAP_LOCKED__LOAD_SCHEMA": "elsewhere",
    "SOME_OTHER_NAME": "other",
    "OWN_ENV_OF_SETTING": "ignored",
    "lower_case": "lower",
}
ASKED = [  # plugin, environment: a start of Meltano each, and another for the extras
    ("tap-many", "dev"),
    ("tap-many", "prod"),
    ("tap-many", "null"),
    ("tap-many--child", "dev"),
    ("tap-many--grandchild", "dev"),
    ("tap-locked", "dev"),
    ("tap-locked--two", "dev"),
    ("tap-included", "dev"),
    ("target-many", "dev"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, home: Path, meltano: Path) -> World:
    made = World.of("precedence", tmp_path_factory.mktemp("precedence") / "project", home, meltano)
    made.env = dict(SHELL)
    # a setting in the system database, where only Meltano itself puts it
    made.real("--environment", "dev", "config", "set", "tap-many", "--store", "db", "of_database", "kept").expect()
    return made


@pytest.fixture(scope="module")
def real(world: World) -> dict[tuple[str, str, str], Any]:
    """What Meltano says: (plugin, environment, setting) -> value."""
    found = {}
    for plugin, env in ASKED:
        for extras in ([], ["--extras"]):
            said = world.real("--environment", env, "config", "--unsafe", "print", plugin, *extras).expect().stdout
            found.update({(plugin, env, key): value for key, value in json.loads(said).items()})
    return found


@pytest.fixture(scope="module")
def ours(world: World) -> dict[tuple[str, str, str], Any]:
    """What Dativo says."""
    found = {}
    for plugin, env in ASKED:
        project = MeltanoProject(world.folder, env, process={**SHELL})
        values = project.values(plugin)
        said = json.loads(json.dumps({**values.config, **values.extras}))
        found.update({(plugin, env, key): value for key, value in said.items()})
    return found


def test_every_setting_is_there_and_no_other(real, ours):
    assert real.keys() == ours.keys()
    assert len(real) >= 300


CASES = """
    from_default from_file from_section over_file from_env from_env_of_file from_dotenv env_over_dotenv from_alias
    from_env_alias own_env number number_of_env flag flag_of_env flag_false list_of_env list_in_python object_of_env
    object_of_file object_over object_by_part secret day moment shifted quoted choice upper as_text dotted
    default_of_variable half_left escaped braces lower_braces of_root_env of_environment_env of_environment_root
    of_plugin_env of_section_env of_dotenv of_dotenv_expanded root_of_project name_of_environment in_list in_object
    empty decimal of_database literal_dollar project_id unknown_text unknown_object unknown_list orphan_of_section
    _select _metadata _schema _select_filter _load_schema _use_cached_catalog
"""


@pytest.mark.parametrize("setting", CASES.split())
def test_a_setting_has_the_value_that_meltano_gives_it(setting, real, ours):
    key = ("tap-many", "dev", setting)
    assert key in real
    assert ours[key] == real[key]


@pytest.mark.parametrize(("plugin", "env"), ASKED)
def test_a_plugin_is_configured_as_by_meltano(plugin, env, real, ours):
    wanted = {key: value for key, value in real.items() if key[:2] == (plugin, env)}
    assert wanted
    assert {key: value for key, value in ours.items() if key[:2] == (plugin, env)} == wanted


def test_a_variable_that_is_not_set_is_an_error_where_meltano_is_strict(world, tmp_path):
    copy = World.of("precedence", tmp_path / "strict", world.home)
    copy.edit("project_id: 0", "ff: {strict_env_var_mode: true}\nproject_id: 0")
    answer = copy.dativo("config", "tap-many")
    assert answer.code == 2
    assert "config.variable" in answer.stderr and "$NOT_SET_AT_ALL" in answer.stderr


def test_two_variables_for_one_setting_are_refused_as_meltano_does(world, tmp_path):
    copy = World.of("precedence", tmp_path / "twice", world.home, world.meltano)
    copy.env = {"TAP_MANY_FROM_ALIAS": "hunter2", "TAP_MANY_BY_ALIAS": "hunter3"}
    assert copy.real("config", "--unsafe", "print", "tap-many").code != 0
    answer = copy.dativo("config", "tap-many")
    assert answer.code == 2
    assert "TAP_MANY_FROM_ALIAS, TAP_MANY_BY_ALIAS" in answer.stderr
    assert "hunter" not in answer.stderr


def test_the_default_environment_is_chosen_and_another_can_be(world):
    assert Project.find(world.folder).environment == "dev"
    assert Project.find(world.folder, "prod").environment == "prod"
    assert MeltanoProject(world.folder, process={"MELTANO_ENVIRONMENT": "prod"}).environment == "prod"
    answer = world.dativo("config", "tap-many", "--env", "prd")
    assert (answer.code, "did you mean prod?" in answer.stderr) == (2, True)


ENVS = """\
default_environment: dev
env: {T_FIXED: fixed}
environments: [{name: dev, env: {T_SELF: $T_SELF, T_ENV: $SHELLVAR, T_DOT: $DOTVAR, T_ROOT: $T_FIXED, T_OTHER: e}}]
plugins:
  extractors:
    - name: tap-x
      namespace: tap_x
      executable: bin/tap-x
      env: {T_PLUG: $SHELLVAR, T_PLUG_DOT: $DOTVAR, T_PLUG_ROOT: $T_FIXED, T_PLUG_ENV: $T_OTHER}
"""


def test_the_variables_of_a_plugins_process(tmp_path, home, meltano):
    """What env: of the project, of an environment and of a plugin see of the shell, of .env and of each other."""
    world = World(tmp_path, home, meltano, {"SHELLVAR": "shell", "T_SELF": "self"})
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tap-x"
    program.write_text("#!/bin/sh\nenv | grep ^T_\n")
    program.chmod(0o755)
    (tmp_path / "meltano.yml").write_text(ENVS)
    (tmp_path / ".env").write_text("DOTVAR=dot\n")
    said = world.real("invoke", "tap-x").expect().stdout.splitlines()
    real = dict(line.split("=", 1) for line in said if line.startswith("T_"))
    known = MeltanoProject(tmp_path, process=world.env)
    assert known.process_env(known.values("tap-x")) == real
    assert (real["T_ENV"], real["T_SELF"]) == ("shell", "self")
