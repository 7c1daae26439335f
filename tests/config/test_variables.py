"""${VAR}, ${VAR:-default}, $$, .env, and secret:// which is left alone."""

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.config.variables import escaped, read_env_file, references


def resolve(tmp_path, monkeypatch, value, **variables):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "dativo.yml").write_text(f"plugins:\n  tap-x:\n    config:\n      key: {value}\n")
    return Project.find(tmp_path).plugin("tap-x").config["key"]


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("'${A_B}'", "one"),
        ("'x${A_B}y${A_B}'", "xoneyone"),
        ("'${NONE:-}'", ""),
        ("'${NONE:-de:-fault}'", "de:-fault"),
        ("'${EMPTY:-full}'", "full"),
        ("'${EMPTY}'", ""),
        ("'$$'", "$"),
        ("'$${A_B}'", "${A_B}"),
        ("'$5 and $x'", "$5 and $x"),
        ("['${A_B}', {deep: '${A_B}'}]", ["one", {"deep": "one"}]),
        ("3", 3),
    ],
)
def test_values(tmp_path, monkeypatch, value, result):
    assert resolve(tmp_path, monkeypatch, value, A_B="one", EMPTY="") == result


def test_a_variables_value_is_not_read_again(tmp_path, monkeypatch):
    assert resolve(tmp_path, monkeypatch, "'${A}'", A="${B} $$") == "${B} $$"


def test_a_missing_variable_names_file_line_and_key(tmp_path, monkeypatch):
    with pytest.raises(errors.ConfigError) as caught:
        resolve(tmp_path, monkeypatch, "'${NOT_SET_ANYWHERE}'")
    assert caught.value.code == "config.variable"
    assert "dativo.yml:4: plugins.tap-x.config.key needs ${NOT_SET_ANYWHERE}" in caught.value.message


@pytest.mark.parametrize("value", ["'${}'", "'${1A}'", "'${A'", "'${A B}'"])
def test_malformed_references(tmp_path, monkeypatch, value):
    with pytest.raises(errors.ConfigError) as caught:
        resolve(tmp_path, monkeypatch, value)
    assert caught.value.code == "config.invalid"
    assert "dativo.yml:4" in caught.value.message


def test_references_to_secrets_pass_through_settings(tmp_path, monkeypatch):
    text = "secret://vault/kv/shop#password"
    assert resolve(tmp_path, monkeypatch, text) == text
    assert resolve(tmp_path, monkeypatch, f"[{{deep: '{text}'}}]") == [{"deep": text}]
    assert resolve(tmp_path, monkeypatch, "'secret://vault/kv/${SHOP}#password'", SHOP="shop") == text


@pytest.mark.parametrize(
    "key", ["env: {config: secret://env/X}", "executable: secret://env/X", "select: [secret://env/X]"]
)
def test_references_to_secrets_stand_nowhere_else(tmp_path, key):
    (tmp_path / "dativo.yml").write_text(f"plugins:\n  config:\n    {key}\n")
    with pytest.raises(errors.ConfigError) as caught:
        Project.find(tmp_path).plugin("config")
    assert caught.value.code == "secret.invalid"
    assert caught.value.message.startswith("dativo.yml:3: plugins.config.")


def test_one_plugins_missing_variable_stops_only_that_plugin(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    (tmp_path / "dativo.yml").write_text("plugins:\n  tap-x: {config: {a: '${NOT_SET_ANYWHERE}'}}\n  tap-y: {}\n")
    project = Project.find(tmp_path)
    assert project.plugins() == ["tap-x", "tap-y"]
    assert project.plugin("tap-y").config == {}


def test_env_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\n\nA=one\nexport B = two words  # trailing\nC='single $x \\n # kept'\n"
        'D="double \\"q\\" \\n line" # trailing\nE=\nF=a#b\n'
    )
    assert read_env_file(file) == {
        "A": "one",
        "B": "two words",
        "C": "single $x \\n # kept",
        "D": 'double "q" \n line',
        "E": "",
        "F": "a#b",
    }
    assert read_env_file(tmp_path / "none") == {}


@pytest.mark.parametrize("text", ["no equals\n", "1A=x\n", "A='open\n", 'A="open\n', "A='x' y\n"])
def test_bad_env_files_name_the_line_and_no_value(tmp_path, text):
    file = tmp_path / ".env"
    file.write_text("OK=1\n" + text)
    with pytest.raises(errors.ConfigError) as caught:
        read_env_file(file)
    assert ".env:2" in caught.value.message
    assert "open" not in caught.value.message


def test_the_process_wins_over_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A=file\nONLY=file\n")
    assert resolve(tmp_path, monkeypatch, "'${A} ${ONLY}'", A="process") == "process file"


@pytest.mark.parametrize("text", ["a$$b", "${", "$${X}", "plain", "$", "$$$$", "${ x"])
def test_escaped_text_reads_back(tmp_path, monkeypatch, text):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    Project.find(tmp_path).set_config("tap-x", "key", escaped(text))
    assert Project.find(tmp_path).plugin("tap-x").config["key"] == text


def test_references():
    assert references({"a": "${X}y${Z:-1}", "b": ["${Q}", 1], "c": "$${N}"}) == ["X", "Z", "Q"]
    assert escaped("${X}") == "${X}"
