"""Where the interpreter of a script's first line is sought."""

from __future__ import annotations

import pytest

from dativo.engines import shebang


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's PATH with a program that the system does not have."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "snake").write_text("#!/bin/sh\n")
    (folder / "snake").chmod(0o755)
    (folder / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("#!/usr/bin/env snake", "snake"),
        ("#!/usr/bin/env -S A=1 snake -u", "snake"),
        ("#!/bin/sh", None),
        ("no script", None),
        ("#!", None),
    ],
)
def test_what_env_seeks(line, name, tmp_path):
    script = tmp_path / "tap.py"
    script.write_text(f"{line}\nrest\n")
    assert shebang.sought(script) == name
    assert shebang.sought(tmp_path / "missing") is None


def test_a_folder_of_the_user_is_added_only_for_what_the_system_has_not(own, tmp_path):
    script = tmp_path / "tap.py"
    for line, path in (
        ("#!/usr/bin/env snake", f"{shebang.SYSTEM_PATH}:{own}"),
        ("#!/usr/bin/env sh", shebang.SYSTEM_PATH),
        ("#!/usr/bin/env nowhere", shebang.SYSTEM_PATH),
        ("#!/bin/sh", shebang.SYSTEM_PATH),
    ):
        script.write_text(f"{line}\n")
        assert shebang.search_path(None, script) == path
    assert shebang.search_path(tmp_path, script) == f"{tmp_path}/bin:{shebang.SYSTEM_PATH}"
