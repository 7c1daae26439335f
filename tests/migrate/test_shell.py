"""What the report of a script's import says, to the line; nothing of the script is ever run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dativo_protocol.catalog import selected_streams
from tests.cli.terminal import dativo
from tests.migrate.importing import entries, imported, project, tree

FRESH = "its tap gets no state: each run reads everything; take full_refresh out and runs go on at the bookmark"
KEPT = "kept as it is; without it streams are discovered by each run, and chosen with `dativo select`"
STATE = "Dativo keeps the last state that the target confirmed by itself"
GRANTED = "the script's plugins may use every file: this one is granted what its settings name"
JSONL = "installed as the variant andyh1203 of the index, which knows its settings best; there is dativo too"
CATALOG: dict[str, Any] = {
    "streams": [
        {
            "tap_stream_id": "orders",
            "schema": {"type": "object", "properties": {"id": {}, "card": {}}},
            "replication_method": "INCREMENTAL",
            "replication_key": "at",
            "metadata": [
                {"breadcrumb": [], "metadata": {"selected": True}},
                {"breadcrumb": ["properties", "card"], "metadata": {"selected": False}},
            ],
        },
        {"tap_stream_id": "old", "schema": {"selected": True, "properties": {"a": {"selected": False}, "b": {}}}},
        {"tap_stream_id": "never", "schema": {"properties": {"a": {}}}},
    ]
}


def scripted(folder: Path, text: str, **files: Any) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    script = folder / "sync.sh"
    script.write_text(text)
    return script


def test_a_plain_pipe(tmp_path: Path) -> None:
    script = scripted(
        tmp_path,
        "tap-shop --config tap.json --catalog catalog.json --state state.json | target-jsonl -c target.json > out\n"
        "tail -1 out > state.json\n",
        tap={"host": "db", "password": "p$$w", "start": "${HOME}"},
        target={"destination_path": "rows"},
        catalog=CATALOG,
        state='{"bookmarks": {"orders": {"at": 1.10}}}\n',
    )
    before = tree(tmp_path)
    answer = imported(tmp_path, "shell", script, "--dry-run")
    assert tree(tmp_path) == before
    assert entries(answer, "taken") == [
        ("tap.json", "config.host", "plugins.tap-shop.config.host"),
        ("tap.json", "config.start", "plugins.tap-shop.config.start"),
        ("target.json", "config.destination_path", "plugins.target-jsonl.config.destination_path"),
        ("state.json", "tap-shop-to-target-jsonl: its state", "the bookmark of tap-shop-to-target-jsonl"),
    ]
    assert entries(answer, "changed") == [
        ("sync.sh:2", "tail", STATE),
        ("sync.sh:1", "tap-shop", "installed as a guess: the package tap-shop"),
        ("tap.json", "config.password", "a secret: its value is in .env as TAP_SHOP_PASSWORD"),
        ("catalog.json", "tap-shop: its catalog", KEPT),
        ("sync.sh:1", "target-jsonl", JSONL),
        ("target.json", "destination_path", GRANTED),
        ("sync.sh:1", "tap-shop | target-jsonl", "run with: dativo run tap-shop-to-target-jsonl"),
    ]
    assert entries(answer, "left") == []
    imported(tmp_path, "shell", script)
    assert project(tmp_path) == {
        "plugins": {
            "tap-shop": {
                "config": {"host": "db", "password": "secret://env/TAP_SHOP_PASSWORD", "start": "$${HOME}"},
                "catalog": "catalogs/tap-shop.json",
            },
            "target-jsonl": {
                "variant": "andyh1203",
                "config": {"destination_path": "rows"},
                "sandbox": {"write": ["{config:destination_path}"]},
            },
        },
        "jobs": {"tap-shop-to-target-jsonl": {"steps": ["tap-shop", "target-jsonl"]}},
    }
    kept = json.loads((tmp_path / "catalogs" / "tap-shop.json").read_text())
    assert selected_streams(kept) == {"orders": ["id"], "old": ["b"]}
    assert kept["streams"][0] == CATALOG["streams"][0]
    assert (tmp_path / ".env").read_text() == 'TAP_SHOP_PASSWORD="p$$w"\n'
    state = dativo(tmp_path, "state", "get", "tap-shop-to-target-jsonl").stdout
    assert state.strip() == '{"bookmarks": {"orders": {"at": 1.10}}}', "to the last digit"


def test_several_pipes_with_variables_and_a_mapper(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "t.json").write_text("{}")
    (tmp_path / "vars.env").write_text("REGION=eu\nexport API_TOKEN='t0ken'\nODD=$(date)\n")
    text = """\
