"""What goes wrong around the data: one line with a code and what to do, the right exit code, nothing half written."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest


def lines(singer, count: int) -> str:
    text = "".join(singer.record(f'{{"id":{at},"v":"{"x" * 200}{at * 7919}"}}') for at in range(count))
    return singer.schema() + text + singer.state({"rows": count})


def test_a_locked_file_names_who_holds_it(target, singer) -> None:
    holder = target.start()
    holder.stdin.write(lines(singer, 1).encode())
    holder.stdin.flush()
    while not target.path.exists() or target.bookmark().code == 0:
        assert holder.poll() is None
    result = target.load(lines(singer, 1))
    assert result.code == 3
    assert f"error[env.locked]  {target.path} is in use by process {holder.pid}" in result.err
    assert "hint:" in result.err
    assert target.bookmark().code == 3
    holder.communicate()
    assert target.load(lines(singer, 1)).code == 0


@pytest.mark.parametrize("batch_rows", [500, 100_000])
def test_full_disk(target, singer, batch_rows) -> None:
    assert target.load(lines(singer, 10)).code == 0
    room = target.path.stat().st_size + 300_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    process = subprocess.run(
        target.command(batch_rows=batch_rows),
        input=lines(singer, 40_000).encode(),
        capture_output=True,
        env=target.env,
        preexec_fn=limit,
        check=False,
    )
    err = process.stderr.decode()
    assert process.returncode == 3, err
    assert "error[env.disk_full]" in err
    assert b"40000" not in process.stdout
    assert target.sql("SELECT count(*) FROM t") == [(10,)]
    assert target.bookmark().out == '{"rows": 10}\n'
    assert target.load(lines(singer, 40_000)).code == 0
    assert target.sql("SELECT count(*) FROM t") == [(40_010,)]


def test_a_disk_without_room_for_a_new_file(target, singer) -> None:
    """DuckDB leaves half of a file, which no later run could open."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    process = subprocess.run(
        target.command(),
        input=lines(singer, 10).encode(),
        capture_output=True,
        env=target.env,
        preexec_fn=limit,
        check=False,
    )
    err = process.stderr.decode()
    assert process.returncode == 3, err
    assert "error[env.disk_full]" in err
    assert not target.path.exists()
    assert target.load(lines(singer, 10)).code == 0
    assert target.sql("SELECT count(*) FROM t") == [(10,)]


def test_full_output(target, singer) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            target.command(),
            input=lines(singer, 1).encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            env=target.env,
            check=False,
        )
    assert done.returncode == 3
    assert b"error[env.disk_full]" in done.stderr
    assert target.sql("SELECT count(*) FROM t") == [(1,)]


def test_a_file_that_is_no_database(target, singer) -> None:
    target.path.write_text("some notes of mine\n" * 1000)
    before = target.path.read_bytes()
    for result in (target.load(lines(singer, 1)), target.bookmark()):
        assert result.code == 2
        assert "is not a DuckDB database" in result.err
    assert target.path.read_bytes() == before


def test_a_folder_that_is_not_there(target, singer) -> None:
    result = target.load(lines(singer, 1), path=str(target.folder / "no" / "t.duckdb"))
    assert (result.code, "error[env.read_only]" in result.err) == (3, True)


def test_a_place_that_cannot_be_written(target, singer) -> None:
    result = target.load(lines(singer, 1), path="/proc/t.duckdb")
    assert (result.code, "error[env.read_only]" in result.err) == (3, True)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{", "config.invalid", "not JSON"),
        ("[]", "config.invalid", "not a JSON object"),
        ("{}", "config.missing", "needs path"),
        ('{"path":"x","batch_rows":"many"}', "config.invalid", "batch_rows"),
        ('{"path":"x","batch_rows":0}', "config.invalid", "batch_rows"),
        ('{"path":"x","mode":"merge"}', "config.invalid", "mode"),
        ('{"path":"x","table_name":"one"}', "config.invalid", "table_name"),
    ],
)
def test_bad_configuration(target, text, code, words) -> None:
    command = target.command()
    (target.folder / "config.json").write_text(text)
    done = subprocess.run(command, input=b"", capture_output=True, env=target.env, cwd=target.folder, check=False)
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr.decode()
    assert words in done.stderr.decode()


def script(target, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [target.command()[0], *arguments]
    return subprocess.run(command, input="", capture_output=True, env={**target.env, **env}, text=True, check=False)


def test_configuration_from_several_places(target) -> None:
    first = target.folder / "a.json"
    first.write_text(json.dumps({"path": "nowhere/x", "batch_rows": 5}))
    done = script(target, "--config", str(first), "--config", "ENV", TARGET_DUCKDB_PATH=str(target.path))
    assert (done.returncode, target.path.exists()) == (0, True), done.stderr


def test_input_file(target, singer) -> None:
    data = target.folder / "in.singer"
    data.write_text(lines(singer, 3))
    command = target.command("--input", str(data))
    assert subprocess.run(command, capture_output=True, env=target.env, check=False).stdout == b'{"rows": 3}\n'
    assert script(target, "--config", str(target.folder / "config.json"), "--input", "/no/such").returncode == 2


def test_about_version_help(target) -> None:
    manifest = json.loads(script(target, "--about", "--format", "json").stdout)
    assert (manifest["name"], manifest["kind"]) == ("target-duckdb", "target")
    assert {"about", "batch", "bookmark", "exit-codes"} <= set(manifest["capabilities"])
    assert manifest["settings"]["required"] == ["path"]
    assert all(one["description"] for one in manifest["settings"]["properties"].values())
    assert script(target, "--version").stdout.startswith("target-duckdb 0.1.0")
    assert "--bookmark" in script(target, "--help").stdout
    assert script(target, "--no-such-flag").returncode == 2


def test_only_the_standard_library_until_a_run_starts() -> None:
    code = (
        "import sys, target_duckdb.cli as cli; cli.act(['--about']);"
        "print([m for m in ('duckdb', 'pyarrow', 'orjson', 'dativo') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert done.stderr.strip() == "[]"
