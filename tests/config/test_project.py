"""Reading dativo.yml: what may stand in it, environments, variables, job files, and where values come from."""

import pytest

from dativo import errors
from dativo.config.project import Project

FULL = """\
plugins:
  tap-postgres:
    variant: meltanolabs
    config: {host: db.internal, password: "${PGPW}", port: "${PGPORT:-5432}", price: "5$$"}
    select: ["public-orders.*", "!public-orders.card_number"]
    metadata: {public-orders: {replication-method: INCREMENTAL}}
    pass_env: [PGSSLMODE]
    limits: {memory: 1G}
jobs:
  shop:
    steps: [tap-postgres, target-parquet]
    retry: {attempts: 5, deadline: 2h}
    limits: {memory: 1G, wall: 1h, line: 64M}
    grace: {eof: null, term: 10s}
    policy: {junk: fail}
    on_bad_record: quarantine
    schedule: "15 * * * *"
    plugins: {tap-postgres: {config: {host: "${JOBHOST:-elsewhere}"}}}
environments:
  prod: {plugins: {tap-postgres: {config: {host: db.prod.internal}, select: ["*"]}}}
state: {path: store/bookmarks.db}
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    for name in ("PGPW", "PGPORT", "JOBHOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def project(tmp_path, text, env=None):
    (tmp_path / "shop").mkdir(exist_ok=True)
    (tmp_path / "shop" / "dativo.yml").write_text(text)
    return Project.find(tmp_path / "shop", env)


def refused(tmp_path, text):
    with pytest.raises(errors.DativoError) as caught:
        project(tmp_path, text).plugins()
    return caught.value


def test_the_whole_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPW", "s3cret")
    found = project(tmp_path, FULL)
    plugin = found.plugin("tap-postgres")
    assert plugin.config == {"host": "db.internal", "password": "s3cret", "port": "5432", "price": "5$"}
    assert plugin.select == ("public-orders.*", "!public-orders.card_number")
    assert plugin.metadata == {"public-orders": {"replication-method": "INCREMENTAL"}}
    assert plugin.limits == {"memory": 1 << 30}
    assert "s3cret" not in repr(plugin)
    job = found.job("shop")
    assert job.steps == ("tap-postgres", "target-parquet")
    assert job.retry == {"attempts": 5, "deadline": 7200.0}
    assert job.limits == {"memory": 1 << 30, "wall": 3600.0, "line": 64 << 20}
    assert job.grace == {"eof": None, "term": 10.0}
    assert job.plugins["tap-postgres"]["config"] == {"host": "elsewhere"}
    assert (job.policy, job.on_bad_record) == ({"junk": "fail"}, {"policy": "quarantine"})
    assert found.state_path == tmp_path / "shop" / "store" / "bookmarks.db"
    assert (found.plugins(), found.jobs()) == (["tap-postgres"], ["shop"])


def test_a_plugin_that_is_not_mentioned_has_defaults(tmp_path):
    spec = project(tmp_path, "").plugin("tap-x")
    assert (spec.name, spec.config, spec.select, spec.config_mode) == ("tap-x", {}, (), "auto")


def test_found_from_below_and_from_nowhere(tmp_path, monkeypatch, home):
    found = project(tmp_path, "")
    below = tmp_path / "shop" / "a" / "b"
    below.mkdir(parents=True)
    assert Project.find(below).file == found.file
    assert found.state_path == tmp_path / "shop" / ".dativo" / "state.db"
    monkeypatch.chdir(tmp_path)
    alone = Project.find()
    assert alone.file is None
    assert alone.root == tmp_path
    assert alone.lock_file == home / "config" / "dativo.lock"
    assert alone.state_path == home / "state" / "dativo.db"


def test_without_a_project_settings_go_to_the_users_own_file(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    Project.find().set_config("tap-x", "host", "h")
    again = Project.find()
    assert again.file is None
    assert again.plugin("tap-x").config == {"host": "h"}
    assert again.state_path == home / "state" / "dativo.db"


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("plugins: {}\njob: {}\n", "dativo.yml:2: unknown key `job`", "did you mean `jobs`?"),
        ("jobs:\n  shop:\n    stesp: [a, b]\n", "dativo.yml:3: unknown key `stesp` in jobs.shop", "`steps`"),
        ("plugins:\n  tap-x:\n    conf: {}\n", "dativo.yml:3: unknown key `conf`", "`config`"),
        ("jobs:\n  a:\n    limits: {memroy: 1G}\n", "dativo.yml:3: unknown key `memroy` in jobs.a.limits", "`memory`"),
        ("environments:\n  p:\n    plugin: {}\n", "dativo.yml:3: unknown key `plugin` in environments.p", "`plugins`"),
        ("jobs:\n  a:\n    steps: tap-x\n", "dativo.yml:3: jobs.a.steps: a list of texts", None),
        ("jobs:\n  a:\n    limits: {memory: lots}\n", "dativo.yml:3: jobs.a.limits.memory: a size is expected", None),
        ("jobs:\n  a:\n    retry: {attempts: 0}\n", "attempts: a whole number from 1", None),
        ("jobs:\n  a:\n    policy: {junk: keep}\n", "policy.junk: one of drop, fail is expected", None),
        ("jobs:\n  a:\n    parallel: 0\n", "jobs.a.parallel: a whole number from 1", None),
        ("jobs:\n  a:\n    parallel: {tap: 2}\n", "jobs.a.parallel: tap is not known: taps and together are", None),
        ("jobs:\n  a:\n    parallel: {together: [a, b]}\n", "together: a list of lists of streams", None),
        ("jobs:\n  a:\n    limits: {job: {cpu: none}}\n", "jobs.a.limits.job.cpu: a number of cores", None),
        ("jobs:\n  a:\n    limits: {job: {wall: 1h}}\n", "unknown key `wall` in jobs.a.limits.job", None),
        ("plugins:\n  ../x: {}\n", "dativo.yml:2: '../x' cannot be a plugin's name", None),
        ("plugins:\n  tap-x: [1]\n", "dativo.yml:2: plugins.tap-x: a mapping of keys", None),
        ("plugins:\n  tap-x:\n    config: 3\n", "dativo.yml:3: plugins.tap-x.config: a mapping", None),
    ],
)
def test_what_does_not_belong_is_named_with_its_line(tmp_path, text, line, hint):
    error = refused(tmp_path, text)
    assert error.code == "project.invalid"
    assert line in error.message
    assert hint is None or hint in error.remedy


def test_empty_sections_are_fine(tmp_path):
    found = project(tmp_path, "plugins:\n  tap-x:\njobs:\nenvironments:\n  prod:\n", env="prod")
    assert found.plugins() == ["tap-x"]
    assert found.plugin("tap-x").config == {}


def test_environments_merge_deeply_and_lists_replace(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPW", "x")
    plugin = project(tmp_path, FULL, env="prod").plugin("tap-postgres")
    assert plugin.config["host"] == "db.prod.internal"
    assert plugin.config["password"] == "x"
    assert plugin.select == ("*",)
    assert plugin.limits == {"memory": 1 << 30}


def test_how_many_taps_and_what_all_of_a_job_may_use(tmp_path):
    text = "jobs:\n  a: {steps: [t, u], parallel: 3}\n  b: {steps: [t, u]}\n  c:\n    steps: [t, u]\n"
    text += "    parallel: {taps: 2, together: [[x, 'y*']]}\n    limits: {memory: 1G, job: {memory: 2G, cpu: 1.5}}\n"
    jobs = [project(tmp_path, text).job(name) for name in "abc"]
    assert [job.parallel for job in jobs] == [3, 1, 2]
    assert (jobs[2].together, jobs[2].limits) == ((("x", "y*"),), {"memory": 1 << 30})
    assert jobs[2].job_limits == {"memory": 2 << 30, "cpu": 1.5}


def test_an_unknown_environment_names_the_nearest(tmp_path):
    with pytest.raises(errors.ConfigError) as caught:
        project(tmp_path, FULL, env="prd")
    assert "no environment prd" in caught.value.message
    assert "prod" in caught.value.remedy


def test_an_unknown_job_names_the_nearest(tmp_path):
    with pytest.raises(errors.ConfigError) as caught:
        project(tmp_path, FULL).job("shp")
    assert caught.value.code == "job.unknown"
    assert "shop" in caught.value.remedy


def test_origin_names_file_line_environment_and_variable(tmp_path):
    found = project(tmp_path, FULL, env="prod")
    (tmp_path / "shop" / ".env").write_text("PGPW=x\n")
    origin = found.origin("tap-postgres")
    assert origin["host"] == "dativo.yml:20 (environments.prod)"
    assert origin["password"] == "dativo.yml:4 · ${PGPW} from .env"
    assert origin["price"] == "dativo.yml:4"


def test_a_job_file_is_one_job_with_its_plugins(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPW", "x")
    project(tmp_path, FULL)
    file = tmp_path / "shop" / "nightly.yml"
    file.write_text(
        "steps: [tap-postgres, target-new]\nlimits: {wall: 10m}\n"
        "plugins:\n  target-new: {config: {path: '${WHERE}'}}\n  tap-postgres: {config: {host: here}}\n"
    )
    (tmp_path / "shop" / ".env").write_text("WHERE=out.db\n")
    found, job = Project.from_job_file(file)
    assert (job.name, job.steps, job.limits) == ("nightly", ("tap-postgres", "target-new"), {"wall": 600.0})
    assert found.plugin("target-new").config == {"path": "out.db"}
    assert found.plugin("tap-postgres").config["host"] == "here"
    assert found.plugin("tap-postgres").config["password"] == "x"
    assert found.origin("target-new")["path"].startswith("nightly.yml:4")


def test_a_job_file_with_an_unknown_key(tmp_path):
    file = tmp_path / "job.yml"
    file.write_text("steps: [a, b]\nretries: 3\n")
    with pytest.raises(errors.ConfigError) as caught:
        Project.from_job_file(file)
    assert caught.value.code == "job.invalid"
    assert "job.yml:2: unknown key `retries`" in caught.value.message


def test_reading_without_a_file_imports_no_yaml(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from dativo.config.project import Project; Project.find().plugins();"
        "print('ruamel' in str(sys.modules.keys()))"
    )
    environment = {"DATIVO_HOME": str(tmp_path / "h"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