source vars.env
C=conf; export TAP_A_URL=https://x/ TAP_A_KEY=k LIMIT
for f in *; do tap-z | target-z; done
tap-a --config=ENV | meltano-map-transform -c $C/t.json | target-jsonl --config ${C}/t.json &
tap-a --config=ENV | target-jsonl -c conf/t.json --dev
tap-b -c missing.json -p $NOWHERE | tee raw.log | target-jsonl -c $C/t.json | tail -n1 > s.json
tap-b | jq . | target-jsonl
tap-b --discover > catalog.json
cat rows | target-jsonl
python -m tap_c -c conf/t.json | dativo target-jsonl
curl -s -H "Authorization: Bearer abc" https://hook || exit 1
"""
    answer = imported(tmp_path, "shell", scripted(tmp_path, text), "--dry-run")
    assert entries(answer, "left") == [
        ("sync.sh:0", "vars.env: ODD", "its value is not known: it is expanded by the shell"),
        ("sync.sh:3", "a for loop",
         "nothing is run, so what it does is not known (a tap or a target is in it: write its pipeline out)"),
        ("sync.sh:6", "tee", "to keep what is moved: dativo run --record"),
        ("sync.sh:7", "the pipeline tap-b | jq | target-jsonl",
         "jq changes what is moved: it would have to be a mapper"),
        ("sync.sh:8", "tap-b --discover", "streams are discovered by each run; see `dativo discover`"),
        ("sync.sh:9", "the pipeline cat | target-jsonl", "it is no tap piped into a target"),
        ("sync.sh:11", "the command curl", "it is not understood, and nothing is run"),
        ("sync.sh:11", "what follows ||",
         "it runs when what is before it fails; `dativo run` tries again by itself"),
        ("sync.sh:5", "target-jsonl: --dev", "plugins get no arguments of their own"),
        ("missing.json", "tap-b: its config", "it cannot be read: No such file or directory"),
        ("sync.sh:6", "tap-b: its catalog", "which file: $NOWHERE comes from outside the script"),
    ]  # fmt: skip
    assert [(where, what) for where, what, why in entries(answer, "changed") if why == FRESH] == [
        ("sync.sh:4", "tap-a without --state"),
        ("sync.sh:5", "tap-a without --state"),
        ("sync.sh:6", "tap-b without --state"),
        ("sync.sh:10", "tap-c without --state"),
    ]
    why = "its value comes from outside: it is taken from the environment of `dativo run`"
    assert ("sync.sh:2", "export LIMIT", why) in entries(answer, "changed")
    made = answer["project"]
    assert {name: job["steps"] for name, job in made["jobs"].items()} == {
        "tap-a-meltano-map-transform-to-target-jsonl": ["tap-a", "meltano-map-transform", "target-jsonl"],
        "tap-a-to-target-jsonl": ["tap-a", "target-jsonl"],
        "tap-b-to-target-jsonl": ["tap-b", "target-jsonl"],
        "tap-c-to-target-jsonl": ["tap-c", "target-jsonl"],
    }
    tap = made["plugins"]["tap-a"]
    assert tap["config"] == {"url": "https://x/", "key": "k"}
    assert (tap["env"], tap["pass_env"]) == ({"API_TOKEN": "${API_TOKEN}"}, ["LIMIT"])
    assert "Bearer" not in str(answer)
    assert "t0ken" not in str(answer)


def test_hostile_scripts(tmp_path: Path) -> None:
    """What they want does not happen, and their files are data."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xff"}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text("[]")
    text = """\
X=$(touch pwned); . ..; `touch pwned`; eval touch pwned; . ./evil.sh; touch pwned
tap-a -c "$(touch pwned)" | target-a -c t.json
tap-b -c pipe.json | target-a -c latin.json
tap-c -c deep.json -s ../../../../../../../../etc/passwd | target-a -c list.json > $OUT
tap-d -c t.json --catalog t.json | target-a -c /dev/zero
'tap-e; touch pwned' -c t.json | target-a -c t.json
tap-f -c t.json <(touch pwned) | target-a -c t.json <<EOF
$(touch pwned)
EOF
export PATH=/evil:$PATH LD_PRELOAD=/evil.so DATIVO_HOME=/evil A=secret://exec/x B='${HOME}'
tap-g -c t.json | target-a -c t.json
"open
"""
    config = {
        "a": "secret://exec/x", "b": "${HOME}", "token": "a\nINJECTED=1", "password": "x\u2028Y=1", "path": "../../etc",
        "url": "postgres://u:pw@h/d",
    }  # fmt: skip
    script = scripted(tmp_path, text, t=config)
    (tmp_path / "evil.sh").write_text("touch pwned\n")
    answer = imported(tmp_path, "shell", script)
    assert not list(tmp_path.rglob("pwned"))
    left = entries(answer, "left")
    for one in [
        ("sync.sh:1", "X", "its value is not known: a command would have to be run"),
        ("sync.sh:1", "the command eval", "it is not understood, and nothing is run"),
        ("sync.sh:1", "source ..", "it holds more than NAME=value, or cannot be read"),
        ("sync.sh:1", "source evil.sh", "it holds more than NAME=value, or cannot be read"),
        ("sync.sh:2", "tap-a: its config", "which file: a command would have to be run"),
        ("pipe.json", "tap-b: its config", "it is no file"),
        ("latin.json", "target-a: its config", "it is not UTF-8"),
        ("deep.json", "tap-c: its config", "it is nested too deeply"),
        ("list.json", "target-a: its config", "it holds no JSON object"),
        ("t.json", "tap-d: its catalog", 'a catalog is a JSON object with a list "streams"'),
        ("zero", "target-a: its config", "it is no file"),
        ("sync.sh:6", "the pipeline tap-e; touch pwned | target-a", "it is no tap piped into a target"),
        ("sync.sh:7", "tap-f: an argument", "a process substitution is not understood"),
        ("sync.sh:7", "a here-document", "it is not understood"),
        ("t.json", "config.password", "a secret with characters that .env cannot hold: set it by hand"),
        ("sync.sh:11", "tap-g: $DATIVO_HOME", "plugins get one of their own from Dativo"),
        ("sync.sh:11", "tap-g: $LD_PRELOAD", "plugins get one of their own from Dativo"),
        ("sync.sh:12", "something that is no bash", "nothing is run, so what it does is not known"),
    ]:
        assert one in left, (one, left)
    assert any(where == "passwd" and "no state" in why for where, _, why in left)
    tap = project(tmp_path)["plugins"]["tap-g"]
    assert tap["config"] == {
        "a": "secret://env/TAP_G_A", "b": "$${HOME}", "token": "secret://env/TAP_G_TOKEN", "path": "../../etc",
        "url": "secret://env/TAP_G_URL",
    }  # fmt: skip
    assert tap["env"]["B"] == "$${HOME}"
    env = (tmp_path / ".env").read_text().splitlines()
    assert 'TAP_G_TOKEN="a\\nINJECTED=1"' in env
    assert not [line for line in env if line.startswith("INJECTED")]
    shown = dativo(tmp_path, "config", "tap-g")
    assert shown.returncode == 0, shown.stderr


