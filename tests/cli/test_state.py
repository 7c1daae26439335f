import json
import os
import pty
import subprocess

import pytest

from tests.cli.terminal import command, dativo, environment

EXACT = '{"bookmarks": {"a": {"v": 1.10, "n": 12345678901234567890.5}, "b": {"id": 7}}}'


def test_nothing_yet(run, tmp_path):
    said = run("state", "list")
    assert (said.out, said.err) == ("", "  no bookmarks yet\n")
    assert run("state", "list", "--json").out == "[]\n"
    assert not (tmp_path / ".dativo").exists()
    for name in ("get", "log"):
        assert "error[state.unknown]  j has no bookmark" in run("state", name, "j", code=2).err
    assert "j has no bookmark" in run("state", "clear", "j", "--yes", code=2).err


def test_set_and_get_keep_every_byte(run):
    run("state", "set", "j", EXACT)
    assert run("state", "get", "j").out == EXACT + "\n"
    assert run("state", "get", "j", "--json").out == EXACT + "\n"
    assert run("state", "get", "j", "--stream", "a").out == '{"v": 1.10, "n": 12345678901234567890.5}\n'
    said = run("state", "get", "j", "--stream", "c", code=2).err
    assert "j has no bookmark for c\n  streams: a, b\n" in said
    assert "did you mean shop?" in (run("state", "set", "shop", "{}"), run("state", "get", "shp", code=2))[1].err


def test_set_from_a_file_or_stdin(run, tmp_path):
    (tmp_path / "s.json").write_text("\ufeff" + EXACT + "\n")
    run("state", "set", "j", "--file", "s.json")
    assert run("state", "get", "j").out == EXACT + "\n"
    for words in (["k"], ["l", "-"]):
        done = dativo(tmp_path, "state", "set", *words, stdin=EXACT)
        assert done.returncode == 0, done.stderr
        assert dativo(tmp_path, "state", "get", words[0]).stdout == EXACT + "\n"


def test_a_whole_state_message_is_unwrapped_and_said(run):
    said = run("state", "set", "j", '{"type": "STATE", "value": {"n": 1.0}}')
    assert "this is a STATE message; its value is taken" in said.err
    assert run("state", "get", "j").out == '{"n": 1.0}\n'
    assert "not a JSON object" in run("state", "set", "j", '{"type": "STATE", "value": null}', code=2).err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "a list, not a JSON object"),
        (b"null", "null, not a JSON object"),
        (b"{", "not JSON"),
        (b'{"a": 1}\n{"a": 2}\n', "not JSON"),
        (b'{"a": "\xff"}', "is not UTF-8"),
    ],
)
def test_bad_states_are_refused_and_the_old_one_stays(run, tmp_path, content, says):
    run("state", "set", "j", EXACT)
    (tmp_path / "s.json").write_bytes(content)
    said = run("state", "set", "j", "--yes", "--file", "s.json", code=2)
    assert "error[state.invalid]" in said.err
    assert says in said.err
    assert run("state", "get", "j").out == EXACT + "\n"


def test_a_file_that_is_not_there(run, tmp_path):
    assert "nope does not exist" in run("state", "set", "j", "--file", "nope", code=2).err
    assert "is a directory" in run("state", "set", "j", "--file", ".", code=2).err
    assert "not both" in run("state", "set", "j", "{}", "--file", "x", code=2).err


def test_discarding_needs_a_yes(run):
    run("state", "set", "j", EXACT)
    for words in (["set", "j", "{}"], ["set", "j", '{"id": 1}', "--stream", "b"], ["clear", "j"]):
        said = run("state", *words, code=2)
        assert "nobody is here to answer" in said.err
        assert "give --yes" in said.err
    assert run("state", "get", "j").out == EXACT + "\n"
    run("state", "set", "j", EXACT)  # the same again discards nothing
    run("state", "set", "j", '{"id": 1}', "--stream", "b", "--yes", "--reason", "late rows")
    assert run("state", "get", "j").out == EXACT.replace('{"id": 7}', '{"id": 1}') + "\n"
    run("state", "clear", "j", "--stream", "b", "-y")
    assert json.loads(run("state", "get", "j").out)["bookmarks"].keys() == {"a"}
    assert "streams: a" in run("state", "clear", "j", "--stream", "b", "-y", code=2).err
    run("state", "clear", "j", "-y")
    said = run("state", "get", "j")
    assert said.out == "{}\n"
    assert "was cleared" in said.err


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, EXACT), (b"\n", 1, EXACT), (b"y\n", 0, "{}")])
def test_a_terminal_is_asked(run, tmp_path, answer, code, left):
    run("state", "set", "j", EXACT)
    parent, child = pty.openpty()
    env = environment(tmp_path, DATIVO_HOME=str(tmp_path / "home"))
    process = subprocess.Popen(
        command("state", "clear", "j"), cwd=tmp_path, env=env, stdin=child, stderr=child, stdout=subprocess.PIPE
    )
    os.close(child)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(parent, 1024)
    os.write(parent, answer)
    process.communicate()
    os.close(parent)
    assert process.returncode == code
    assert b"forget the bookmark of j: 2 streams" in said
    assert run("state", "get", "j").out == left + "\n"


