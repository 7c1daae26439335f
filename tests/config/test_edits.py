"""Edits of dativo.yml: comments, order and quotes survive; a file is replaced whole or not at all."""

import os
import threading

import pytest

from dativo import errors
from dativo.config.project import Project

TEXT = """\
# my project
plugins:
  # the source
  tap-postgres:
    variant: meltanolabs   # not the other
    config: {host: db.internal, "user": 'reader'}
    select:
    - "public-orders.*"
    - '!public-orders.card_number'

jobs:
  shop: {steps: [tap-postgres, target-x]}   # hourly
environments:
  prod: {plugins: {tap-postgres: {config: {host: db.prod}}}}
# the end
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    (tmp_path / "dativo.yml").write_text(TEXT)
    return tmp_path


def text(shop):
    return (shop / "dativo.yml").read_text()


def test_one_value_changes_one_line(shop):
    Project.find(shop).set_config("tap-postgres", "port", 5432)
    before, after = TEXT.splitlines(), text(shop).splitlines()
    assert [line for line in after if line not in before] == [
        """    config: {host: db.internal, "user": 'reader', port: 5432}"""
    ]
    assert Project.find(shop).plugin("tap-postgres").config["port"] == 5432


def test_setting_what_is_there_writes_nothing(shop):
    stamp = (shop / "dativo.yml").stat().st_ino
    Project.find(shop).set_config("tap-postgres", "host", "db.internal")
    assert (shop / "dativo.yml").stat().st_ino == stamp


def test_new_plugin_and_back_again(shop):
    project = Project.find(shop)
    project.add_plugin("target-x", variant="v", with_=["setuptools<80"])
    project.set_config("target-x", ("deep", "er"), [1, "a: b", True])
    assert project.plugin("target-x").config == {"deep": {"er": [1, "a: b", True]}}
    assert project.plugin("target-x").with_ == ("setuptools<80",)
    project.unset_config("target-x", ("deep", "er"))
    assert project.plugin("target-x").config == {}
    project.remove_plugin("target-x")
    assert text(shop) == TEXT


BLOCK = """\
plugins:
  tap-x:
    config:
      host: a   # behind

      # above port
      port: 1

  # above y
  tap-y:
    select:
    - one   # of two
    - two
    # in y

# above jobs
jobs:
  j:
    steps: [tap-x, tap-y]
"""


def test_new_keys_go_behind_their_neighbours_and_comments_stay_in_place(shop):
    (shop / "dativo.yml").write_text(BLOCK)
    project = Project.find(shop)
    project.set_config("tap-x", "user", "u")
    project.set_config("tap-y", "deep", {"a": [1, 2]})
    project.add_plugin("tap-z", variant="v")
    expected = BLOCK.replace("      port: 1\n", "      port: 1\n      user: u\n")
    expected = expected.replace(
        "    - two\n",
        "    - two\n    config:\n      deep:\n        a:\n        - 1\n        - 2\n  tap-z:\n    variant: v\n",
    )
    assert text(shop) == expected


def test_removing_takes_no_comment_of_others(shop):
    (shop / "dativo.yml").write_text(BLOCK)
    project = Project.find(shop)
    project.remove_plugin("tap-y")
    assert text(shop) == BLOCK.replace("  tap-y:\n    select:\n    - one   # of two\n    - two\n", "")
    project.unset_config("tap-x", "port")
    assert "host: a   # behind\n\n      # above port\n\n  # above y" in text(shop)


def test_a_replaced_list_stays_where_it_was(shop):
    (shop / "dativo.yml").write_text(BLOCK)
    Project.find(shop).set_select("tap-y", ["three"])
    assert text(shop) == BLOCK.replace("    - one   # of two\n    - two\n", "    - three\n")


def test_a_key_without_a_value_is_filled(shop):
    (shop / "dativo.yml").write_text("plugins:   # all of them\n  tap-x:   # mine\njobs:\n")
    Project.find(shop).set_config("tap-x", "a", "1")
    assert text(shop) == "plugins:   # all of them\n  tap-x:   # mine\n    config:\n      a: '1'\njobs:\n"


def test_adding_again_keeps_the_config(shop):
    project = Project.find(shop)
    project.add_plugin("tap-postgres", source="x")
    spec = project.plugin("tap-postgres")
    assert (spec.source, spec.variant, spec.config["host"]) == ("x", None, "db.internal")


def test_selection_and_metadata(shop):
    project = Project.find(shop)
    project.set_select("tap-postgres", ["a.*"])
    project.set_metadata("tap-postgres", "a", "replication-method", "FULL_TABLE")
    spec = Project.find(shop).plugin("tap-postgres")
    assert (spec.select, spec.metadata) == (("a.*",), {"a": {"replication-method": "FULL_TABLE"}})
    project.set_select("tap-postgres", [])
    project.set_metadata("tap-postgres", "a", "replication-method", None)
    spec = Project.find(shop).plugin("tap-postgres")
    assert (spec.select, spec.metadata) == ((), {})


def test_an_environment_is_edited_when_it_is_chosen(shop):
    Project.find(shop, "prod").set_config("tap-postgres", "host", "db2.prod")
    assert Project.find(shop).plugin("tap-postgres").config["host"] == "db.internal"
    assert Project.find(shop, "prod").plugin("tap-postgres").config["host"] == "db2.prod"


def test_removing_a_plugin_removes_it_from_environments(shop):
    Project.find(shop).remove_plugin("tap-postgres")
    assert "db.prod" not in text(shop)
    assert "# the end" in text(shop)


def test_a_file_of_comments_keeps_them(shop):
    (shop / "dativo.yml").write_text("# nothing yet")
    Project.find(shop).add_plugin("tap-x")
    assert text(shop).startswith("# nothing yet\nplugins:")


def test_unset_of_what_is_not_set(shop):
    with pytest.raises(errors.ConfigError) as caught:
        Project.find(shop).unset_config("tap-postgres", "nothing")
    assert caught.value.code == "config.unknown"
    assert text(shop) == TEXT


def test_an_edit_that_would_not_load_is_not_written(shop):
    with pytest.raises(errors.ConfigError):
        Project.find(shop).add_plugin("no/name")
    assert text(shop) == TEXT


def test_read_only_project(shop):
    (shop / "dativo.yml").chmod(0o444)
    if os.access(shop / "dativo.yml", os.W_OK):  # root may write anything: a file where a folder should be stops it too
        (shop / "dativo.yml").unlink()
        (shop / "dativo.yml").symlink_to("/proc/version")
        with pytest.raises(errors.DativoError):
            Project.find(shop).add_plugin("tap-x")
        return
    with pytest.raises(errors.EnvironmentFault) as caught:
        Project.find(shop).add_plugin("tap-x")
    assert caught.value.code == "env.read_only"
    assert text(shop) == TEXT


def test_mode_is_kept_and_nothing_is_left_beside(shop):
    (shop / "dativo.yml").chmod(0o600)
    Project.find(shop).add_plugin("tap-x")
    assert (shop / "dativo.yml").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in shop.iterdir() if path.name != "home"] == ["dativo.yml"]


def test_edits_at_once_all_arrive(shop):
    threads = [
        threading.Thread(target=lambda at=at: Project.find(shop).set_config("tap-postgres", f"k{at}", at))
        for at in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"k{at}" for at in range(8)} <= Project.find(shop).plugin("tap-postgres").config.keys()
