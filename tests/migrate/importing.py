"""How these tests import: as a user would, with what the report says in a form that can be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.cli.terminal import dativo

Line = tuple[str, str, str]


def imported(folder: Path, *words: object, code: int = 0, **more: str) -> Any:
    """`dativo import WORDS --json` in a folder; the answer, an error's too."""
    done = dativo(folder, "import", *words, "--json", **more)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def entries(answer: Any, fate: str) -> list[Line]:
    """(where, what, became or why) of each entry of one fate: all that the report says of it."""
    shown = "became" if fate == "taken" else "why"
    return [(one["where"], one["what"], one[shown]) for one in answer["report"]["entries"] if one["fate"] == fate]


def project(folder: Path) -> Any:
    """dativo.yml as data."""
    return YAML(typ="safe").load((folder / "dativo.yml").read_text(encoding="utf-8"))


def untouched(folder: Path, before: dict[str, bytes]) -> bool:
    """Whether a folder holds what it held, and no more."""
    return tree(folder) == before


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, the home of the tests left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if "home" not in path.relative_to(folder).parts and not path.is_fifo()
    }
