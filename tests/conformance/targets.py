"""Targets of the index, each set up to write into a place of its own. They are granted that place, and told no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conformance import found
from tests.conformance.plugin import Destination, Plugin, Target
from tests.conformance.world import World, fresh
from tests.servers.buckets import KEYS, REGION

SHORT_NAMES = ("--stream-name", "{table}")
"""For targets that make a schema of what stands before the dash of a stream's name."""


def _folder(folder: Path, config: dict[str, Any], key: str, **more: Any) -> Destination:
    folder.mkdir(parents=True)
    section = {"config": {**config, key: str(folder)}, "sandbox": {"write": [f"{{config:{key}}}"]}, **more}
    return Destination(section, found.folder(folder))


def jsonl(_world: World, folder: Path) -> Destination:
    """target-jsonl."""
    return _folder(folder, {}, "destination_path")


def csv_sdk(_world: World, folder: Path) -> Destination:
    """meltanolabs-target-csv."""
    return _folder(folder, {}, "output_path")


def csv_old(_world: World, folder: Path) -> Destination:
    """target-csv 0.3.0 and those made from it; they call home unless they are told not to."""
    return _folder(folder, {"delimiter": ",", "quotechar": '"', "disable_collection": True}, "destination_path")


def json_old(_world: World, folder: Path) -> Destination:
    """target-json 0.0.11 writes into the folder that it is started in; it calls home unless it is told not to."""
    here = folder.parent / "project"
    section = {"config": {"disable_collection": True, "delimiter": "\n"}, "sandbox": {"write": [str(here)]}}
    return Destination(section, found.folder(here, "*-*.json"))


def localjson(_world: World, folder: Path) -> Destination:
    """target-localjson: one file for each record."""
    return _folder(folder, {"disable_collection": True}, "dest_dir")


def singer_jsonl(_world: World, folder: Path) -> Destination:
    """target-singer-jsonl."""
    folder.mkdir(parents=True)
    config = {"destination": "local", "local": {"folder": str(folder)}, "add_record_metadata": False}
    return Destination({"config": config, "sandbox": {"write": [str(folder)]}}, found.folder(folder))


def universal_file(kind: str) -> Callable[[World, Path], Destination]:
    """target-universal-file with one of its kinds of files."""
    return lambda _world, folder: _folder(
        folder, {"protocol": "local", "file_type": kind, "add_record_metadata": False}, "path"
    )


def _database(world: World) -> tuple[str, Callable[[], Any]]:
    name = world.postgres.create_database(fresh("to"))
    return name, found.postgres(world.postgres, name)


def _reach(world: World) -> dict[str, Any]:
    server = world.postgres
    return {"host": server.host, "port": server.port, "user": server.user, "password": server.password}


def postgres_sdk(world: World, _folder: Path) -> Destination:
    """meltanolabs-target-postgres."""
    name, place = _database(world)
    config = {**_reach(world), "database": name, "default_target_schema": "public"}
    return Destination({"config": config}, place)


def postgres_pipelinewise(world: World, _folder: Path) -> Destination:
    """pipelinewise-target-postgres and those made from it. `weather` has no key."""
    name, place = _database(world)
    config = {**_reach(world), "dbname": name, "default_target_schema": "public", "primary_key_required": False}
    return Destination({"config": config}, place)


def postgres_deleting(world: World, folder: Path) -> Destination:
    """The same, told to delete what was deleted at the source."""
    destination = postgres_pipelinewise(world, folder)
    destination.section["config"] |= {"hard_delete": True}
    return destination


def postgres_datamill(world: World, _folder: Path) -> Destination:
    """singer-target-postgres."""
    name, place = _database(world)
    reach = {f"postgres_{key}": value for key, value in _reach(world).items() if key != "user"}
    config = {
        **reach,
        "postgres_username": world.postgres.user,
        "postgres_database": name,
        "postgres_schema": "public",
        "disable_collection": True,
    }
    return Destination({"config": config}, place)


def duckdb(_world: World, folder: Path) -> Destination:
    """target-duckdb."""
    folder.mkdir(parents=True)
    file = folder / "rows.duckdb"
    config = {"filepath": str(file), "default_target_schema": "main", "primary_key_required": False}
    return Destination({"config": config, "sandbox": {"write": [str(folder)]}}, found.duckdb(file))


def sqlite_old(_world: World, folder: Path) -> Destination:
    """target-sqlite 0.2.0: the file is called as the database."""
    folder.mkdir(parents=True)
    config = {"database": str(folder / "rows"), "default_target_schema": "main"}
    return Destination({"config": config, "sandbox": {"write": [str(folder)]}}, found.sqlite(folder / "rows.db"))


