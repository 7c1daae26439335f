"""Readers and writers of the earlier Dativo, as they were called then and as processes under `dativo run`: equal rows.

By hand means: the class or the library in the caller's own process, batch by batch, as the earlier engine had it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workspace import Workspace, building

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(1_200)]

READER = '''\
"""A reader as somebody wrote it for the earlier Dativo."""
import datetime
import os
from pathlib import Path

from dativo_ingest.plugins import BaseReader, ConnectionTestResult
from dativo_ingest.validator import IncrementalStateManager
from pages import pages


class PeopleReader(BaseReader):
    __version__ = "1.0.0"

    def __init__(self, source_config):
        super().__init__(source_config)
        self.size = source_config.engine["options"]["page_size"]
        assert source_config.credentials["token"] == "t0ken-value"
        assert os.environ["PEOPLE_REGION"] == "eu"

    def check_connection(self):
        return ConnectionTestResult(success=True, message="fine")

    def extract(self, state_manager=None):
        print("a reader that talks on stdout")
        for file in self.source_config.files:
            path = Path(file["path"])
            moment = str(len(path.read_text()))
            state_path = Path(self.source_config.incremental["state_path"])
            if state_manager.should_skip_file(file["id"], moment, state_path):
                continue
            rows = [line.split(",") for line in path.read_text().splitlines()]
            records = [{"id": int(one[0]), "name": one[1], "born": datetime.datetime(1980, 1, int(one[0]) % 28 + 1)}
                       for one in rows]
            yield from pages(records, self.size)
            state_manager.update_file_state(file["id"], moment, state_path)
'''
PAGES = """\
def pages(records, size):
    for at in range(0, len(records), size):
        yield records[at : at + size]
"""
WRITER = """\
import json
from pathlib import Path

from dativo_ingest.plugins import BaseWriter


class LinesWriter(BaseWriter):
    def __init__(self, asset_definition, target_config, output_base):
        super().__init__(asset_definition, target_config, output_base)
        self.folder = Path(target_config.connection["path"])
        self.columns = [one["name"] for one in asset_definition.schema]

    def write_batch(self, records, file_counter):
        print("a writer that talks on stdout")
        path = self.folder / f"part-{file_counter:05d}.jsonl"
        lines = [json.dumps({one: str(record.get(one)) for one in self.columns}) for record in records]
        path.write_text("\\n".join(lines) + "\\n")
        return [{"path": str(path), "size_bytes": path.stat().st_size, "record_count": len(records)}]

    def commit_files(self, file_metadata):
        total = sum(one["record_count"] for one in file_metadata)
        (self.folder / "_manifest.json").write_text(json.dumps({"rows": total, "files": len(file_metadata)}))
        return {"status": "success", "files_added": len(file_metadata)}
"""
ENGINE = '''\
"""As much of the earlier engine as a reader and a writer need, written for this test."""
import json
from pathlib import Path


class ConnectionTestResult:
    def __init__(self, **keys):
        self.__dict__.update(keys)


class BaseReader:
    def __init__(self, source_config):
        self.source_config = source_config


class BaseWriter:
    def __init__(self, asset_definition, target_config, output_base):
        self.asset_definition, self.target_config, self.output_base = asset_definition, target_config, output_base


class IncrementalStateManager:
    @staticmethod
    def should_skip_file(file_id, moment, path):
        known = json.loads(Path(path).read_text()) if Path(path).exists() else {}
        return bool(known.get(f"file_{file_id}")) and moment <= known[f"file_{file_id}"]["last_modified"]

    @staticmethod
    def update_file_state(file_id, moment, path):
        known = json.loads(Path(path).read_text()) if Path(path).exists() else {}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps({**known, f"file_{file_id}": {"last_modified": moment, "file_id": file_id}}))
'''
BY_HAND = """\
import sys
from types import SimpleNamespace as Of
sys.path[:0] = ["plugins", "engine"]
import people_reader, lines_writer
from dativo_ingest.validator import IncrementalStateManager
source = Of(type="csv", engine={"options": {"page_size": 40}}, credentials={"token": "t0ken-value"},
            files=[{"path": "data/people.csv", "id": "people", "object": "people"}],
            incremental={"state_path": ".local/state/acme/csv.people.state.json"})
