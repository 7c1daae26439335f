"""Text files in a bucket (moto), read and written by our plugins; in sandbox `strict` too."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.workspace import Workspace, installed

PLUGINS = ("tap-csv", "tap-jsonl", "target-csv", "dativo-target-jsonl")
ROWS = 60_000


class Bucket:
    """One bucket of the server."""

    def __init__(self, url: str) -> None:
        self.storage = {
            "endpoint": url,
            "region": "us-east-1",
            "access_key_id": "x",
            "secret_access_key": "hidden-key-y",
        }
        self.client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
        )
        self.client.create_bucket(Bucket="lake")

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket="lake", Key=key, Body=content)

    def get(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket="lake", Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        return [one["Key"] for one in self.client.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", [])]

    def rows(self, prefix: str, job: str, stream: str) -> list[str]:
        """The lines of the objects that the job's manifest names, in order; there are no others."""
        manifest = json.loads(self.get(f"{prefix}/_dativo/{job}.json"))
        named = [one["name"] for one in manifest["streams"][stream]]
        there = [key.removeprefix(f"{prefix}/") for key in self.keys(f"{prefix}/{stream}/")]
        assert sorted(there) == sorted(named)
        return [line for name in named for line in self.get(f"{prefix}/{name}").decode().splitlines()]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = Bucket(f"http://{host}:{port}")
    yield found
    found.client.close()
    server.stop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return installed("text-files", PLUGINS, tmp_path_factory.mktemp("text-files"))


def lines(ids: range) -> bytes:
    return b"".join(b'{"id":%d,"t":"row %d"}\n' % (n, n) for n in ids)


def write(folder: Path, name: str, config: dict[str, Any]) -> Path:
    path = folder / name
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def test_csv_in_and_out_of_a_bucket_in_the_strict_sandbox(shop: Workspace, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/a.csv", b"id,name\n1,x\n2,\n")
    bucket.put("in/deep/b.csv.gz", gzip.compress(b'id,name\n3,"y, z"\n'))
    bucket.put("in/c.txt", b"no\n")
    here = shop.branch(tmp_path / "csv")
    here.configure(
        {
            "tap-csv": {"config": {"files": ["s3://lake/in/**/*.csv*"], "stream": "all", "storage": bucket.storage}},
            "target-csv": {"config": {"path": "s3://lake/out/csv", "storage": bucket.storage}},
        }
    )
    line = ("run", "--sandbox", "strict", "tap-csv", "target-csv", "--job", "csv")
    done = here.dativo(*line).expect()
    assert bucket.rows("out/csv", "csv", "all") == ["id,name", "1,x", "2,", '3,"y, z"']
    assert "hidden-key" not in done.stdout + done.stderr
    # Nothing new; then one more object.
    here.dativo(*line).expect()
    bucket.put("in/d.csv", b"id,name\n4,w\n")
    here.dativo(*line).expect()
    assert bucket.rows("out/csv", "csv", "all") == ["id,name", "1,x", "2,", '3,"y, z"', "id,name", "4,w"]


def test_json_lines_and_overwriting(shop: Workspace, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("j/s.jsonl", lines(range(3)))
    here = shop.branch(tmp_path / "jsonl")
    target = {"path": "s3://lake/out/j", "mode": "overwrite", "gzip": True, "storage": bucket.storage}
    here.configure(
        {
            "tap-jsonl": {"config": {"files": "s3://lake/j/*.jsonl", "storage": bucket.storage}},
            "target-jsonl": {"config": target},
        }
    )
    line = ("run", "--sandbox", "strict", "tap-jsonl", "target-jsonl", "--job", "j")
    here.dativo(*line).expect()
    bucket.put("j/s.jsonl", lines(range(5, 7)))
    here.dativo(*line).expect()
    keys = bucket.keys("out/j/s/")
    assert [gzip.decompress(bucket.get(key)) for key in keys] == [lines(range(5, 7))]


def test_a_host_that_is_not_named_is_not_reached(shop: Workspace, bucket: Bucket, tmp_path: Path) -> None:
    """Without an endpoint the cloud's own hosts are asked for, and nothing on loopback."""
    here = shop.branch(tmp_path / "denied")
    here.configure({"tap-jsonl": {"config": {"files": "/nowhere/x.jsonl", "storage": bucket.storage}}})
    shown = here.dativo("inspect", "tap-jsonl").expect()
    assert bucket.storage["endpoint"].removeprefix("http://") in shown.stdout
    here.configure({"tap-jsonl": {"config": {"files": "/nowhere/x.jsonl", "storage": {}}}})
    assert "127.0.0.1" not in here.dativo("inspect", "tap-jsonl").expect().stdout


@pytest.mark.parametrize("target", ["target-jsonl", "target-csv"])
def test_kill_9_loses_nothing_and_doubles_nothing(shop: Workspace, bucket: Bucket, tmp_path: Path, target: str) -> None:
    """A target killed between commits, again and again, and fed from its bookmark on each time."""
    prefix = f"killed/{target}"
    config = write(tmp_path, "config.json", {"path": f"s3://lake/{prefix}", "storage": bucket.storage})
    command = [str(shop.executable(target)), "--config", str(config)]
    environment = {**os.environ, "DATIVO_JOB": "k"}
    schema = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{},"t":{}}},"key_properties":[]}\n'

    def bookmark() -> int:
        told = subprocess.run([*command, "--bookmark", "k"], capture_output=True, check=True, env=environment).stdout
        return int(json.loads(told)["id"]) if told.strip() else 0

    def message(start: int, end: int) -> bytes:
        records = b"".join(
            b'{"type":"RECORD","stream":"s","record":{"id":%d,"t":"%s"}}\n' % (n, b"x" * 2000)
            for n in range(start, end)
        )
        return records + b'{"type":"STATE","value":{"id":%d}}\n' % end

    for round_ in range(4):
        done = bookmark()
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(schema)
        for step in range(done, done + 50_000, 5_000):  # 10 MB between two STATEs: commits on the way
            process.stdin.write(message(step, step + 5_000))
            process.stdin.flush()
            if round_ == 3 and step > done + 30_000:
                break
        if round_ == 3:
            process.stdin.close()
            assert process.wait() == 0
        else:
            time.sleep(0.1 * round_)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdin.close()
        process.stdout.close()
    rows = bucket.rows(prefix, "k", "s")
    ids = [int(row.split(",")[0].split(":")[-1]) for row in rows if not row.startswith("id,")]
    assert ids == list(range(bookmark()))


