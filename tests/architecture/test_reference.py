"""House rule 5: one definition each; the generated pages match it."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from dativo import errors
from dativo.cli import reference
from dativo.config.environment import VARIABLES
from tests.architecture.checkout import ROOT, name, sources, text


def test_the_pages_are_what_the_code_says():
    # In an interpreter of its own: click keeps on a command how it was called before.
    program = "import json, sys; from dativo.cli import reference; json.dump(reference.pages(), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for page, expected in json.loads(done.stdout).items():
        assert (ROOT / page).read_text(encoding="utf-8") == expected, f"{page}: run `make docs`"


def test_the_error_file_is_read_back_as_the_catalog():
    read = tomllib.loads((ROOT / "protocol" / "errors.toml").read_text(encoding="utf-8"))
    assert read == {
        code: {"exit": entry.exit, "title": entry.title, "hint": entry.hint} for code, entry in errors.CATALOG.items()
    }


def test_each_error_is_complete_and_grouped():
    for code, entry in errors.CATALOG.items():
        assert re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)*", code)
        assert entry.exit in reference.GROUPS, code
        assert entry.title and entry.hint, code
        assert entry.title[0].islower() or entry.title.startswith(("Dativo", "dativo")), code
        if entry.exit:
            made = errors.from_code(code, "x")
            assert (made.exit_code, made.code) == (entry.exit, code)
            assert type(made) is not errors.DativoError


def test_each_code_that_is_raised_is_defined():
    pattern = re.compile(r"(?:Error|Fault|Cancelled|from_code)\(\s*\"([a-z]+\.[a-z_.]+|usage|bug)\"")
    raised = {
        code: name(path)
        for path in sources(".py")
        if name(path).startswith("dativo/")
        for code in pattern.findall(text(path))
    }
    assert raised
    assert not {code: path for code, path in raised.items() if code not in errors.CATALOG}


def test_each_group_agrees_with_its_exit_code():
    kinds = {"RunError": 1, "ConfigError": 2, "EnvironmentFault": 3, "DataError": 4, "BusyError": 5}
    pattern = re.compile(
        r"\b(RunError|ConfigError|EnvironmentFault|DataError|BusyError)\(\s*\"([a-z]+(?:\.[a-z_]+)*)\""
    )
    wrong = [
        (name(path), kind, code)
        for path in sources(".py")
        if name(path).startswith("dativo/")
        for kind, code in pattern.findall(text(path))
        if errors.CATALOG[code].exit != kinds[kind]
    ]
    assert not wrong


def test_an_unknown_code_is_no_error_of_ours():
    with pytest.raises(KeyError):
        errors.RunError("no.such.code", "x")
    unknown = errors.from_code("strange.code", "it says")
    assert (unknown.code, unknown.message) == ("delivery.interrupted", "it says (strange.code)")


def test_each_variable_is_listed():
    listed = {one.name for one in VARIABLES}
    used = {
        word: name(path)
        for path in sources(".py", ".rs")
        if name(path).startswith(("dativo/", "native/", "taps/", "targets/")) and "/tests/" not in name(path)
        for word in re.findall(r"[\"'](DATIVO_[A-Z_]+)[\"']", text(path))
    }
    assert not {word: path for word, path in used.items() if word not in listed}
    assert {word for word in listed if word.startswith("DATIVO_")} <= used.keys()