def test_another_folder_writes_paths_out(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    script = scripted(
        tmp_path / "old", "tap-a -c tap.json | target-b -c target.json",
        tap={"files": [{"path": "in/x.csv", "name": "n"}]}, target={"output_path": "out", "url": "s3://b/p"},
    )  # fmt: skip
    answer = imported(tmp_path, "shell", script, "--into", tmp_path / "new", "--dry-run")
    plugins = answer["project"]["plugins"]
    assert plugins["tap-a"]["config"] == {"files": [{"path": str(tmp_path / "old/in/x.csv"), "name": "n"}]}
    assert plugins["tap-a"]["sandbox"] == {"read": ["{config:files.path}"]}
    assert plugins["target-b"]["config"] == {"output_path": str(tmp_path / "old/out"), "url": "s3://b/p"}


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"a" * ((1 << 20) + 1)], ids=["missing", "binary", "huge"])
def test_what_is_no_script(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.sh").write_bytes(content)
    answer = imported(tmp_path, "shell", tmp_path / "x.sh", code=2)
    assert answer["code"] == "import.invalid"


def test_a_script_without_pipelines(tmp_path: Path) -> None:
    answer = imported(tmp_path, "shell", scripted(tmp_path, "echo hello\n"), "--dry-run")
    assert answer["project"] == {}
    assert entries(answer, "left") == [("sync.sh:1", "echo", "it plays no part in moving data")]


def test_an_env_file_that_is_there_keeps_its_values(tmp_path: Path) -> None:
    script = scripted(tmp_path, "tap-a -c a.json | target-b -c b.json", a={"password": "new"}, b={"password": "same"})
    env = "# mine\nTAP_A_PASSWORD=old\nTARGET_B_PASSWORD=same"
    (tmp_path / ".env").write_text(env)
    imported(tmp_path, "shell", script)
    plugins = project(tmp_path)["plugins"]
    assert plugins["tap-a"]["config"]["password"] == "secret://env/TAP_A_PASSWORD_2"
    assert plugins["target-b"]["config"]["password"] == "secret://env/TARGET_B_PASSWORD"
    assert (tmp_path / ".env").read_text() == f'{env}\nTAP_A_PASSWORD_2="new"\n'
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_an_env_file_that_leads_elsewhere_is_not_written(tmp_path: Path) -> None:
    """A stranger's folder may come with one that leads to a file which a shell runs."""
    script = scripted(tmp_path, "tap-a -c a.json | target-b", a={"password": "touch /tmp/owned"})
    (tmp_path / "profile").write_text("# mine\n")
    (tmp_path / ".env").symlink_to("profile")
    answer = imported(tmp_path, "shell", script, code=2)
    assert answer["code"] == "import.taken"
    assert (tmp_path / "profile").read_text() == "# mine\n"
    assert not (tmp_path / "dativo.yml").exists()


def test_a_script_without_end(tmp_path: Path) -> None:
    script = scripted(tmp_path, "tap-a | target-b\n" * 60_000)
    answer = imported(tmp_path, "shell", script, code=2)
    assert "more than 500 pipelines" in answer["message"]


def test_a_bound_of_time_is_taken_off_and_reported(tmp_path: Path) -> None:
    (tmp_path / "tap.json").write_text('{"files": "a.csv"}')
    (tmp_path / "run.sh").write_text(
        "export HOOK='https://hooks.example.com/x?token=hunter2'\n"
        "timeout -k 5 --signal=INT 1h nice -n 5 tap-csv -c tap.json | timeout 90 target-jsonl\n"
        'timeout "$HOURS" tap-csv -c tap.json | target-jsonl\n'
    )
    answer = imported(tmp_path, "shell", "run.sh")
    bound = "a job's time is bounded by its limits: {wall: …}"
    assert [one for one in entries(answer, "left") if one[2] == bound] == [
        ("run.sh:2", "timeout 1h", bound), ("run.sh:2", "timeout 90", bound),
    ]  # fmt: skip
    made = project(tmp_path)
    assert made["jobs"]["tap-csv-to-target-jsonl"]["steps"] == ["tap-csv", "target-jsonl"]
    assert made["plugins"]["tap-csv"]["env"] == {"HOOK": "${HOOK}"}
    assert "hunter2" not in (tmp_path / "dativo.yml").read_text() + str(answer)