def test_large_objects_resume_where_they_were_left(shop: Workspace, bucket: Bucket, tmp_path: Path) -> None:
    """From the middle of an object of several chunks on, byte for byte."""
    content = lines(range(ROWS * 10))
    assert len(content) > 10 << 20
    bucket.put("large/s.jsonl", content)
    config = write(tmp_path, "c.json", {"files": "s3://lake/large/s.jsonl", "storage": bucket.storage})
    command = [str(shop.executable("tap-jsonl")), "--config", str(config)]
    whole = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    at = next(n for n in range(len(whole) // 2, len(whole)) if whole[n].startswith(b'{"type":"STATE"'))
    state = write(tmp_path, "state.json", json.loads(whole[at])["value"])
    rest = subprocess.run([*command, "--state", str(state)], capture_output=True, check=True).stdout.splitlines()
    records = [line for line in whole if line.startswith(b'{"type":"RECORD"')]
    behind = [line for line in whole[at:] if line.startswith(b'{"type":"RECORD"')]
    assert len(records) == ROWS * 10
    assert [line for line in rest if line.startswith(b'{"type":"RECORD"')] == behind
    bucket.put("large/s.jsonl", b'{"id":1}\n')
    replaced = subprocess.run([*command, "--state", str(state)], capture_output=True, check=True)
    assert b"is not the file that was read before" in replaced.stderr
    assert replaced.stdout.count(b'"RECORD"') == 1


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"files": "s3://lake/none/*.jsonl"}, 2, "finds no file"),
        ({"files": "s3://nobucket/x.jsonl"}, 2, "error[config.invalid]"),
        ({"storage": {"nonsense": "1"}}, 2, 'storage: "nonsense" says nothing to s3'),
    ],
)
def test_what_is_wrong_is_said(
    shop: Workspace, bucket: Bucket, tmp_path: Path, change: dict[str, Any], code: int, text: str
) -> None:
    given = {"files": "s3://lake/in/a.csv", "storage": bucket.storage, **change}
    config = write(tmp_path, "c.json", given)
    done = subprocess.run(
        [str(shop.executable("tap-jsonl")), "--config", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "hidden-key" not in done.stderr
