"""What an error or a note advises, in the words of a Meltano project: its plugins and grants are written elsewhere.

One place, where advice is shown, so that nothing below needs to know whose project it works for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dativo import errors

_WORDS = ("dativo ", "dativo.yml", "--with", "plugins.")
"""A text without one of these is nobody's in particular."""
_FLAG = re.compile(r"--(network|read|write)[ =](\S+)")


def _granted(root: Path, found: re.Match[str]) -> str:
    """A path of the project is told as it is called there: the file is for others too."""
    values: dict[str, list[str]] = {}
    for key, value in _FLAG.findall(found["flags"]):
        inside = key != "network" and Path(value).is_relative_to(root)
        values.setdefault(key, []).append(str(Path(value).relative_to(root)) if inside else value)
    said = ", ".join(f"{key}: [{', '.join(texts)}]" for key, texts in values.items())
    return f"under annotations.dativo.sandbox of {found['name']} in meltano.yml, {said}"


_Made = str | Callable[[Path, re.Match[str]], str]
_RULES: tuple[tuple[str, _Made], ...] = (
    (r"dativo allow (?P<name>\S+)(?P<flags>(?: --(?:network|read|write)[ =]\S+)+)(?: \(or --write\))?", _granted),
    (r"dativo allow (?P<name>\S+) …", r"under annotations.dativo.sandbox of \g<name> in meltano.yml"),
    (r"\bset plugins\.(?P<name>\S+)\.config_mode: memfd", r"set annotations.dativo.config_mode: memfd of \g<name>"),
    (r"\bplugins\.(?P<name>[a-z0-9._-]+)\.(?P<key>sandbox|limits|pass_env)\b",
     r"annotations.dativo.\g<key> of \g<name>"),
    (r"Else: dativo add (?P<name>\S+)$", r"Else declare it in meltano.yml: meltano add \g<name>"),
    (r"install it: dativo add (?P<name>\S+)$", r"declare it in meltano.yml: meltano add \g<name>"),
    (r"^look for it: dativo search WORDS$", "look at its pip_url in meltano.yml"),
    (r"^see `dativo state list`$", "see `dativo state list`; Meltano's own is taken over by the first run"),
    (r"install it with `dativo add`; ", "declare it in meltano.yml; "),
    (r"or what --with asks for", "or what else its pip_url asks for"),
    (r": --with PACKAGE does", ": add PACKAGE to its pip_url"),
    (r": dativo add NAME --with ('PACKAGE')", r" in its pip_url: \g<1>"),
    (r"in --config or in dativo\.yml", "or in meltano.yml: meltano config set"),
    (r"under index: in dativo\.yml", "under annotations.dativo.index in meltano.yml"),
    (r"secrets\.exec\.(\w+) in dativo\.yml", r"annotations.dativo.secrets.exec.\g<1> in meltano.yml"),
    (r"dativo\.yml", "meltano.yml"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), made) for pattern, made in _RULES)


def worded(text: str, start: Path | None = None) -> str:
    """Advice as it holds in the project around `start`: unchanged but in one of Meltano's."""
    root = _root(start) if any(word in text for word in _WORDS) else None
    if root is None:
        return text
    for pattern, made in _COMPILED:
        text = pattern.sub(made if isinstance(made, str) else partial(made, root), text)
    return text


def _root(start: Path | None) -> Path | None:
    """The folder of the Meltano project around `start`."""
    from dativo.config.project import Project

    try:
        project = Project.find(start)
    except (errors.DativoError, OSError):
        return None
    return None if project.changes else project.root
