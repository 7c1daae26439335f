"""Old spellings: read with a warning that names the new one, in every place where they may stand and nowhere else."""

import warnings

import pytest

from dativo import errors
from dativo.config import deprecations
from dativo.config.deprecations import DEPRECATIONS, Deprecated
from dativo.config.project import Project

OLD = """\
plugins:
  tap-x:
    config: {limits: {nofile: 1}, on_bad_record: skip, tenant_id: mine}
    limits: {nofile: 64, fsize: 1M}
sandbox: {limits: {max_line: 4M}}
jobs:
  a:
    tenant_id: acme
    steps: [tap-x, target-y]
    on_bad_record: skip
    retry_config: {max_retries: 2, initial_delay_seconds: 5, max_delay_seconds: 60}
    plugins: {tap-x: {limits: {nofile: 32}}}
environments:
  prod: {jobs: {a: {retry_config: {max_attempts: 7}}}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(deprecations, "_REGISTRY", {})

    def make(text, env=None):
        (tmp_path / "dativo.yml").write_text(text)
        return Project.find(tmp_path, env)

    return make


def read(project):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        job = project.job("a")
    return job, [one for one in caught if issubclass(one.category, DeprecationWarning)]


def test_old_spellings_mean_what_the_new_ones_do(project):
    made = project(OLD, env="prod")
    job, told = read(made)
    assert (job.tenant, job.on_bad_record) == ("acme", {"policy": "discard"})
    assert job.retry == {"attempts": 7, "delay": 5.0, "max_delay": 60.0}
    assert job.plugins["tap-x"]["limits"] == {"files": 32}
    plugin = made.plugin("tap-x")
    assert plugin.limits == {"files": 64, "file_size": 1 << 20}
    assert plugin.config == {"limits": {"nofile": 1}, "on_bad_record": "skip", "tenant_id": "mine"}
    assert {one.category for one in told} == {Deprecated}
    assert {one.filename for one in told} == {str(made.settings_file)}
    words = [str(one.message) for one in told]
    assert any("dativo.yml:8: `tenant_id`" in one and "`tenant`" in one and "1.0.0" in one for one in words), words
    assert any("dativo.yml:14:" in one and "`retry_config`" in one for one in words), words


def test_the_first_try_is_counted_now(project):
    job, _ = read(project("jobs: {a: {steps: [t, u], retry_config: {max_retries: 2}}}"))
    assert job.retry == {"attempts": 3}


def test_a_policy_in_a_mapping_is_exchanged_too(project):
    job, caught = read(project("jobs: {a: {steps: [tap-x, target-y], on_bad_record: {policy: skip, rows: 3}}}"))
    assert job.on_bad_record == {"policy": "discard", "rows": 3}
    assert len(caught) == 1


def test_what_cannot_be_counted_is_not_guessed(project):
    """`${R:-2}` retries are not `${R:-2}` attempts."""
    with pytest.raises(errors.ConfigError, match=r"dativo.yml:4: `max_retries` is not read: it counts one less"):
        read(project("jobs:\n  a:\n    retry_config:\n      max_retries: ${R:-2}\n"))


def test_both_spellings_are_a_contradiction(project):
    made = project("jobs:\n  a:\n    steps: [t, u]\n    tenant: acme\n    tenant_id: globex\n")
    with pytest.raises(errors.ConfigError, match=r"dativo\.yml:5: both `tenant` and `tenant_id`"):
        made.job("a")


def test_todays_spelling_warns_of_nothing(project):
    _, told = read(project("jobs: {a: {steps: [t, u], retry: {attempts: 3}, on_bad_record: discard}}"))
    assert told == []


def test_a_job_file_is_one_job(project, tmp_path):
    project("")
    file = tmp_path / "nightly.yml"
    file.write_text("steps: [t, u]\ntenant_id: acme\nlimits: {nofile: 99}\non_bad_record: skip\n")
    with pytest.warns(Deprecated, match=r"nightly\.yml:[234]: ") as told:
        _, job = Project.from_job_file(file)
    assert (job.tenant, job.limits, job.on_bad_record) == ("acme", {"files": 99}, {"policy": "discard"})
    assert len(told) == 3


def test_an_edit_of_a_file_with_old_spellings_leaves_them(project):
    made = project(OLD)
    with pytest.warns(Deprecated):
        made.set_config("tap-x", "host", "db")
    text = made.settings_file.read_text()
    assert "retry_config: {max_retries: 2" in text
    assert "host: db" in text


def test_warned_of_once_in_a_process(project):
    made = project(OLD)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        made.job("a")
        Project.find(made.root).job("a")
    words = [str(one.message) for one in caught]
    assert words
    assert len(words) == len(set(words))


def test_each_entry_says_when_and_what_instead():
    for one in DEPRECATIONS:
        assert one.old != one.new
        assert one.why
        assert tuple(map(int, one.since.split("."))) < tuple(map(int, one.removal.split(".")))
        assert bool(one.places) == (one.kind in ("key", "value"))
