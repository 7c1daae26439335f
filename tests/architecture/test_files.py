"""House rules 1, 2 and 6 of the design, as far as they can be read from the files."""

import ast
import re
import socket
import sys

import pytest

from tests.architecture.checkout import ROOT, files, name, sources, text

LONGEST = 500
BANNED = {"utils", "util", "helpers", "helper", "common", "manager", "base", "core", "misc"}
THIS_FOLDER = "tests/architecture/"


def test_no_file_is_too_long():
    long = {name(path): count for path in sources(".py", ".rs") if (count := text(path).count("\n")) > LONGEST}
    assert not long


def test_no_file_has_a_name_that_says_nothing():
    parts = {name(path): {part.lower() for part in path.relative_to(ROOT).with_suffix("").parts} for path in files()}
    assert not {path: words & BANNED for path, words in parts.items() if words & BANNED}


def test_each_package_says_what_it_is_for():
    silent = []
    for path in sources(".py"):
        inside = name(path)
        if path.name != "__init__.py" or "tests" in path.relative_to(ROOT).parts:
            continue
        said = ast.get_docstring(ast.parse(text(path))) or ""
        if len(said.splitlines()) < 3:
            silent.append(inside)
    assert not silent


def test_each_crate_says_what_it_is_for():
    silent = []
    for path in sources(".rs"):
        if path.name in ("lib.rs", "mod.rs"):
            head = [line for line in text(path).splitlines()[:12] if line.startswith("//!")]
            if len(head) < 3:
                silent.append(name(path))
    assert not silent


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|unimplemented!|todo!|Skeleton of)\b")
    found = [
        f"{name(path)}:{number}"
        for path in sources(".py", ".rs", ".md", ".toml", ".sh", ".yml")
        if not name(path).startswith(THIS_FOLDER)
        for number, line in enumerate(text(path).splitlines(), 1)
        if marks.search(line)
    ]
    assert not found


def test_no_test_is_switched_off():
    marks = re.compile(r"pytest\.(mark\.)?(skip|xfail|skipif|importorskip)\b|#\[ignore\b|unittest\.skip")
    found = [
        name(path)
        for path in sources(".py", ".rs")
        if not name(path).startswith(THIS_FOLDER) and marks.search(text(path))
    ]
    assert not found


def test_nothing_names_this_machine():
    """No absolute path of a checkout, no host of a package mirror: what is committed runs anywhere."""
    machine = {str(ROOT), sys.prefix, socket.gethostname()}
    literal = [one for one in machine if len(one) >= 5 and one.count("/") != 1]
    pattern = re.compile(
        "|".join([*map(re.escape, literal), r"/home/[a-z]+/", r"/Users/[A-Za-z]+/", r"/work/(main|venv|shared|brief)"])
        + r"|https?://[^\s\"')]*(artifactory|nexus|jfrog|codeartifact|devpi|pypi\.internal)"
    )
    found = [
        f"{name(path)}: {hit.group()}"
        for path in files()
        if not name(path).startswith(THIS_FOLDER) and path.stat().st_size < 4 << 20
        for hit in pattern.finditer(text(path))
    ]
    assert not [one for one in found if "/home/hotglue" not in one]


def test_lock_files_name_public_registries_only():
    registries = {
        found
        for path in sources(".lock")
        for found in re.findall(r"(?:registry\+|index = |url = \")\"?(https?://[^/\"]+)", text(path))
    }
    assert registries <= {"https://github.com", "https://index.crates.io", "https://pypi.org"}


@pytest.mark.parametrize("crate", [path for path in sources(".rs") if path.name in ("lib.rs", "main.rs")], ids=name)
def test_unsafe_code_is_in_the_sandbox_only(crate):
    if not name(crate).startswith("native/sandbox/"):
        assert "#![forbid(unsafe_code)]" in text(crate)


def test_dataclasses_are_those_that_are_quick_to_define():
    """docs/adr/2026-11-27-dataclasses-are-not-compiled.md"""
    pattern = re.compile(r"^\s*(from dataclasses import .*\bdataclass\b|@dataclasses\.dataclass)", re.MULTILINE)
    slow = [name(path) for path in sources(".py") if name(path).startswith("dativo/") and pattern.search(text(path))]
    assert slow == ["dativo/dataclass.py"]
