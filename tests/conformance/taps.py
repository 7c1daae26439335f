"""Taps of the index, each set up to read what `World` has. What reads by change reads `planes` so, all else in full."""

from __future__ import annotations

import csv
import html
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.conformance.plugin import Plugin, Reading, Tap
from tests.conformance.sql import (
    meltanolabs_mysql,
    meltanolabs_postgres,
    meltanolabs_postgres_batches,
    pipelinewise_mysql_log,
    pipelinewise_postgres,
    pipelinewise_postgres_log,
    singer_mysql,
)
from tests.conformance.world import TABLES, World, fresh
from tests.pipelines.rows import TEXTS, TIMES
from tests.servers.buckets import KEYS, REGION

OLD_SETUPTOOLS = ("setuptools<80",)


def _files(
    world: World, folder: Path, end: str, write: Callable[[Path, list[dict[str, Any]]], None], tables: Iterable[str]
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for table in tables:
        made.append(folder / f"{table}{end}")
        write(made[-1], world.rows[table])
    return made


def as_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file; null is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def as_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """JSON in lines."""
    path.write_text("".join(json.dumps(row, default=float) + "\n" for row in rows), "utf-8")


def as_array(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON array."""
    path.write_text(json.dumps(rows, default=float), "utf-8")


def as_dbf(path: Path, rows: list[dict[str, Any]]) -> None:
    """A dBase III file of texts."""
    widths = {name: max(len(str(row[name] or "").encode()) for row in rows) for name in rows[0]}
    size = 1 + sum(widths.values())
    head = struct.pack("<BBBBLHH20x", 3, 126, 1, 1, len(rows), 33 + 32 * len(widths), size)
    fields = b"".join(struct.pack("<11sc4xBB14x", name.encode(), b"C", width, 0) for name, width in widths.items())
    lines = (
        b" " + b"".join(str(row[name] or "").encode().ljust(width) for name, width in widths.items()) for row in rows
    )
    path.write_bytes(head + fields + b"\r" + b"".join(lines) + b"\x1a")


def as_points(path: Path, rows: list[dict[str, Any]]) -> None:
    """GeoJSON: each row is a point with all its columns."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
            "properties": row,
        }
        for row in rows
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, default=float), "utf-8")


