"""learn as a user meets it: real plugins, observed in their sandbox."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from dativo.bus import kernel
from tests.cli.terminal import dativo

TAP = """#!/usr/bin/env python3
import json, socket, sys
if "--about" in sys.argv:
    print(json.dumps({"name": "tap-curious", "version": "1", "kind": "tap", "sandbox": {"network": []},
        "capabilities": ["about", "catalog", "discover"], "settings": {"type": "object", "properties": {
            "files": {"type": "array", "items": {"type": "string"}}, "port": {"type": "integer"}}}}))
    sys.exit()
config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
try:
    open("HOME/.ssh/id_rsa")
except OSError:
    pass
rows = [open(path).read() for path in config["files"]]
if "--discover" in sys.argv:
    print(json.dumps({"streams": [{"tap_stream_id": "s", "stream": "s", "schema": {"type": "object"}}]}))
    sys.exit()
if "port" in config:
    socket.create_connection(("localhost", config["port"]), 10).close()
print(json.dumps({"type": "SCHEMA", "stream": "s", "schema": {"type": "object"}, "key_properties": []}))
for row in rows:
    print(json.dumps({"type": "RECORD", "stream": "s", "record": {"v": row}}))
"""
TARGET = """#!/usr/bin/env python3
import json, sys
if "--about" in sys.argv:
    print(json.dumps({"name": "target-curious", "version": "1", "kind": "target", "capabilities": ["about"],
        "sandbox": {"network": []}, "settings": {"type": "object", "properties": {"path": {"type": "string"}}}}))
    sys.exit()
config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
lines = sys.stdin.readlines()
with open(config["path"] + ".new", "w") as out:
    out.writelines(lines)
"""


@pytest.fixture
def folder(tmp_path):
    project = tmp_path / "project"
    (project / "home" / ".ssh").mkdir(parents=True)
    (project / "home" / ".ssh" / "id_rsa").write_text("key")
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.csv").write_text(name)
    (project / "dativo.yml").write_text("# mine\n")
    for name, text in (("tap_curious.py", TAP), ("target_curious.py", TARGET)):
        (project / name).write_text(text.replace("HOME", str(project / "home")))
        (project / name).chmod(0o755)
    done = dativo(project, "add", "./tap_curious.py", "./target_curious.py")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server):
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


def learn(folder, *words, **options):
    """What it says as JSON; None on a machine without namespaces, where it refuses."""
    done = dativo(folder, "learn", *words, "--json", **options)
    if not kernel.probe().profile("strict").available:
        assert (done.returncode, json.loads(done.stdout)["code"]) == (3, "sandbox.unavailable")
        return None
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def files(folder, names="abc"):
    return [word for name in names for word in ("--files", str(folder.parent / "in" / f"{name}.csv"))]


def test_it_proposes_and_changes_nothing(folder):
    told = learn(folder, "tap-curious", *files(folder), "--dry-run")
    if told is None:
        return
    one = str(folder.parent / "in" / "a.csv")
    assert (told["passed"], told["proposed"]) == (False, {"read": [one]})
    assert told["allow"] == f"dativo allow tap-curious --read {one}"
    assert [(row["kind"], row["what"]) for row in told["withheld"]] == [("read", str(folder / "home/.ssh/id_rsa"))]
    assert told["problem"]["code"].startswith("plugin.")
    assert "sandbox" not in (folder / "dativo.yml").read_text()
    said = dativo(folder, "learn", "tap-curious", *files(folder)).stdout  # nobody is there to be asked
    assert "asked for, not proposed:" in said
    assert f'read: ["{one}"]' in said


def test_it_grants_round_after_round_until_it_passes(folder, port):
    told = learn(folder, "tap-curious", *files(folder), "--port", port, "--yes")
    if told is None:
        return
    assert (told["passed"], told["records"]) == (True, 3)
    assert told["granted"] == {"read": [str(folder.parent / "in")], "network": [f"localhost:{port}"]}
    text = (folder / "dativo.yml").read_text()
    assert text.startswith("# mine\n")
    assert "a.csv" not in text  # the folder has taken its place
    again = learn(folder, "tap-curious", *files(folder), "--port", port)
    assert (again["passed"], again["rounds"], again["granted"]) == (True, 1, {})
    moved = dativo(folder, "tap-curious", *files(folder), "--port", port)
    assert (moved.returncode, moved.stdout.count('"RECORD"')) == (0, 3)
    assert dativo(folder, "state", "list", "--json").stdout.strip() in ("[]", '{"jobs": []}')


def test_a_target_learns_from_a_file_or_from_a_pipe(folder):
    messages = '{"type": "SCHEMA", "stream": "s", "schema": {}, "key_properties": []}\n'
    (folder / "in.jsonl").write_text(messages)
    words = ["target-curious", "--path", folder.parent / "out" / "x", "--confirm", "never"]
    told = learn(folder, *words, "--dry-run", stdin=messages)
    if told is None:
        return
    assert told["proposed"] == {"write": [str(folder.parent / "out")]}
    told = learn(folder, *words, "--input", "in.jsonl", "--yes")
    assert (told["passed"], told["granted"]) == (True, {"write": [str(folder.parent / "out")]})
    assert (folder.parent / "out" / "x.new").read_text() == messages


def test_a_failure_of_its_own_is_told_as_such(folder):
    done = dativo(folder, "learn", "tap-curious", "--files", "/nowhere/at/all", "--yes")
    if done.returncode == 3:
        return  # no namespaces
    assert done.returncode == 1
    assert "nothing that it was refused explains this" in done.stderr


def test_its_help_lists_the_plugins_flags(folder):
    done = dativo(folder, "learn", "tap-curious", "--help")
    assert "--files" in done.stdout
    assert "--yes" in done.stdout
    assert "--discover" not in done.stdout