asset = Of(name="crm_people", schema=[{"name": "id"}, {"name": "name"}, {"name": "born"}])
writer = lines_writer.LinesWriter(asset, Of(connection={"path": sys.argv[1]}), "s3://lake/crm/people/crm_people")
files = []
for batch in people_reader.PeopleReader(source).extract(state_manager=IncrementalStateManager()):
    files += writer.write_batch(batch, len(files))
if files:
    writer.commit_files(files)
"""
JOB = """\
tenant_id: acme
environment: prod
source_connector: csv
source_connector_path: /app/connectors/csv.yaml
target_connector: s3
target_connector_path: /app/connectors/s3.yaml
asset: crm_people
asset_path: /app/assets/csv/v1.0/people.yaml
source:
  custom_reader: "/app/plugins/people_reader.py:PeopleReader"
  credentials: {token: t0ken-value}
  files: [{path: /app/data/people.csv, id: people, object: people}]
  incremental: {strategy: file_modified_time}
  engine: {options: {page_size: 40}}
target:
  custom_writer: "plugins/lines_writer.py:LinesWriter"
  connection: {path: OUT, s3: {bucket: lake}}
schema_validation_mode: strict
retry_config: {max_retries: 0, backoff_multiplier: 2}
"""
RUST_JOB = """\
tenant_id: acme
source_connector_path: connectors/csv.yaml
target_connector_path: connectors/s3.yaml
asset_path: assets/csv/v1.0/people.yaml
source:
  custom_reader: "plugins/libshop.so:create_reader"
  engine: {options: {rows: 25}}
target:
  custom_writer: "plugins/libshop.so:create_writer"
  connection: {path: OUT, s3: {bucket: lake}}
"""
CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
name: crm_people
version: "1.0"
domain: crm
dataProduct: people
source_type: csv
object: people
schema:
  - {name: id, type: integer, required: true, primaryKey: true}
  - {name: name, type: string}
  - {name: born, type: timestamp}
team: {owner: data@example.com}
"""
RUST = r"""
use std::ffi::{c_char, CStr, CString};
use std::io::Write;

pub struct Reader { left: usize, next: usize }
pub struct Writer { folder: String }

fn text(pointer: *const c_char) -> String { unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned() }

fn after<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let mark = format!("\"{key}\": ");
    config.find(&mark).map(|at| &config[at + mark.len()..])
}

#[no_mangle]
pub extern "C" fn create_reader(config: *const c_char) -> *mut Reader {
    let config = text(config);
    assert!(config.contains("\"type\": \"csv\""));
    let rows = after(&config, "rows").and_then(|rest| {
        rest.split(|sign: char| !sign.is_ascii_digit()).next().and_then(|word| word.parse().ok())
    });
    match rows {
        Some(left) => Box::into_raw(Box::new(Reader { left, next: 1 })),
        None => std::ptr::null_mut(),
    }
}

#[no_mangle]
pub extern "C" fn extract_batch(reader: *mut Reader) -> *mut c_char {
    let reader = unsafe { &mut *reader };
    let count = reader.left.min(10);
    if count == 0 { return std::ptr::null_mut(); }
    let rows: Vec<String> = (reader.next..reader.next + count)
        .map(|id| format!("{{\"id\": {id}, \"name\": \"Zoë {id}\", \"born\": \"2001-01-01T00:00:00\"}}")).collect();
    reader.next += count;
    reader.left -= count;
    println!("a library that talks on stdout");
    CString::new(format!("[{}]", rows.join(", "))).unwrap().into_raw()
}

#[no_mangle]
pub extern "C" fn free_reader(reader: *mut Reader) { drop(unsafe { Box::from_raw(reader) }); }

#[no_mangle]
pub extern "C" fn create_writer(config: *const c_char) -> *mut Writer {
    let config = text(config);
    let path = after(&config, "path").map(|rest| rest.trim_start_matches('"').split('"').next().unwrap().to_owned());
    match path {
        Some(folder) => Box::into_raw(Box::new(Writer { folder })),
        None => std::ptr::null_mut(),
    }
}

#[no_mangle]
pub extern "C" fn write_batch(writer: *mut Writer, input: *const c_char) -> *mut c_char {
    let writer = unsafe { &*writer };
    let path = format!("{}/rust.jsonl", writer.folder);
    let mut file = match std::fs::OpenOptions::new().create(true).append(true).open(&path) {
        Ok(file) => file,
        Err(_) => return std::ptr::null_mut(),
    };
    writeln!(file, "{}", text(input)).unwrap();
    CString::new(format!("[{{\"path\": \"{path}\"}}]")).unwrap().into_raw()
}

#[no_mangle]
pub extern "C" fn free_writer(writer: *mut Writer) { drop(unsafe { Box::from_raw(writer) }); }

#[no_mangle]
pub extern "C" fn free_string(pointer: *mut c_char) { drop(unsafe { CString::from_raw(pointer) }); }
"""


