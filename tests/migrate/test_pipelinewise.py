"""What the report of a PipelineWise import says, to the line; and what files that mean harm get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.terminal import dativo
from tests.migrate.importing import entries, imported, project, tree

TARGET = """\
id: dwh
name: Warehouse
type: target-postgres
db_conn: {host: db, port: 5432, user: loader, password: s3cr3t$word, dbname: dwh}
"""
TAP = """\
id: Shop DB
name: The shop
type: tap-mysql
owner: me@example.com
send_alert: false
colour: blue
db_conn:
  host: "{{ env_var['SHOP_HOST'] }}"
  user: reader
  password: !vault |
    $ANSIBLE_VAULT;1.1;AES256
    6162
  fastsync_parallelism: 4
target: dwh
batch_size_rows: 5000
hard_delete: false
schemas:
  - source_schema: shop
    target_schema: repl_shop
    tables:
      - table_name: orders
        replication_method: INCREMENTAL
        replication_key: updated_at
        transformations:
          - {column: card, type: HASH, note: pci}
          - {column: card}
      - table_name: users
        indices: ["email"]
      - table_name: odd
        replication_method: SOMETIMES
      - replication_method: FULL_TABLE
        sync_start_from: {column: id, static_value: 7}
"""
FASTSYNC = "first loads and FULL_TABLE go through the bus like all others"
SERVER_ID = (
    "PipelineWise adds a random server_id: the tap takes its own; "
    "set plugins.tap-shop-db.config.server_id where two taps read one server"
)


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    folder = tmp_path / "yaml"
    folder.mkdir()
    (folder / "target_dwh.yml").write_text(TARGET)
    return folder


def test_every_line_has_its_entry(tmp_path: Path, yaml: Path) -> None:
    (yaml / "tap_shop.yml").write_text(TAP)
    (yaml / "config.yml").write_text("alert_handlers: {slack: {token: xoxb-1}}\n")
    (yaml / "notes.yml").write_text("a: 1\n")
    before = tree(tmp_path)
    answer = imported(tmp_path, "pipelinewise", yaml, "--dry-run")
    assert tree(tmp_path) == before, "a dry run writes nothing"
    assert entries(answer, "left") == [
        ("notes.yml", "the file", "neither tap_*.yml, target_*.yml nor config.yml: PipelineWise does not read it"),
        ("config.yml:1", "alert_handlers", "settings of PipelineWise itself and its alerts"),
        ("target_dwh.yml:2", "name", "plugins have no description"),
        ("tap_shop.yml:13", "db_conn.fastsync_parallelism",
         "there is no FastSync: first loads go through the bus like all others"),
        ("tap_shop.yml", "tap Shop DB", SERVER_ID),
        ("tap_shop.yml:25", "schemas.0.tables.0.transformations.0.note",
         "PipelineWise's files have no such key, or it is newer than this importer"),
        ("tap_shop.yml:26", "schemas.0.tables.0.transformations.1", "a transformation has a column and a type"),
        ("tap_shop.yml:30", "schemas.0.tables.2.replication_method", "no such method"),
        ("tap_shop.yml:31", "schemas.0.tables.3", "it has no table_name"),
        ("tap_shop.yml", "tap Shop DB: FastSync", FASTSYNC),
        ("tap_shop.yml", "tap Shop DB: its state", "no --config-dir: the first run reads from the start"),
        ("tap_shop.yml:4", "owner", "nobody is told about runs: your scheduler does that"),
        ("tap_shop.yml:5", "send_alert",
         "alerts are your scheduler's: `dativo run` ends with an exit code that says what happened"),
        ("tap_shop.yml:6", "colour", "PipelineWise's files have no such key, or it is newer than this importer"),
    ]  # fmt: skip
    assert entries(answer, "changed") == [
        ("target_dwh.yml:3", "type", "the package pipelinewise-target-postgres"),
        ("target_dwh.yml:4", "db_conn.password", "a secret: its value is in .env as TARGET_DWH_PASSWORD"),
        ("tap_shop.yml:3", "type", "the package pipelinewise-tap-mysql"),
        ("tap_shop.yml:10", "db_conn.password",
         "encrypted by ansible-vault: decrypt it, put it into .env as TAP_SHOP_DB_PASSWORD, "
         "or name another secret:// reference"),
        ("tap_shop.yml:27", "schemas.0.tables.1.replication_method",
         "not said: LOG_BASED, which PipelineWise takes for tap-mysql"),
        ("tap_shop.yml", "what PipelineWise hands to the target",
         "its defaults are written out, without temp_dir and query_tag: scratch space is the plugin's own"),
        ("tap_shop.yml", "tap Shop DB", "run with: dativo run Shop-DB"),
    ]  # fmt: skip
    assert entries(answer, "taken") == [
        ("target_dwh.yml:4", "db_conn.host", "plugins.target-dwh.config.host"),
        ("target_dwh.yml:4", "db_conn.port", "plugins.target-dwh.config.port"),
        ("target_dwh.yml:4", "db_conn.user", "plugins.target-dwh.config.user"),
        ("target_dwh.yml:4", "db_conn.dbname", "plugins.target-dwh.config.dbname"),
        ("tap_shop.yml:8", "db_conn.host", "plugins.tap-shop-db.config.host"),
        ("tap_shop.yml:9", "db_conn.user", "plugins.tap-shop-db.config.user"),
        ("tap_shop.yml:21", "schemas.0.tables.0.table_name", "select: shop-orders.*"),
        ("tap_shop.yml:22", "schemas.0.tables.0.replication_method", "metadata.shop-orders"),
        ("tap_shop.yml:23", "schemas.0.tables.0.replication_key", "metadata.shop-orders"),
        ("tap_shop.yml:25", "schemas.0.tables.0.transformations.0", "the mapper's config.transformations"),
        ("tap_shop.yml:27", "schemas.0.tables.1.table_name", "select: shop-users.*"),
        ("tap_shop.yml:28", "schemas.0.tables.1.indices", "the target's config.schema_mapping"),
        ("tap_shop.yml:29", "schemas.0.tables.2.table_name", "select: shop-odd.*"),
        ("tap_shop.yml:18", "schemas.0.source_schema", "the target's config.schema_mapping"),
        ("tap_shop.yml:19", "schemas.0.target_schema", "the target's config.schema_mapping"),
        ("tap_shop.yml:2", "name", "jobs.Shop-DB.description"),
        ("tap_shop.yml:15", "batch_size_rows", "jobs.Shop-DB.plugins.target-dwh.config.batch_size_rows"),
        ("tap_shop.yml:16", "hard_delete", "jobs.Shop-DB.plugins.target-dwh.config.hard_delete"),
    ]
    assert answer["project"]["plugins"]["tap-shop-db"]["config"] == {
        "host": "${SHOP_HOST}", "user": "reader", "password": "secret://env/TAP_SHOP_DB_PASSWORD",
    }  # fmt: skip
    assert "s3cr3t" not in str(answer)


def test_what_is_written(tmp_path: Path, yaml: Path) -> None:
    (yaml / "tap_shop.yml").write_text(TAP)
    config = tmp_path / "config"
    (config / "dwh" / "Shop DB").mkdir(parents=True)
    (config / "dwh" / "Shop DB" / "state.json").write_text(
        '{"bookmarks": {"shop-orders": {"n": 12345678901234567890}}}\n'
    )
    answer = imported(tmp_path, "pipelinewise", yaml, "--config-dir", config, "--into", tmp_path / "new")
    assert answer["files"] == ["dativo.yml", ".env"]
    assert ("dwh/Shop DB/state.json", "the state", "the bookmark of Shop-DB") in entries(answer, "taken")
    new = tmp_path / "new"
    assert (new / ".env").read_text() == 'TARGET_DWH_PASSWORD="s3cr3t$word"\n'
    assert (new / ".env").stat().st_mode & 0o777 == 0o600
    job = project(new)["jobs"]["Shop-DB"]
    assert job["steps"] == ["tap-shop-db", "transform-shop-db", "target-dwh"]
    handed = job["plugins"]["target-dwh"]["config"]
    assert (handed["batch_size_rows"], handed["hard_delete"], handed["primary_key_required"]) == (5000, False, True)
    assert handed["schema_mapping"]["shop"]["indices"] == {"users": ["email"]}
    state = dativo(new, "state", "get", "Shop-DB", DATIVO_HOME=str(tmp_path / "home" / "dativo"))
    assert state.stdout.strip() == '{"bookmarks": {"shop-orders": {"n": 12345678901234567890}}}'
    again = imported(tmp_path, "pipelinewise", yaml, "--into", new, code=2)
    assert again["code"] == "import.taken"


def test_hostile_files(tmp_path: Path, yaml: Path) -> None:
    """Each is refused by its line, and what it wants does not happen."""
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    (yaml / "tap_bomb.yml").write_text(bomb)
    (yaml / "tap_exec.yml").write_text("id: !!python/object/apply:os.system ['touch pwned']\n")
    (yaml / "tap_run.yml").write_text("id: !python/object/apply:os.system ['touch pwned']\n")
    (yaml / "tap_jinja.yml").write_text("id: a\nname: {% for x in range(9) %}\n")
    (yaml / "tap_deep.yml").write_text("a: " + "[" * 5_000)
    (yaml / "tap_huge.yml").write_text("a: b\n" * 300_000)
    (yaml / "tap_latin.yml").write_bytes(b"name: K\xf6ln\n")
    (yaml / "tap_twice.yml").write_text("id: a\nid: b\n")
    (yaml / "tap_vaulted.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    os.mkfifo(yaml / "tap_pipe.yml")
    (yaml / "tap_link.yml").symlink_to("/etc/passwd")
    (yaml / "tap_lost.yml").write_text("id: lost\ntype: tap-x\ntarget: nowhere\ndb_conn: {}\nschemas: []\n")
    (yaml / "tap_z.yml").write_text(
        "id: ../../../etc\ntype: 'tap-x; touch pwned'\ntarget: dwh\nschemas: []\n"
        "db_conn: {a: '${HOME}', b: 'secret://exec/x', c: '$(touch pwned)', token: \"a\\nINJECTED=1\", d: !vault x}\n"
    )
    (tmp_path / "config" / "dwh").mkdir(parents=True)
    answer = imported(tmp_path, "pipelinewise", yaml, "--config-dir", tmp_path / "config", "--into", tmp_path / "new")
    refused = {where: why for where, what, why in entries(answer, "left") if what == "the file"}
    assert refused == {
        "tap_bomb.yml:6": "it is refused: more than 50,000 values (aliases counted each time)",
        "tap_exec.yml:1": "it is refused: id is of another type here",
        "tap_run.yml:1": "it is refused: the tag !python/object/apply:os.system is not allowed",
        "tap_jinja.yml:2": "a Jinja template beyond {{ env_var[…] }}: render it, then import again",
        "tap_deep.yml": "it is refused: nested too deeply",
        "tap_huge.yml": "it has more than 1,048,576 bytes",
        "tap_latin.yml": "it is not UTF-8",
        "tap_twice.yml:2": 'it is refused: duplicate key "id"',
        "tap_vaulted.yml": "encrypted as a whole: run `ansible-vault decrypt` on a copy, then import that",
        "tap_pipe.yml": "it is no file",
        "tap_link.yml": "a link that leads out of the folder: it is not followed",
    }
    left = entries(answer, "left")
    assert ("tap_lost.yml:3", "tap lost", "no file here defines its target nowhere") in left
    assert ("dwh/../../../etc/state.json", "the state", "its path leads out of the config directory") in left
    assert any(what == "type" and "no name of a tap" in why for _, what, why in left)
    config = project(tmp_path / "new")["plugins"]["tap-etc"]["config"]
    assert config == {
        "a": "$${HOME}", "b": "secret://env/TAP_ETC_B", "c": "$(touch pwned)", "token": "secret://env/TAP_ETC_TOKEN",
        "d": "secret://env/TAP_ETC_D",
    }  # fmt: skip
    assert 'TAP_ETC_TOKEN="a\\nINJECTED=1"' in (tmp_path / "new" / ".env").read_text().splitlines()
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: a\ntype: tap-x\ntarget: dwh\ndb_conn: {}\nschemas: x\n", ("tap_a.yml:5", "schemas")),
        ("id: a\ntype: tap-x\ntarget: dwh\ndb_conn: []\nschemas: []\n", ("tap_a.yml:4", "db_conn")),
    ],
)
def test_a_file_of_another_shape_is_left_whole(tmp_path: Path, yaml: Path, text: str, said: tuple[str, str]) -> None:
    (yaml / "tap_a.yml").write_text(text)
    answer = imported(tmp_path, "pipelinewise", yaml)
    assert entries(answer, "left")[-1] == (said[0], "the file", f"it is refused: {said[1]} is of another type here")
    assert list(project(tmp_path)["plugins"]) == ["target-dwh"]


def test_folders_that_are_none(tmp_path: Path) -> None:
    assert imported(tmp_path, "pipelinewise", tmp_path / "nowhere", code=2)["code"] == "import.invalid"
    assert "no tap_*.yml" in imported(tmp_path, "pipelinewise", tmp_path, code=2)["message"]


def test_when_it_ran_and_what_is_said_twice(tmp_path: Path, yaml: Path) -> None:
    """An older file's `sync_period`; what stands there twice."""
    lines = "type: tap-postgres\ntarget: dwh\ndb_conn: {host: h}\n"
    (yaml / "tap_a.yml").write_text(
        f'id: a\n{lines}sync_period: "*/90 * * * *"\nschemas:\n'
        "  - source_schema: public\n    target_schema: one\n    tables:\n"
        "      - {table_name: t, replication_method: INCREMENTAL}\n"
        "      - {table_name: t, replication_method: FULL_TABLE}\n"
        '      - {table_name: "odd[*]", replication_method: FULL_TABLE}\n'
        "  - source_schema: public\n    target_schema: two\n"
    )
    (yaml / "tap_b.yml").write_text(f"id: b\n{lines}sync_period: hourly\nschemas: []\n")
    (yaml / "tap_c.yml").write_text(f"id: a\n{lines}schemas: []\n")
    answer = imported(tmp_path, "pipelinewise", yaml)
    jobs = project(tmp_path)["jobs"]
    assert jobs["a"]["schedule"] == "*/90 * * * *"
    assert ["schedule" in jobs["b"], list(jobs)] == [False, ["a", "b"]]
    assert jobs["a"]["plugins"]["target-dwh"]["config"]["schema_mapping"]["public"]["target_schema"] == "two"
    tap = project(tmp_path)["plugins"]["tap-a"]
    assert tap["select"] == ["public-t.*", "public-odd[[][*]].*"]
    assert tap["metadata"]["public-t"] == {"replication-method": "FULL_TABLE"}
    said = entries(answer, "left")
    for line in (
        ("tap_a.yml:10", "schemas.0.tables.0.replication_method",
         "INCREMENTAL without a replication_key: PipelineWise refuses it"),
        ("tap_a.yml:11", "schemas.0.tables.1.table_name", "listed before: this one's word counts"),
        ("tap_a.yml:13", "schemas.1.source_schema",
         "public is mapped twice: PipelineWise hands the last mapping to the target, for its tables too"),
        ("tap_b.yml:5", "sync_period", "it is no line of cron"),
        ("tap_c.yml:1", "tap a", "another file has the same id: PipelineWise refuses it"),
    ):  # fmt: skip
        assert line in said, said


