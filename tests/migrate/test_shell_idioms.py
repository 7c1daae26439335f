"""Scripts as they stand on servers: crontabs, files that the script writes itself, programs that start programs."""

from __future__ import annotations

from pathlib import Path

from tests.cli.terminal import dativo
from tests.migrate.importing import entries, imported, project

CRONTAB = """\
# m h dom mon dow
MAILTO=me@example.com
SHELL=/bin/bash
REGION="eu west"
15 */2 * * 1-5  cd /srv && tap-a -c a.json -s a.state | target-b -c b.json > a.new; tail -1 a.new > a.state
@daily /srv/etl/nightly.sh
0 3 * * * date +\\%F; tap-a -c a.json | target-b -c b.json%standard input
"""
WRITES = """\
cat > conf.json <<EOF
{"host": "$DB_HOST", "port": "${DB_PORT:-5432}", "password": "$DB_PASSWORD", "token": "t\\$1"}
EOF
DIR=/data
echo "{\\"path\\": \\"$DIR\\"}" > target.json
tap-a --config conf.json | target-b --config target.json
cat <<-'EOF' > conf.json
\t{"host": "$DB_HOST"}
\tEOF
tap-a --config conf.json | target-b --config target.json
fetch-config > target.json
printf '%s' '{"bookmarks": {}}' > state.json
tap-a --config conf.json -s state.json | target-b --config target.json
cat > broken.json <<EOF
{"port": $PORT}
EOF
cat >> conf.json <<EOF
{}
EOF
"""
STARTED = """\
nice -n 10 ionice -c 3 tap-a -c c.json | env A=1 stdbuf -oL target-b
flock -n /tmp/lock timeout -k 5 2h tap-a -c c.json |& sudo -u etl B=2 target-b
python3 -u tap_own.py -c c.json | python -m target_b | tee -a log | tail -n 1 > out
tap-a timeout 5 | tee >(target-c) | target-b
ssh host tap-a | target-b
bash -c 'tap-a | target-b'
run() { tap-$1 | target-b; }
dativo tap-a --files x | dativo target-b
"""


def test_a_crontab(tmp_path: Path) -> None:
    """Its times become the jobs' schedules; each line begins anew; what cron's settings mean is told."""
    (tmp_path / "a.json").write_text('{"x": 1}')
    (tmp_path / "etl.cron").write_text(CRONTAB)
    answer = imported(tmp_path, "shell", "etl.cron")
    jobs = project(tmp_path)["jobs"]
    assert [one.get("schedule") for one in jobs.values()] == ["15 */2 * * 1-5", "0 3 * * *"]
    assert ["full_refresh" in one for one in jobs.values()] == [False, True]
    taps = [project(tmp_path)["plugins"][one["steps"][0]] for one in jobs.values()]
    assert [one.get("config") for one in taps] == [None, {"x": 1}], "a `cd` holds for its line"
    assert [one["env"] for one in taps] == [{"REGION": "eu west"}] * 2
    left = entries(answer, "left")
    for line in (
        ("etl.cron:2", "MAILTO", "nobody is told about runs: your scheduler does that"),
        ("etl.cron:3", "SHELL", "plugins get one of their own from Dativo"),
        ("etl.cron:6", "the command nightly.sh",
         "a script of its own: import it by itself, with `dativo import shell`"),
        ("etl.cron:7", "date", "it plays no part in moving data"),
        ("etl.cron:7", "the text behind %", "plugins get no text on their standard input"),
    ):  # fmt: skip
        assert line in left, left
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "cron.d" / "etl").write_text("5 4 * * * root tap-a | target-b\n")
    answer = imported(tmp_path, "shell", "cron.d/etl", "--into", tmp_path / "new")
    assert ("etl:1", "the user root", "a job runs as who runs `dativo run`") in entries(answer, "left")
    assert next(iter(project(tmp_path / "new")["jobs"].values()))["schedule"] == "5 4 * * *"


