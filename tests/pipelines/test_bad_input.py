"""What a user gets wrong: one line that says what, a hint, the right exit code, nothing half-written, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.faulty import Faulty, codes, errors_in
from tests.workspace import Answer

BROKEN = {
    "not-json.json": '{"rows": 3,}',
    "no-object.json": "[1, 2]",
    "wrong-type.json": '{"rows": "many"}',
    "wrong-word.json": '{"mode": "sideways"}',
    "no-streams.json": '{"stream": []}',
    "no-id.json": '{"streams": [{"schema": {}}]}',
    "no-schema.json": '{"streams": [{"tap_stream_id": "t"}]}',
    "cut.json": '{"streams": [',
    "state-list.json": "[1]",
    "state-cut.json": '{"bookmarks": {',
    "binary.json": "\ufffd",
}


@pytest.fixture
def broken(faulty: Faulty) -> Faulty:
    """A project with broken files."""
    for name, text in BROKEN.items():
        (faulty.folder / name).write_text(text)
    (faulty.folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    return faulty


def one_error(answer: Answer, exit_code: int, code: str, *words: str) -> None:
    """Exactly one error, in our shape, with these words in it."""
    answer.expect(exit_code)
    assert errors_in(answer) == [code]
    lines = answer.stderr.splitlines()
    assert lines[-1].endswith(f"(exit {exit_code})"), answer.stderr
    assert len(lines[-1].strip()) > len(f"(exit {exit_code})"), "a hint"
    for word in words:
        assert word in answer.stderr, answer.stderr


# the words after `dativo run tap-fault target-fault --set target-fault.path=…`
RUNS = [
    (["--config", "tap-fault=absent.json"], "config.invalid", ["absent.json", "No such file"]),
    (["--config", "tap-fault=not-json.json"], "config.invalid", ["not-json.json", "line 1"]),
    (["--config", "tap-fault=no-object.json"], "config.invalid", ["no JSON object"]),
    (["--config", "tap-fault=binary.json"], "config.invalid", ["binary.json"]),
    (["--config", "tap-fault=wrong-type.json"], "config.invalid", ["rows must be integer"]),
    (["--config", "tap-fault=wrong-word.json"], "config.invalid", ["mode must be one of"]),
    (["--config", "nobody=x.json"], "usage", ["nobody", "--config PLUGIN=FILE"]),
    (["--set", "tap-fault.rows"], "usage", ["KEY=VALUE"]),
    (["--set", "rows=3"], "usage", ["PLUGIN.KEY=VALUE"]),
    (["--set", "tap-fault.rows=many"], "config.invalid", ["rows must be integer", "--set tap-fault.rows="]),
    (["--catalog", "absent.json"], "catalog.invalid", ["No such file"]),
    (["--catalog", "cut.json"], "catalog.invalid", ["line 1"]),
    (["--catalog", "no-streams.json"], "catalog.invalid", ["streams"]),
    (["--catalog", "no-id.json"], "catalog.invalid", ["streams[0] has no tap_stream_id"]),
    (["--catalog", "no-schema.json"], "catalog.invalid", ["streams[0] has no schema"]),
    (["--state", "absent.json"], "state.invalid", ["No such file"]),
    (["--state", "state-list.json"], "state.invalid", ["not a JSON object"]),
    (["--state", "state-cut.json"], "state.invalid", ["not JSON"]),
    (["--state", "binary.json"], "state.invalid", ["UTF-8"]),
    (["--stream", "tt"], "catalog.none", ["no stream tt", "did you mean t?"]),
    (["--select", "!*.*"], "catalog.none", ["no stream of tap-fault is selected"]),
    (["--max-line", "lots"], "usage", ["a size is expected"]),
    (["--grace", "soon"], "usage", ["a duration is expected"]),
    (["--junk", "keep"], "usage", ["'keep'"]),
    (["--pass-env", "A=b"], "usage", ["only the name"]),
    (["--env", "nowhere"], "project.invalid", ["no environment nowhere"]),
    (["--strem", "t"], "usage", ["--strem", "--stream"]),
]


@pytest.mark.parametrize(("words", "code", "said"), RUNS, ids=[" ".join(one[0]) for one in RUNS])
def test_dativo_run_refuses(broken: Faulty, words: list[str], code: str, said: list[str]):
    one_error(broken.run(*words), 2, code, *said)
    assert not broken.out.exists()
    assert broken.runtime() == []


JOBS = [
    (["tap-nope", "target-fault"], "plugin.unknown", ["tap-nope", "dativo add tap-nope"]),
    (["tap-fautl", "target-fault"], "plugin.unknown", ["did you mean tap-fault?"]),
    (["target-fault", "tap-fault"], "job.invalid", ["target-fault (target) > tap-fault (tap)"]),
    (["tap-fault", "tap-fault"], "job.invalid", []),
    (["tap-fault", "map-fault", "map-fault", "target-fault"], "job.invalid", ["twice"]),
    (["nothing"], "job.unknown", ["nothing"]),
    (["absent.yml"], "job.invalid", ["absent.yml"]),
    (["tap-fault", "target-fault"], "config.missing", ["target-fault needs path", "--set target-fault.path="]),
]


@pytest.mark.parametrize(("words", "code", "said"), JOBS, ids=[" ".join(one[0]) for one in JOBS])
def test_a_job_that_cannot_be_run(faulty: Faulty, words: list[str], code: str, said: list[str]):
    one_error(faulty.dativo("run", *words), 2, code, *said)


# left options, right options, exit code, error
PIPES = [
    ("--config not-json.json", "", "config.invalid", "not-json.json"),
    ("--rows many", "", "config.invalid", "rows must be integer"),
    ("--row 3", "", "usage", "--rows"),
    ("--catalog cut.json", "", "catalog.invalid", "cut.json"),
    ("--state state-list.json", "", "state.invalid", "not a JSON object"),
    ("--stream nothing", "", "catalog.none", "nothing"),
    ("", "--mode sideways", "config.invalid", "mode must be one of"),
    ("", "--pth x", "usage", "--path"),
    ("", "--set mode", "usage", "KEY=VALUE"),
]


@pytest.mark.parametrize(("left", "right", "code", "words"), PIPES, ids=[f"{one[0]}|{one[1]}" for one in PIPES])
def test_a_shell_pipe_refuses_on_both_sides_and_says_it_once(
    broken: Faulty, left: str, right: str, code: str, words: str
):
    answer = broken.pipe(f"{left} -v", right)
    assert codes(answer) == [2, 2], answer.stderr
    assert errors_in(answer) == [code]
    assert words in answer.stderr
    assert "selected" not in answer.stderr  # no plugin was started
    assert not broken.out.exists()


def test_no_such_plugin_on_either_side(faulty: Faulty):
    for line in (
        f"dativo tap-nope | dativo target-fault --path {faulty.out}; echo codes ${{PIPESTATUS[*]}}",
        "dativo tap-fault -v | dativo target-nope; echo codes ${PIPESTATUS[*]}",
    ):
        answer = faulty.shell(line)
        assert codes(answer) == [2, 2], answer.stderr
        assert errors_in(answer) == ["plugin.unknown"]
        assert "selected" not in answer.stderr
    assert not faulty.out.exists()


def test_a_target_without_its_required_setting(faulty: Faulty):
    answer = faulty.shell("dativo tap-fault | dativo target-fault; echo codes ${PIPESTATUS[*]}")
    assert codes(answer) == [2, 2]
    assert errors_in(answer) == ["config.missing"]
    assert "target-fault needs path" in answer.stderr
    assert "--path" in answer.stderr


def test_errors_as_json_are_one_object(faulty: Faulty):
    found = faulty.dativo("run", "tap-fault", "target-fault", "--json").expect(2).json
    assert (found["code"], found["plugin"], found["setting"], found["exit"]) == (
        "config.missing",
        "target-fault",
        "path",
        2,
    )
    answer = faulty.dativo("tap-fault", "--json", "--rows", "many").expect(2)
    assert answer.stdout == ""  # a tap's stdout is its stream
    assert json.loads(answer.stderr)["code"] == "config.invalid"


def test_a_secret_is_in_no_error(faulty: Faulty):
    """I13"""
    answer = faulty.run("--set", "tap-fault.password=hunter2", "--set", "tap-fault.rows=hunter3").expect(2)
    assert "hunter" not in answer.stdout + answer.stderr
    file = faulty.folder / "c.json"
    file.write_text('{"password": ["hunter2"]}')
    answer = faulty.run("--config", f"tap-fault={file}").expect(2)
    assert "hunter" not in answer.stdout + answer.stderr
    assert "password must be string" in answer.stderr


# -- a plugin as a command


def test_flags_are_typed_by_the_manifest(faulty: Faulty):
    answer = faulty.dativo(
        "tap-fault", "--dry-run", "--rows", "3", "--labels", "a", "--labels", "b", "--extra", '{"x": 1}', "--no-loud"
    ).expect()
    assert answer.json["children"][0]["role"] == "tap"
    answer = faulty.dativo("tap-fault", "--dry-run", "--labels", "a", "--either", "b", "--either", "c").expect()
    answer = faulty.dativo(
        "tap-fault", "--rows", "3", "--loud", "-v", "--either", "d", "--labels", '["a", "b"]'
    ).expect()
    assert "labels ['a', 'b'] either 'd'" in answer.stderr
    answer = faulty.dativo("tap-fault", "--rows", "3", "--loud", "-v", "--either", "d", "--either", "e").expect()
    assert "labels None either ['d', 'e']" in answer.stderr
    assert "tap-fault | row 2" in answer.stderr
    assert len([line for line in answer.stdout.splitlines() if '"RECORD"' in line]) == 3


def test_precedence_is_flag_set_file_environment_project(faulty: Faulty):
    (faulty.folder / "dativo.yml").write_text(json.dumps({"plugins": {"tap-fault": {"config": {"rows": 1}}}}))
    file = faulty.folder / "c.json"
    file.write_text('{"rows": 3}')

    def rows(*words: str, before: str = "") -> int:
        answer = faulty.shell(f"{before} dativo tap-fault {' '.join(words)}").expect()
        return answer.stdout.count('"RECORD"')

    assert rows() == 1
    assert rows(before="TAP_FAULT_ROWS=2") == 1  # only on request
    assert rows("--config ENV", before="TAP_FAULT_ROWS=2") == 2
    assert rows("--config ENV", f"--config {file}", before="TAP_FAULT_ROWS=2") == 3
    assert rows(f"--config {file}", "--set rows=4") == 4
    assert rows(f"--config {file}", "--set rows=4", "--rows 5") == 5


def test_help_shows_settings_and_hides_secrets(faulty: Faulty):
    answer = faulty.dativo("tap-fault", "--help").expect()
    assert "--rows INTEGER" in answer.stdout
    assert "How many rows there are [20]" in answer.stdout
    assert "--loud / --no-loud" in answer.stdout
    assert "password" not in answer.stdout
    assert answer.stdout.count("--state ") == 1  # a setting of that name gives way to the option


def test_what_a_plugin_says_about_itself(faulty: Faulty):
    assert faulty.dativo("tap-fault", "--about", "--format", "json").expect().json["name"] == "tap-fault"
    assert "required" in faulty.dativo("target-fault", "--about").expect().stdout
    assert faulty.dativo("tap-fault", "--version").expect().stdout == "tap-fault 1.0\n"
    catalog = faulty.dativo("tap-fault", "--discover").expect().json
    assert [one["stream"] for one in catalog["streams"]] == ["t", "u"]
    one_error(faulty.dativo("tap-fault", "--discover", "--mode", "exit2"), 2, "config.invalid", "choose another mode")


# -- the machine


def test_without_a_data_plane(faulty: Faulty, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATIVO_BUS", "/nowhere/dativo-bus")
    one_error(faulty.run(), 3, "bus.missing", "/nowhere/dativo-bus  (DATIVO_BUS)")
    assert faulty.runtime() == []


def test_a_place_that_cannot_be_written(faulty: Faulty):
    """A directory stands where the store should be made: no plugin is started."""
    (faulty.folder / ".dativo" / "state.db").mkdir(parents=True)
    answer = faulty.run("-v").expect(3)
    assert errors_in(answer) in (["state.store"], ["env.read_only"])
    assert "selected" not in answer.stderr
    assert not faulty.out.exists()


def test_a_full_disk_at_the_target(faulty: Faulty):
    answer = faulty.run("--set", "target-fault.path=/dev/full").expect(1)
    assert errors_in(answer) == ["plugin.exited"]
    assert "No space left on device" in answer.stderr
    assert faulty.position() is None


def test_a_plugin_that_is_gone(faulty: Faulty):
    lock = (faulty.folder / "dativo.lock").read_text()
    here = Path(__file__).parents[1] / "fixtures"
    (faulty.folder / "dativo.lock").write_text(lock.replace(f'executable = "{here}/tap-fault"', 'executable = "gone"'))
    answer = faulty.run().expect(3)
    assert errors_in(answer) == ["plugin.not_installed"]