def test_tabs_between_values(tmp_path: Path, yaml: Path) -> None:
    """As in PipelineWise's own samples for MongoDB; a tab inside a value stays."""
    (yaml / "tap_a.yml").write_text(
        'id: a\t# the id\ntype:\ttap-mysql\ntarget: dwh\ndb_conn:\n  host: "h"\t\t# a host\n  note: "a\t# b"\n'
        "  more: |\n    x\ty\nschemas: []\n"
    )
    imported(tmp_path, "pipelinewise", yaml)
    assert project(tmp_path)["plugins"]["tap-a"]["config"] == {"host": "h", "note": "a\t# b", "more": "x\ty\n"}


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path, yaml: Path) -> None:
    (yaml / "tap_\x1b[2J\n.yml").write_text("id: a\ttype: b\n")
    (yaml / "tap_a.yml").write_text(
        'id: "a\\e[31m\\n"\ntype: "tap-\\e[2J"\ntarget: dwh\ndb_conn: {"k\\e[3m": 1}\n"z\\r\\x9b": 1\nname: "\\e[2J"\n'
        'schemas: [{source_schema: "s\\e[31m", target_schema: x, tables: [{table_name: "t\\n"}]}]\n'
    )
    done = dativo(tmp_path, "import", "pipelinewise", yaml, "--dry-run", "-v")
    assert done.returncode == 0, done.stderr
    assert "  tap a\\x1b[31m\\n > jobs.a-31m · " in done.stdout
    assert "  tap_\\x1b[2J\\n.yml" in done.stdout
    assert not [sign for sign in done.stdout + done.stderr if not sign.isprintable() and sign != "\n"]
