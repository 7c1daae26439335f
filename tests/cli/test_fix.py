"""fix: old spellings rewritten in place, comments kept; what cannot be done is left and said."""

import pytest

from tests.cli import shop
from tests.cli.terminal import dativo

OLD = """\
# the shop
plugins:
  tap-shop:
    config: {limits: {nofile: 1}}   # its own
    limits:
      "nofile": 64   # few
jobs:
  a: {steps: [tap-shop, target-shop], on_bad_record: 'skip', retry_config: {max_retries: 2}}   # hourly
  b:
    tenant_id: acme     # who

    steps: [tap-shop, target-shop]
# the end
"""
NEW = """\
# the shop
plugins:
  tap-shop:
    config: {limits: {nofile: 1}}   # its own
    limits:
      "files": 64   # few
jobs:
  a: {steps: [tap-shop, target-shop], on_bad_record: 'discard', retry: {attempts: 3}}   # hourly
  b:
    tenant: acme     # who

    steps: [tap-shop, target-shop]
# the end
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dativo.yml").write_text(OLD)
    return tmp_path


def test_words_change_and_nothing_around_them(folder):
    shown = dativo(folder, "fix", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "-    tenant_id: acme     # who" in shown.stdout.splitlines()
    assert "+    tenant: acme     # who" in shown.stdout.splitlines()
    assert (folder / "dativo.yml").read_text() == OLD
    done = shop.answer(dativo(folder, "fix", "--json"))
    assert (folder / "dativo.yml").read_text() == NEW
    changes = [(one["line"], one["new"]) for one in done["files"][0]["changes"]]
    assert sorted(changes) == [
        (6, "plugins.tap-shop.limits.files"),
        (8, "jobs.a.on_bad_record: discard"),
        (8, "jobs.a.retry"),
        (8, "jobs.a.retry.attempts"),
        (10, "jobs.b.tenant"),
    ]
    again = dativo(folder, "fix")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "  nothing is deprecated in dativo.yml\n")


def test_the_command_line_warns_until_then(folder):
    done = dativo(folder, "run", "a", "--dry-run")
    assert "warning  dativo.yml:10: `tenant_id` is deprecated since 0.1.0" in done.stderr
    assert "write `tenant` (`dativo fix` does)" in done.stderr
    assert done.stderr.count("`tenant_id`") == 1
    assert dativo(folder, "fix").returncode == 0
    assert "deprecated" not in dativo(folder, "run", "a", "--dry-run").stderr


def test_old_flags_work_and_warn(folder):
    done = dativo(folder, "run", "a", "--dry-run", "--on-bad-record", "skip", "--properties=catalog.json")
    assert "`--properties` is deprecated" in done.stderr
    assert "write `--on-bad-record discard`" in done.stderr
    assert "plugin.unknown" in done.stderr, "the flags were understood; only the plugins are missing"
    assert "--properties" not in dativo(folder, "run", "--help").stdout


def test_job_files_of_the_project_and_by_name(folder):
    (folder / "jobs").mkdir()
    for file in (folder / "nightly.yml", folder / "jobs" / "weekly.yaml"):
        file.write_text("steps: [tap-shop, target-shop]\ntenant_id: acme # who\n")
    other = folder / "other.yml"
    other.write_text("tenant_id: not a job\n")
    done = shop.answer(dativo(folder, "fix", "--json"))
    assert sorted(one["file"].rsplit("/", 1)[1] for one in done["files"]) == [
        "dativo.yml",
        "nightly.yml",
        "weekly.yaml",
    ]
    assert (folder / "nightly.yml").read_text() == "steps: [tap-shop, target-shop]\ntenant: acme # who\n"
    assert other.read_text() == "tenant_id: not a job\n"
    (folder / "elsewhere").mkdir()
    named = folder / "elsewhere" / "hourly.yml"
    named.write_text("steps: [tap-shop, target-shop]\nlimits: {nofile: 64}\n")
    assert dativo(folder, "fix", "elsewhere/hourly.yml").returncode == 0
    assert named.read_text() == "steps: [tap-shop, target-shop]\nlimits: {files: 64}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs:\n  a: &a {steps: [t, u], tenant_id: x}\n  b: *a\n", "cannot be rewritten without touching the rest"),
        ("jobs:\n  a: {steps: [t, u], tenant: x, tenant_id: y}\n", "both `tenant` and `tenant_id`"),
        ("jobs:\n  a: {steps: [t, u], retry_config: {backoff_multiplier: 2}}\n", "unknown key `backoff_multiplier`"),
        ("jobs: [\n", "dativo.yml:2"),
    ],
    ids=["alias", "both", "no-counterpart", "no-yaml"],
)
def test_what_cannot_be_rewritten_is_said_and_left(tmp_path, text, said):
    (tmp_path / "dativo.yml").write_text(text)
    job = tmp_path / "nightly.yml"
    job.write_text("steps: [t, u]\ntenant_id: acme\n")
    done = dativo(tmp_path, "fix")
    assert done.returncode == 2
    assert said in done.stderr
    assert (tmp_path / "dativo.yml").read_text() == text
    assert "tenant_id" in job.read_text(), "nothing is done by halves"


def test_no_project(tmp_path):
    done = dativo(tmp_path, "fix")
    assert done.returncode == 2
    assert "dativo fix FILE" in done.stderr