def test_files_that_the_script_writes(tmp_path: Path) -> None:
    """What a script writes is read from it as of each pipeline; variables from outside stay such; secrets leave it."""
    (tmp_path / "target.json").write_text('{"path": "/disk"}')
    (tmp_path / "sync.sh").write_text(WRITES)
    answer = imported(tmp_path, "shell", "sync.sh", "--into", tmp_path / "new")
    plugins = project(tmp_path / "new")["plugins"]
    assert plugins["tap-a"]["config"] == {
        "host": "${DB_HOST}", "port": "${DB_PORT:-5432}",
        "password": "secret://env/DB_PASSWORD", "token": "secret://env/TAP_A_TOKEN",
    }  # fmt: skip
    assert (tmp_path / "new" / ".env").read_text() == 'TAP_A_TOKEN="t$1"\n'
    assert plugins["tap-a-2"]["config"] == {"host": "$DB_HOST"}
    assert [plugins[one]["config"] for one in ("target-b", "target-b-2")] == [{"path": "/data"}, {"path": "/disk"}]
    left = entries(answer, "left")
    for line in (
        ("sync.sh:11", "fetch-config > target.json",
         "what is in it from here on is not known: the file is read as it is on the disk"),
        ("sync.sh:14", "a here-document", "it is not understood"),
        ("sync.sh:17", "cat > conf.json",
         "what is in it from here on is not known: the file is read as it is on the disk"),
        ("state.json", "tap-a-2-to-target-b-2: its state",
         "the script writes it anew each time: set the bookmark with `dativo state set`"),
    ):  # fmt: skip
        assert line in left, left
    told = {(where, what) for where, what, why in entries(answer, "changed") if why.startswith("the script writes it")}
    assert told == {("sync.sh:1", "conf.json"), ("sync.sh:5", "target.json"), ("sync.sh:7", "conf.json"),
                    ("sync.sh:12", "state.json")}  # fmt: skip


def test_programs_that_start_programs(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "tap_own.py").write_text("print()\n")
    (tmp_path / "sync.sh").write_text(STARTED)
    answer = imported(tmp_path, "shell", "sync.sh")
    steps = [one["steps"] for one in project(tmp_path)["jobs"].values()]
    plugins = project(tmp_path)["plugins"]
    assert steps == [["tap-a", "target-b"], ["tap-a", "target-b-2"], ["tap-own", "target-b-3"], ["tap-a", "target-b-3"],
                     ["tap-a", "target-b-3"]]  # fmt: skip
    assert plugins["tap-own"] == {"source": str(tmp_path / "tap_own.py")}
    assert [plugins["target-b"]["env"], plugins["target-b-2"]["env"]] == [{"A": "1"}, {"B": "2"}]
    told = (
        "sync.sh:3",
        "tap_own.py",
        "installed as the script that it is: make it executable (chmod +x) and give it a first line such as "
        "#!/usr/bin/env python3",
    )
    assert told in entries(answer, "changed")
    write_out = " (a tap or a target is in it: write its pipeline out)"
    assert [line for line in entries(answer, "left") if "state" not in line[1]] == [
        ("sync.sh:2", "timeout 2h", "a job's time is bounded by its limits: {wall: …}"),
        ("sync.sh:2", "flock", "a job is not run twice at once: `dativo run` ends with 5, or waits with --wait"),
        ("sync.sh:2", "a redirection of stderr", "what plugins say is shown, and kept with the run"),
        ("sync.sh:2", "sudo", "plugins run as who runs `dativo run`, in a sandbox"),
        ("sync.sh:4", "tee", "to keep what is moved: dativo run --record; where it goes besides is not understood: "
         "a second target is a job of its own"),
        ("sync.sh:5", "the pipeline ssh | target-b", "it is no tap piped into a target" + write_out),
        ("sync.sh:6", "the command bash", "it is not understood, and nothing is run" + write_out),
        ("sync.sh:7", "a function", "nothing is run, so what it does is not known" + write_out),
        ("sync.sh:4", "tap-a: an argument", "plugins get no arguments of their own"),
        ("sync.sh:8", "tap-a: --files", "a setting: put it into plugins.tap-a.config"),
        ("sync.sh:8", "tap-a: an argument", "a setting: put it into plugins.tap-a.config"),
    ]  # fmt: skip


def test_what_a_script_could_make_a_terminal_do(tmp_path: Path) -> None:
    (tmp_path / "sync.sh").write_text(
        'tap-a -c "\x1b[31m.json" | target-b --\x1b[2J\nfoo\x1b[2J\ntap-a -c $"x\ny" | target-b'
    )
    done = dativo(tmp_path, "import", "shell", "sync.sh", "--dry-run", "-v")
    assert done.returncode == 0, done.stderr
    assert "the command foo\\x1b[2J" in done.stdout
    assert not [sign for sign in done.stdout + done.stderr if not sign.isprintable() and sign != "\n"]