def as_singer(path: Path, rows: list[dict[str, Any]]) -> None:
    """Singer messages, numbers and texts as they are."""
    stream = path.name.partition(".")[0]
    columns = {name: {"type": ["null", "string", "number"]} for name in rows[0]}
    schema = {"type": "object", "properties": columns}
    messages: list[Mapping[str, Any]] = [{"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []}]
    messages += [{"type": "RECORD", "stream": stream, "record": row} for row in rows]
    path.write_text("".join(json.dumps(one, default=float) + "\n" for one in messages), "utf-8")


def _reading(world: World, config: dict[str, Any], tables: Iterable[str], source: str, **section: Any) -> Reading:
    return Reading({"config": config, **section}, {name: world.tables[name] for name in tables}, source)


def csv_folder(world: World, folder: Path) -> Reading:
    """tap-csv-folder."""
    _files(world, folder, ".csv", as_csv, TABLES)
    config = {"filesystem": "local", "path": str(folder), "read_mode": "one_stream_per_file"}
    return _reading(world, config, TABLES, "CSV files", sandbox={"read": [str(folder)]})


def jsonl(world: World, folder: Path) -> Reading:
    """tap-jsonl: one stream."""
    (file,) = _files(world, folder, ".jsonl", as_lines, ["airports"])
    config = {"path": str(file), "stream_name": "airports", "primary_keys": ["faa"]}
    return _reading(world, config, ["airports"], "JSON Lines files", sandbox={"read": [str(folder)]})


def jsonfile(world: World, folder: Path) -> Reading:
    """tap-jsonfile: one stream; what has not changed is not read again."""
    (file,) = _files(world, folder, ".json", as_array, ["airports"])
    config = {"paths": [str(file)], "stream_name": "airports"}
    return _reading(world, config, ["airports"], "a JSON file", sandbox={"read": [str(folder)]})


def spreadsheets(world: World, folder: Path) -> Reading:
    """tap-spreadsheets."""
    tables = ["airlines", "airports", "planes"]
    files = _files(world, folder, ".csv", as_csv, tables)
    keys = {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}
    config = {
        "files": [
            {"path": str(file), "format": "csv", "table_name": file.stem, "primary_keys": [keys[file.stem]]}
            for file in files
        ]
    }
    return _reading(world, config, tables, "CSV files", sandbox={"read": [str(folder)]})


def dbf(world: World, folder: Path) -> Reading:
    """tap-dbf."""
    _files(world, folder, ".dbf", as_dbf, ["airlines"])
    return _reading(world, {"path": f"{folder}/*.dbf"}, ["airlines"], "a dBase file", sandbox={"read": [str(folder)]})


def geo(world: World, folder: Path) -> Reading:
    """tap-geo."""
    (file,) = _files(world, folder, ".geojson", as_points, ["airports"])
    fields = list(world.rows["airports"][0])
    config = {
        "files": [{"paths": [str(file)], "table_name": "airports", "expose_fields": fields, "primary_keys": ["faa"]}]
    }
    return _reading(world, config, ["airports"], "a GeoJSON file", sandbox={"read": [str(folder)]})


def singer_jsonl(world: World, folder: Path) -> Reading:
    """tap-singer-jsonl."""
    _files(world, folder, ".singer", as_singer, TABLES)
    config = {"source": "local", "local": {"folders": [str(folder)]}, "add_record_metadata": False}
    return _reading(world, config, TABLES, "files of Singer messages", sandbox={"read": [str(folder)]})


def rest_api_msdk(world: World, _folder: Path) -> Reading:
    """tap-rest-api-msdk, page by page; one page fails the first time it is asked for."""
    tables = ["airlines", "airports", "planes"]
    keys = {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}
    config = {
        "api_url": world.site.url,
        "next_page_token_path": "$.next",
        "pagination_request_style": "jsonpath_paginator",
        "pagination_response_style": "page",
        "streams": [
            {
                "name": one,
                "path": f"/{one}",
                "primary_keys": [keys[one]],
                "records_path": "$.data[*]",
                "schema": _schema(world, one),
            }
            for one in tables
        ],
    }
    return _reading(world, config, tables, "a paged HTTP API")


def _schema(world: World, table: str) -> dict[str, Any]:
    """Any of the columns may be null."""
    texts = TEXTS | TIMES
    columns = {name: {"type": ["null", "string" if name in texts else "number"]} for name in world.rows[table][0]}
    return {"type": "object", "properties": columns}


def rest_api(world: World, folder: Path) -> Reading:
    """tap-rest-api (anelendata's): schemas come from files. It knows no metadata: the selection is in the schema."""
    folder.mkdir(parents=True)
    columns = {name: {"type": ["null", "string"]} for name in world.rows["airlines"][0]}
    schema = {"type": "object", "properties": columns}
    (folder / "airlines.json").write_text(json.dumps(schema), "utf-8")
    config = {
        "url": world.site.url + "/{stream}?page={current_page_one_base}&limit=500",
        "streams": "airlines",
        "schema_dir": str(folder),
        "record_list_level": "data[*]",
        "items_per_page": 500,
        "index_key": "carrier",
        "start_index": "",
        "auth_method": "no_auth",
    }
    return _reading(world, config, ["airlines"], "an HTTP API", sandbox={"read": [str(folder)]})


def s3_csv(world: World, folder: Path) -> Reading:
    """tap-s3-csv and pipelinewise-tap-s3-csv."""
    files = _files(world, folder, ".csv", as_csv, TABLES)
    bucket = world.buckets.create(fresh("from"))
    for file in files:
        world.buckets.put(bucket, file.name, file.read_bytes())
    tables = [
        {
            "table_name": name,
            "search_pattern": f"{name}.csv$",
            "search_prefix": "",
            "key_properties": [],
            "delimiter": ",",
        }
        for name in TABLES
    ]
    config = {
        "start_date": "2000-01-01T00:00:00Z",
        "bucket": bucket,
        "aws_endpoint_url": world.buckets.url,
        **KEYS,
        "tables": tables,
    }
    return _reading(world, config, TABLES, "CSV files in S3", env={"AWS_DEFAULT_REGION": REGION})


def s3_csv_singer(world: World, folder: Path) -> Reading:
    """tap-s3-csv (singer-io): it assumes a role, `tables` is a text, the service's address is in the environment."""
    reading = s3_csv(world, folder)
    config = reading.section["config"]
    config["tables"] = json.dumps(config["tables"])
    config |= {"account_id": "123456789012", "external_id": "dativo", "role_name": "reader"}
    url = config.pop("aws_endpoint_url")
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
    }
    reading.section["env"] = variables
    reading.section["sandbox"] = {"network": [url.removeprefix("http://")]}
    return reading


def minio_csv(world: World, folder: Path) -> Reading:
    """tap-minio-csv: `tables` is a text, keys are one."""
    reading = s3_csv(world, folder)
    config = reading.section["config"]
    config["endpoint_url"] = config.pop("aws_endpoint_url")
    config["tables"] = json.dumps([{**one, "key_properties": ""} for one in config["tables"]])
    return reading


def files_anywhere(world: World, folder: Path) -> Reading:
    """tap-filesanywhere."""
    tables = ["airlines", "airports", "planes"]
    _files(world, folder, ".csv", as_csv, tables)
    keys = {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}
    config = {
        "start_date": "2000-01-01T00:00:00Z",
        "tables": [
            {"path": f"file://{folder}", "name": one, "pattern": f"{one}.csv", "format": "csv",
             "key_properties": [keys[one]]}
            for one in tables
        ],
    }  # fmt: skip
    return _reading(world, config, tables, "CSV files", sandbox={"read": [str(folder)]})


def feed(world: World, _folder: Path) -> Reading:
    """tap-feed: the airlines as entries of an Atom feed."""
    entry = "<entry><id>{carrier}</id><title>{name}</title><updated>2026-01-01T00:00:00Z</updated></entry>"
    entries = "".join(
        entry.format_map({name: html.escape(str(value)) for name, value in row.items()})
        for row in world.rows["airlines"]
    )
    text = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>airlines</title>{entries}</feed>'
    world.site.texts["/feed"] = ("application/atom+xml", text)
    config = {
        "feed_urls": [f"{world.site.url}/feed"],
        "feed_fields": ["title"],
        "feed_entry_fields": ["id", "title"],
        "feed_entry_replication_key": "updated",
        "start_date": "2000-01-01T00:00:00Z",
    }
    reading = _reading(world, config, ["airlines"], "an Atom feed")
    reading.called = {"feed": "airlines", "entry_id": "carrier", "entry_title": "name"}
    return reading


def diffgen(world: World, _folder: Path) -> Reading:
    """plinxore-tap-diffgen: a journal beside the tables, in a schema of its own, tells which rows it reads."""
    server, tables = world.postgres, {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}
    copies = "; ".join(f"create table audit.{one} as select * from public.{one}" for one in tables)
    journal = " union all ".join(f"select '{one}', {key}, 'i', now() from public.{one}" for one, key in tables.items())
    server.sql(
        f"drop schema if exists audit cascade; create schema audit; {copies}; create table audit.diffgen "
        "(id serial, tablename text, table_id text, op text, ts_created timestamptz); "
        f"insert into audit.diffgen (tablename, table_id, op, ts_created) {journal}"
    )
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    config = {
        **reach,
        "sql_dialect": "postgres",
        "database": server.database,
        "schema": "audit",
        "tables": [{"table_name": one, "pk_column": key} for one, key in tables.items()],
    }
    return _reading(world, config, tables, "a journal in PostgreSQL")


def _tap(setup: Callable[[World, Path], Reading], distribution: str, version: str, **more: Any) -> Tap:
    return Tap(Plugin(distribution, version, "tap", **more), setup)


TAPS = {
    one.name: one
    for one in (
        _tap(meltanolabs_postgres, "meltanolabs-tap-postgres", "0.10.0"),
        _tap(pipelinewise_postgres, "pipelinewise-tap-postgres", "2.1.0"),
        Tap(Plugin("meltanolabs-tap-postgres", "0.10.0", "tap"), meltanolabs_postgres_batches, "in BATCHes"),
        Tap(Plugin("pipelinewise-tap-postgres", "2.1.0", "tap"), pipelinewise_postgres_log, "by the log"),
        _tap(singer_mysql, "tap-mysql", "1.17.7"),
        _tap(singer_mysql, "pipelinewise-tap-mysql", "1.6.0"),
        Tap(Plugin("pipelinewise-tap-mysql", "1.6.0", "tap"), pipelinewise_mysql_log, "by the log"),
        _tap(
            meltanolabs_mysql,
            "meltanolabs-tap-mysql",
            "0.0.1a1",
            why="it rounds doubles to ten places behind the point",
        ),
        _tap(csv_folder, "tap-csv-folder", "0.0.1a1"),
        _tap(jsonl, "tap-jsonl", "0.3.1", variant="celine-eu"),
        _tap(jsonfile, "tap-jsonfile", "0.1.2"),
        _tap(spreadsheets, "tap-spreadsheets", "1.1.2"),
        _tap(dbf, "tap-dbf", "0.1.25"),
        _tap(geo, "tap-geo", "0.3.1"),
        _tap(singer_jsonl, "tap-singer-jsonl", "0.1.0"),
        _tap(rest_api_msdk, "tap-rest-api-msdk", "1.4.2", with_=OLD_SETUPTOOLS),
        _tap(rest_api, "tap-rest-api", "0.2.22"),
        _tap(s3_csv, "pipelinewise-tap-s3-csv", "3.0.1"),
        _tap(s3_csv_singer, "tap-s3-csv", "2.3.1"),
        _tap(pipelinewise_postgres, "oc-pipelinewise-tap-postgres", "2.1.1"),
        _tap(pipelinewise_postgres, "process-street-tap-postgres", "2.2.0"),
        _tap(pipelinewise_postgres, "dz-tap-postgres", "2.0.2"),
        _tap(
            singer_mysql,
            "jjy-tap-mysql",
            "1.0.1",
            with_=("kafka-python",),
            why="what it reads goes to a Kafka broker, and not to stdout",
        ),
        _tap(singer_mysql, "raygun-tap-mysql", "1.3.10"),
        _tap(singer_mysql, "bethink-tap-mysql", "0.0.2", why="it sets a variable that MySQL has and MariaDB has not"),
        _tap(pipelinewise_postgres, "dp-pipelinewise-tap-postgres", "1.8.14", python="3.9"),
        _tap(minio_csv, "tap-minio-csv", "1.2.2", python="3.9"),
        _tap(files_anywhere, "tap-filesanywhere", "0.0.1"),
        _tap(feed, "tap-feed", "1.1.1"),
        _tap(diffgen, "plinxore-tap-diffgen", "0.1.3"),
    )
}