def written(folder: Path, *, rust: bool = False) -> Path:
    """A folder of the earlier Dativo with one job. `OUT` is out/ in it."""
    plugins = folder / "plugins"
    for name in ("jobs/acme", "connectors", "assets/csv/v1.0", "plugins", "data", "out", "engine/dativo_ingest"):
        (folder / name).mkdir(parents=True)
    job = RUST_JOB if rust else JOB
    (folder / "jobs" / "acme" / "people.yaml").write_text(job.replace("OUT", str(folder / "out")))
    (folder / "connectors" / "csv.yaml").write_text(
        "name: csv\ntype: csv\nroles: [source]\ndefault_engine: {type: native}\n"
    )
    (folder / "connectors" / "s3.yaml").write_text(
        "name: s3\ntype: s3\nroles: [target]\ndefault_engine: {type: native}\n"
    )
    (folder / "assets" / "csv" / "v1.0" / "people.yaml").write_text(CONTRACT)
    (folder / "data" / "people.csv").write_text("".join(f"{n},name {n}\n" for n in range(1, 101)))
    if rust:
        (plugins / "shop.rs").write_text(RUST)
        command = ["rustc", "--edition", "2021", "-O", "--crate-type", "cdylib", "-o", "libshop.so", "shop.rs"]
        subprocess.run(command, cwd=plugins, check=True)
    (plugins / "people_reader.py").write_text(READER)
    (plugins / "pages.py").write_text(PAGES)
    (plugins / "lines_writer.py").write_text(WRITER)
    (folder / "engine" / "dativo_ingest" / "__init__.py").write_text("")
    for module in ("plugins", "validator"):
        (folder / "engine" / "dativo_ingest" / f"{module}.py").write_text(ENGINE)
    return folder


def by_hand(folder: Path) -> None:
    out = folder / "out"
    command = [sys.executable, "-c", BY_HAND, str(out)]
    subprocess.run(command, cwd=folder, check=True, env={"PEOPLE_REGION": "eu"}, stdout=subprocess.DEVNULL)


def moved(folder: Path, into: Path, home: Path) -> Workspace:
    project = Workspace(into, home)
    (into / "dativo.yml").unlink()
    project.dativo("import", "earlier", folder).expect()
    with building(home):
        project.dativo("sync").expect()
    return project


def landed(folder: Path) -> tuple[list[Any], Any]:
    lines = [
        json.loads(line) for one in sorted((folder / "out").glob("*.jsonl")) for line in one.read_text().splitlines()
    ]
    manifest = folder / "out" / "_manifest.json"
    rows = json.loads(manifest.read_text())["rows"] if manifest.exists() else None
    for one in (folder / "out").iterdir():
        one.unlink()
    return lines, rows