def test_a_running_job_is_left_alone(run, store):
    store.set("j", EXACT)
    lease = store.acquire("j")
    for words in (["set", "j", "{}"], ["clear", "j"]):
        said = run("state", *words, "--yes", code=5)
        assert f"error[job.busy]  j is being run by pid {os.getpid()} on " in said.err
    listed = json.loads(run("state", "list", "--json").out)
    assert listed[0]["held_by"]["pid"] == os.getpid()
    assert f"running (pid {os.getpid()}" in run("state", "list").out
    said = run("state", "clear", "j", "--yes", "--json", code=5)
    assert json.loads(said.out)["pid"] == os.getpid()
    store.release(lease)
    run("state", "clear", "j", "--yes")


def test_the_log_shows_runs_and_hands(run, store):
    lease = store.acquire("shop")
    for verdict, at, rows in (("interrupted", "2026-01-01", 1_200_000), ("done", "2026-01-02", 8113)):
        name = store.start_run(lease)
        store.commit(lease, f'{{"bookmarks":{{"orders":{{"updated_at":"{at}"}}}}}}', rows, rows)
        store.end_run(name, verdict, None, {"streams": {"orders": {"records": rows - 1}}})
    store.release(lease)
    run("state", "set", "shop", '{"updated_at": "2025"}', "--stream", "orders", "--yes", "--reason", "late rows")
    lines = run("state", "log", "shop", "--stream", "orders").out.splitlines()
    assert [line.split()[0] for line in lines] == ["set", "run", "run"]
    assert "updated_at 2025 " in lines[0] and "late rows" in lines[0]
    assert "run 2 " in lines[1] and "8,112 rows  done" in lines[1]
    assert "run 1 " in lines[2] and "1,199,999 rows  interrupted" in lines[2]
    entries = json.loads(run("state", "log", "shop", "--json", "--limit", "2").out)
    assert [(one["origin"], one["number"], one["records"]) for one in entries] == [
        ("set", None, None),
        ("run", 2, 8113),
    ]
    assert entries[1]["value"] == '{"bookmarks":{"orders":{"updated_at":"2026-01-02"}}}'
    assert entries[1]["at"].endswith("Z")


def test_the_list_shows_each_job(run, store):
    store.set("b-job", EXACT)
    store.set("a-job", '{"bookmarks":{"x":{"id":5}}}')
    rows = [line.split() for line in run("state", "list").out.splitlines()]
    assert [row[0] for row in rows] == ["a-job", "b-job"]
    assert rows[0][-4:] == ["x:", "id", "5", "set"]
    assert run("state", "list", "--stream", "a").out.split()[0] == "b-job"
    assert "no job has a bookmark for the stream zzz" in run("state", "list", "--stream", "zzz").err
    listed = json.loads(run("state", "list", "--json").out)
    assert [one["value"] for one in listed] == ['{"bookmarks":{"x":{"id":5}}}', EXACT]


def test_quiet_and_json_answers(run):
    assert run("state", "set", "j", EXACT, "-q") == ("", "")
    assert json.loads(run("state", "set", "j", EXACT, "--json").out) == {"job": "j", "stream": None, "changed": False}
    assert json.loads(run("state", "clear", "j", "-y", "--json").out)["changed"] is True


def test_a_damaged_store_exits_3_and_says_what_to_do(run, tmp_path):
    run("state", "set", "j", EXACT)
    for one in (tmp_path / ".dativo").iterdir():
        one.write_bytes(b"damaged " * 1000)
    said = run("state", "get", "j", code=3).err
    assert said.startswith("error[state.store]  the state store ")
    assert "restore a backup" in said