def sqlite_sdk(_world: World, folder: Path) -> Destination:
    """The SDK's SQL target on SQLite, which knows no CREATE SCHEMA."""
    folder.mkdir(parents=True)
    file = folder / "rows.db"
    section = {"config": {"path_to_db": str(file)}, "sandbox": {"write": [str(folder)]}}
    return Destination(section, found.sqlite(file), SHORT_NAMES)


def mysql_thk(world: World, _folder: Path) -> Destination:
    """thk-target-mysql."""
    name = world.mariadb.create_database(fresh("to"))
    server = world.mariadb
    config = {
        **{"host": server.host, "port": str(server.port), "user": server.user, "password": server.password},
        "database": name,
    }
    return Destination({"config": config}, found.mariadb(server, name), SHORT_NAMES)


def s3_jsonl(world: World, _folder: Path) -> Destination:
    """target-s3-jsonl."""
    bucket = world.buckets.create(fresh("to"))
    config = {"s3_bucket": bucket, "aws_endpoint_url": world.buckets.url, **KEYS}
    section = {"config": config, "env": {"AWS_DEFAULT_REGION": REGION}}
    return Destination(section, found.bucket(world.buckets, bucket))


def s3_plinxore(kind: str) -> Callable[[World, Path], Destination]:
    """plinxore-target-s3 with one of its formats."""

    def setup(world: World, _folder: Path) -> Destination:
        bucket = world.buckets.create(fresh("to"))
        reach = {"aws_region": REGION, "aws_bucket": bucket, "aws_endpoint_override": world.buckets.url, **KEYS}
        config = {
            "format": {"format_type": kind, f"format_{kind.removesuffix('l')}": {}},
            "cloud_provider": {"cloud_provider_type": "aws", "aws": reach},
            "prefix": "rows",
        }
        return Destination({"config": config}, found.bucket(world.buckets, bucket))

    return setup


def _target(setup: Callable[[World, Path], Destination], distribution: str, version: str, **more: Any) -> Target:
    return Target(Plugin(distribution, version, "target", **more), setup)


SAMPLE = Path(__file__).with_name("target-sqlite-sdk")

TARGETS = {
    one.name: one
    for one in (
        _target(jsonl, "target-jsonl", "0.1.4"),
        _target(csv_sdk, "meltanolabs-target-csv", "0.5.0"),
        _target(postgres_sdk, "meltanolabs-target-postgres", "0.8.1"),
        _target(postgres_pipelinewise, "pipelinewise-target-postgres", "2.1.2"),
        Target(Plugin("pipelinewise-target-postgres", "2.1.2", "target"), postgres_deleting, "with hard_delete"),
        _target(duckdb, "target-duckdb", "0.8.0", variant="jwills", with_=("duckdb==1.0.0",)),
        _target(sqlite_old, "target-sqlite", "0.2.0", python="3.9"),
        _target(postgres_datamill, "singer-target-postgres", "0.2.4", python="3.8"),
        _target(csv_old, "target-csv", "0.3.0", python="3.9", variant="singer-io"),
        _target(sqlite_sdk, "target-sqlite-sdk", "0.1.0", path=SAMPLE),
        _target(universal_file("jsonl"), "target-universal-file", "0.0.1"),
        _target(singer_jsonl, "target-singer-jsonl", "0.1.0"),
        _target(localjson, "target-localjson", "0.1.1"),
        _target(csv_old, "no-headers-target-csv", "1.0.4", python="3.9"),
        _target(s3_jsonl, "target-s3-jsonl", "2.0.1"),
        _target(s3_jsonl, "pipelinewise-target-s3-csv", "2.0.0"),
        _target(s3_plinxore("jsonl"), "plinxore-target-s3", "0.1.7"),
        _target(s3_jsonl, "scalefree-target-s3-json", "0.2"),
        _target(json_old, "target-json", "0.0.11", with_=("pytz",)),
        _target(
            mysql_thk,
            "thk-target-mysql",
            "0.1.3",
            why="its columns for numbers are FLOAT, which holds about six digits",
        ),
        _target(
            postgres_pipelinewise,
            "splitgraph-pipelinewise-target-postgres",
            "2.1.0",
            python="3.9",
            with_=("jsonschema",),
        ),
        _target(postgres_pipelinewise, "c8-target-postgres", "0.0.2"),
    )
}
