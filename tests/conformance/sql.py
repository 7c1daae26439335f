"""Taps of the two databases: in full and by change, in BATCHes, and by the databases' own logs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.conformance.plugin import Reading
from tests.conformance.world import TABLES, World, fresh
from tests.pipelines import rows
from tests.pipelines.rows import Table

BY_CHANGE = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
FULL = {"replication-method": "FULL_TABLE"}
BY_LOG = {"replication-method": "LOG_BASED"}
KEYED = ("airlines", "airports", "planes")
"""Only what has a key can be merged."""
CHANGES = (
    "update airlines set name = 'Renamed' where carrier = 'AA'",
    "insert into airlines (carrier, name) values ('ZZ', 'New')",
    "delete from airlines where carrier = 'YV'",
    "update planes set seats = 1 where tailnum < 'N11'",
)


def chosen(schema: str) -> dict[str, Any]:
    """The selection of the four tables where streams are called SCHEMA-TABLE."""
    streams = [f"{schema}-{table}" for table in TABLES]
    return {
        "select": [f"{stream}.*" for stream in streams],
        "metadata": {stream: BY_CHANGE if stream.endswith("planes") else FULL for stream in streams},
    }


def meltanolabs_postgres(world: World, _folder: Path) -> Reading:
    """meltanolabs-tap-postgres."""
    server = world.postgres
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    config = {**reach, "database": server.database, "filter_schemas": ["public"]}
    return Reading({"config": config, **chosen("public")}, world.tables, "PostgreSQL")


def pipelinewise_postgres(world: World, _folder: Path) -> Reading:
    """pipelinewise-tap-postgres and those made from it."""
    server = world.postgres
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    config = {**reach, "dbname": server.database, "filter_schemas": "public"}
    return Reading({"config": config, **chosen("public")}, world.tables, "PostgreSQL")


def singer_mysql(world: World, _folder: Path) -> Reading:
    """tap-mysql and those made from it."""
    server = world.mariadb
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return Reading({"config": {**reach, "database": server.database}, **chosen("nyc")}, world.tables, "MariaDB")


def meltanolabs_mysql(world: World, _folder: Path) -> Reading:
    """meltanolabs-tap-mysql."""
    reading = singer_mysql(world, _folder)
    reading.section["config"]["filter_schemas"] = ["nyc"]
    return reading


def meltanolabs_postgres_batches(world: World, folder: Path) -> Reading:
    """meltanolabs-tap-postgres, told to write files and send their names. It can do that with tables read in full."""
    reading, files = meltanolabs_postgres(world, folder), folder / "batches"
    files.mkdir(parents=True)
    reading.section["config"]["batch_config"] = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": files.as_uri(), "prefix": "nyc-"},
        "batch_size": 10_000,
    }
    reading.section["sandbox"] = {"write": [str(files)]}
    reading.section["metadata"] = dict.fromkeys(reading.section["metadata"], FULL)
    reading.source = "PostgreSQL, in files"
    return reading


def pipelinewise_postgres_log(world: World, folder: Path) -> Reading:
    """pipelinewise-tap-postgres by the write-ahead log (wal2json), in a database of its own that is changed."""
    server, name = world.postgres, fresh("log").replace("-", "_")
    server.sql(f'create database "{name}" template "{server.database}"', database="postgres")
    slot = re.sub("[^a-z0-9_]", "_", f"pipelinewise_{name}")
    server.sql(f"select pg_create_logical_replication_slot('{slot}', 'wal2json')", database=name)
    reading = pipelinewise_postgres(world, folder)
    reading.section["config"] |= {"dbname": name, "logical_poll_total_seconds": 5, "break_at_end_lsn": True}
    _by_log(reading, "public")

    def change() -> dict[str, Table]:
        for statement in CHANGES:
            server.sql(statement, database=name)
        return {table: rows.of_postgres(server, table, database=name) for table in KEYED}

    reading.tables, reading.change = {one: world.tables[one] for one in KEYED}, change
    reading.source = "PostgreSQL's log"
    return reading


def pipelinewise_mysql_log(world: World, folder: Path) -> Reading:
    """pipelinewise-tap-mysql by the binary log, in a database of its own that is changed."""
    server, name = world.mariadb, world.mariadb.create_database(fresh("log").replace("-", "_"))
    for table in KEYED:
        copy = f"create table {table} like {server.database}.{table}"
        server.sql(f"{copy}; insert into {table} select * from {server.database}.{table}", database=name)
    reading = singer_mysql(world, folder)
    reading.section["config"] |= {"database": name, "filter_dbs": name}
    _by_log(reading, name)

    def change() -> dict[str, Table]:
        for statement in CHANGES:
            server.sql(statement, database=name)
        return {table: Table(table, server.rows(table, database=name)) for table in KEYED}

    reading.tables, reading.change = {one: world.tables[one] for one in KEYED}, change
    reading.source = "MariaDB's log"
    return reading


def _by_log(reading: Reading, schema: str) -> None:
    streams = [f"{schema}-{table}" for table in KEYED]
    reading.section["select"] = [f"{stream}.*" for stream in streams]
    reading.section["metadata"] = dict.fromkeys(streams, BY_LOG)