def test_python_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand, copy = written(tmp_path / "hand"), written(tmp_path / "copy")
    project = moved(copy, tmp_path / "project", tmp_path / "home")
    text = (project.folder / "dativo.yml").read_text()
    assert "t0ken-value" not in text
    by_hand(hand)
    rows = landed(hand)
    assert (len(rows[0]), rows[1]) == (100, 100)
    project.shell("PEOPLE_REGION=eu dativo run people").expect()
    assert landed(copy) == rows
    state = json.loads((hand / ".local/state/acme/csv.people.state.json").read_text())
    assert project.bookmark("people") == {"bookmarks": {"crm_people": {"state": state}}}
    project.shell("PEOPLE_REGION=eu dativo run people").expect()
    assert landed(copy) == ([], None), "nothing is new"

    # With the state that the earlier Dativo has: the import takes it along.
    later = moved(hand, tmp_path / "later", tmp_path / "home")
    assert later.bookmark("people") == project.bookmark("people")
    later.shell("PEOPLE_REGION=eu dativo run people").expect()
    assert landed(hand) == ([], None)
    for folder in (hand, copy):
        with (folder / "data" / "people.csv").open("a") as file:
            file.write("101,later\n")
    by_hand(hand)
    rows = landed(hand)
    project.shell("PEOPLE_REGION=eu dativo run people").expect()
    assert landed(copy) == rows
    assert len(rows[0]) == 101


def test_a_shared_library(tmp_path: Path) -> None:
    folder = written(tmp_path / "folder", rust=True)
    project = moved(folder, tmp_path / "project", tmp_path / "home")
    library = folder / "plugins" / "libshop.so"
    script = f"""
import ctypes, json, sys
shared = ctypes.CDLL({str(library)!r})
for name in ("create_reader", "create_writer", "extract_batch", "write_batch"):
    getattr(shared, name).restype = ctypes.c_void_p
given = {{"type": "csv", "engine": {{"options": {{"rows": 25}}}}, "connection": {{"path": {str(folder / "out")!r}}}}}
reader = ctypes.c_void_p(shared.create_reader(json.dumps(given).encode()))
writer = ctypes.c_void_p(shared.create_writer(json.dumps(given).encode()))
while pointer := shared.extract_batch(reader):
    batch = json.loads(ctypes.cast(pointer, ctypes.c_char_p).value)
    shared.write_batch(writer, json.dumps({{"records": batch, "file_counter": 0}}).encode())
"""
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
    rows = [row for batch in landed(folder)[0] for row in batch["records"]]
    assert len(rows) == 25
    project.dativo("run", "people").expect()
    assert [row for batch in landed(folder)[0] for row in batch["records"]] == rows
    project.dativo("run", "people").expect()
    assert len(landed(folder)[0]) == 1, "no incremental: everything again, as it was"


FAKER_JOB = """\
tenant_id: acme
source_connector_path: connectors/faker.yaml
target_connector_path: connectors/s3.yaml
asset_path: assets/users.yaml
source:
  objects: [users]
  connection: {count: 40, seed: 7, always_updated: false}
target:
  custom_writer: "plugins/lines_writer.py:LinesWriter"
  connection: {path: OUT, s3: {bucket: lake}}
schema_validation_mode: warn
"""
FAKER = """\
name: faker
type: faker
roles: [source]
default_engine:
  type: airbyte
  options:
    airbyte: {docker_image: "airbyte/source-faker:7.2.1", streams_default: [users, purchases]}
"""


def test_an_airbyte_source(tmp_path: Path) -> None:
    """A recipe of an Airbyte image runs as the connector of that name from PyPI, with what its job says."""
    folder = written(tmp_path / "folder")
    (folder / "connectors" / "faker.yaml").write_text(FAKER)
    (folder / "assets" / "users.yaml").write_text("name: users\nschema: [{name: id, type: integer}, {name: name}]\n")
    (folder / "jobs" / "acme" / "people.yaml").unlink()
    (folder / "jobs" / "acme" / "users.yaml").write_text(FAKER_JOB.replace("OUT", str(folder / "out")))
    project = moved(folder, tmp_path / "project", tmp_path / "home")
    project.dativo("run", "users").expect()
    rows, total = landed(folder)
    assert (len(rows), total) == (40, 40)
    assert sorted(int(one["id"]) for one in rows) == list(range(1, 41))
    project.dativo("run", "users").expect()
    assert len(landed(folder)[0]) == 40, "no incremental: everything again, as it was"
