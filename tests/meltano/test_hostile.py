"""What strangers may put into a Meltano project: nothing of it runs, leaves the folder, or becomes a traceback."""

from __future__ import annotations

import os
import pickle
import sqlite3

import pytest

PLUGIN = """\
plugins:
  extractors:
    - name: tap-a
      namespace: tap_a
      {line}
  loaders:
    - {{name: target-b, namespace: target_b, pip_url: target-b}}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


def refused(world, *words):
    """The errors of a run and of an import; each one line, exit 2."""
    said = []
    for line in (words or ("run", "tap-a", "target-b"), ("import", "meltano", "--dry-run")):
        answer = world.dativo(*line)
        assert "Traceback" not in answer.stderr
        said.append((answer.code, answer.stderr))
    return said


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (BOMB, "more than 50,000 values"),
        ("plugins: !!python/object/apply:os.system ['true']\n", "plugins is a mapping"),
        ("a: 1\na: 2\n", "meltano.yml:2: duplicate key"),
        ("plugins: [1, 2]\n", "plugins is a mapping"),
        ("plugins: {extractors: {name: tap-a}}\n", "plugins.extractors is a list"),
        ("plugins: {extractors: [tap-a]}\n", "is a mapping with a name"),
        ("plugins: {extractors: [{name: ../../etc}]}\n", "cannot be a name"),
        ("plugins: {extractors: [{name: 'a b;rm -rf'}]}\n", "cannot be a name"),
        ("plugins: {extractors: [{name: a}, {name: a}]}\n", "twice"),
        ("plugins: {extractors: [{name: a, config: [1]}]}\n", "config of a is a mapping"),
        ("plugins: {taps: []}\n", "no kind of plugin"),
        ("env: [A]\n", "env is a mapping"),
        ("include_paths: [../*.yml]\n", "leads out of the project"),
        ("include_paths: [/etc/*.yml]\n", "leads out of the project"),
        ("include_paths: 7\n", "include_paths is a list"),
        ("environments: [{name: dev, config: {plugins: 3}}]\n", "environments"),
        ("x: [" + "[" * 500 + "]" * 500 + "]\n", "nested"),
        ("- a\n- b\n", "a mapping of keys is expected"),
        ("\x00", "meltano.yml"),
    ],
)
def test_a_file_that_is_no_project_is_refused_with_its_line(text, where, folder):
    for code, said in refused(folder(text)):
        assert code == 2, said
        assert where in said, said


@pytest.mark.parametrize(
    ("pip_url", "why"),
    [
        ("tap-a; touch PWNED", "no requirement"),
        ("$(touch PWNED)", "no requirement"),
        ("`touch PWNED`", "no requirement"),
        ("tap-a --index-url http://127.0.0.1:1/", "--index-url"),
        ("--extra-index-url=http://127.0.0.1:1/ tap-a", "--extra-index-url"),
        ("-r requirements.txt", "option -r"),
        ("tap-a --find-links .", "--find-links"),
        ("https://127.0.0.1:1/tap.whl", "gives no hash"),
        ("file:///tmp/x.whl", "gives no hash"),
        ("-e", "ends with -e"),
        ("'tap-a", "cannot be read"),
        ("", "names no package"),
        ("tap-a -c ../../outside.txt", "leads out of the project"),
        ("-c https://127.0.0.1:1/c.txt tap-a", "from an address"),
        ("git+https://user:secretword@127.0.0.1/x.git", "holds a password"),
        ("git+ext::sh%20-c%20touch%20PWNED", "no git URL"),
        ("./not-there", "is not there"),
        ("tap-a @ https://127.0.0.1:1/a.whl", "gives no hash"),
        ("-e git+https://127.0.0.1:1/a;touch.git", "no git URL"),
        ("tap-a; python_version < '3'", "no requirement"),
    ],
)
def test_a_pip_url_that_is_more_than_packages_is_refused(pip_url, why, folder):
    world = folder(PLUGIN.format(line=f"pip_url: {pip_url!r}" if pip_url else "pip_url: ' '"))
    answer = world.dativo("run", "tap-a", "target-b")
    assert answer.code == 2, answer.stderr
    assert why in answer.stderr, answer.stderr
    assert "secretword" not in answer.stderr
    assert not list(world.folder.glob("**/PWNED"))
    if "git" not in pip_url:
        dry = world.dativo("import", "meltano", "--dry-run", "--json").expect().json
        left = [one for one in dry["report"]["entries"] if one["what"] == "tap-a.pip_url"]
        assert left and why in left[0]["why"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a<1 \\\n  --hash=sha256:0\n", "bounds.txt:1: \\ is not taken over from constraints"),
        ("a<1 --hash=sha256:0\n", "hashes are kept in dativo.lock"),
        ("\n-r others.txt\n", "bounds.txt:2: -r is not taken over from constraints"),
        ("--index-url=http://user:secretword@127.0.0.1/\n", "--index-url is not taken over"),
        ("a @ http://user:secretword@127.0.0.1/a.whl\n", "a has an address, which no constraint may have"),
        ("a[more]<1\n", "a has extras"),
        ("a < < 1\n", "is no constraint"),
        ("$(touch PWNED)\n", "is no constraint"),
    ],
)
def test_constraints_that_are_none_are_refused(text, why, folder):
    world = folder(PLUGIN.format(line="pip_url: -c bounds.txt tap-a"))
    (world.folder / "bounds.txt").write_text(text, "utf-8")
    answer = world.dativo("run", "tap-a", "target-b")
    assert (answer.code, why in answer.stderr) == (2, True), answer.stderr
    assert "secretword" not in answer.stderr
    assert not list(world.folder.glob("**/PWNED"))


@pytest.mark.parametrize(
    "line",
    ["executable: ../../../bin/sh", "executable: nowhere-at-all", "python: '; touch PWNED'", "pip_url: [1]"],
)
def test_a_program_that_is_none_is_refused(line, folder):
    text = PLUGIN.format(line=line if line.startswith(("exec", "pip")) else f"{line}\n      pip_url: tap-a")
    answer = folder(text).dativo("run", "tap-a", "target-b")
    assert answer.code == 2, answer.stderr
    assert "Traceback" not in answer.stderr


def test_inheritance_in_a_circle(folder):
    world = folder(
        "plugins: {extractors: [{name: a, inherit_from: b}, {name: b, inherit_from: c}, {name: c, inherit_from: a}],"
        " loaders: [{name: target-b, namespace: b}]}\n"
    )
    for code, said in refused(world, "run", "a", "target-b")[:1]:
        assert (code, "inherits from itself: a > b > c > a" in said) == (2, True), said


def test_a_definition_that_is_missing_or_no_definition(folder):
    world = folder("plugins: {extractors: [{name: tap-a, variant: v}], loaders: [{name: t, namespace: t}]}\n")
    answer = world.dativo("run", "tap-a", "t")
    assert "no lock file plugins/extractors/tap-a--v.lock" in answer.stderr
    assert "meltano lock" in answer.stderr
    lock = world.folder / "plugins" / "extractors" / "tap-a--v.lock"
    lock.parent.mkdir(parents=True)
    for content in ("[", "[]", '{"settings": 1}', '{"settings": [{}]}', '{"settings": [{"name": "a", "kind": "x"}]}'):
        lock.write_text(content)
        answer = world.dativo("run", "tap-a", "t")
        assert (answer.code, "Traceback" in answer.stderr) == (2, False), answer.stderr
        assert "tap-a--v.lock" in answer.stderr or "meltano.yml:1" in answer.stderr
    lock.unlink()
    lock.symlink_to("/etc/passwd")
    assert "leads out of the project" in world.dativo("run", "tap-a", "t").stderr


def test_an_included_file_that_is_a_link_out_of_the_project(folder, tmp_path):
    (tmp_path / "outside.yml").write_text("plugins: {}\n")
    world = folder("include_paths: ['*.inc.yml']\n")
    (world.folder / "x.inc.yml").symlink_to(tmp_path / "outside.yml")
    for code, said in refused(world):
        assert (code, "leads out of the project" in said) == (2, True), said


class Evil:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


def test_a_pickle_in_the_system_database_runs_nothing(folder):
    world = folder(PLUGIN.format(line="pip_url: tap-a\n      settings: [{name: a}]"))
    (world.folder / ".meltano").mkdir()
    with sqlite3.connect(world.folder / ".meltano" / "meltano.db") as connection:
        connection.execute("CREATE TABLE plugin_settings (name, namespace, value, enabled)")
        row = ("a", "extractors.tap-a.default", pickle.dumps(Evil()), 1)
        connection.execute("INSERT INTO plugin_settings VALUES (?, ?, ?, ?)", row)
    connection.close()
    answer = world.dativo("run", "tap-a", "target-b")
    assert (answer.code, "holds no plain value" in answer.stderr) == (2, True), answer.stderr
    assert not list(world.folder.glob("**/PWNED"))


def test_an_import_writes_through_no_link(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine=1\n")
    text = PLUGIN.format(
        line="pip_url: tap-a\n      settings: [{name: token, kind: password}]\n      config: {token: x}"
    )
    world = folder(text)
    (world.folder / ".env").symlink_to(outside)
    answer = world.dativo("import", "meltano")
    assert (answer.code, "leads out of" in answer.stderr) == (2, True), answer.stderr
    assert outside.read_text() == "mine=1\n"
    assert not (world.folder / "dativo.yml").exists()


def test_a_job_file_is_no_part_of_a_meltano_project(folder):
    world = folder(PLUGIN.format(line="pip_url: tap-a"))
    (world.folder / "job.yml").write_text("steps: [tap-a, target-b]\n")
    answer = world.dativo("run", "job.yml")
    assert (answer.code, "whose plugins it cannot use" in answer.stderr) == (2, True), answer.stderr


def test_blocks_that_make_no_pipeline(folder):
    text = PLUGIN.format(line="pip_url: tap-a") + "jobs: [{name: j, tasks: [tap-a]}, {name: k, tasks: 3}]\n"
    world = folder(text)
    for words, said in (
        (["tap-a"], "followed by no target"),
        (["target-b", "tap-a"], "has no tap before it"),
        (["tap-a", "tap-a", "target-b"], "follows tap-a"),
        (["j"], "followed by no target"),
        (["k"], "are texts, or lists"),
        (["tap-a", "target-c"], "did you mean target-b?"),
        (["tap-a:test", "target-b"], "is a command of tap-a"),
    ):
        answer = world.dativo("run", *words)
        assert answer.code == 2, answer.stderr
        assert said in answer.stderr, answer.stderr


def test_a_key_that_means_nothing_is_warned_of(folder):
    world = folder(PLUGIN.format(line="selct: [a.*]\n      pip_url: '-x'"))
    answer = world.dativo("run", "tap-a", "target-b")
    assert "meltano.yml:3: selct of tap-a is not known" in answer.stderr
