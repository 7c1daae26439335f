"""Secrets that stand in clear inside a text, beside variables: only they are moved out, the rest stays readable.

`postgresql://etl:hunter2@${HOST}/db` becomes `postgresql://etl:${TAP_X_URL}@${HOST}/db` (I13).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dativo.secrets import names

_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}", re.ASCII)
_HELD = re.compile("\ue000([0-9]+)\ue001")
_IN_URL = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_IN_QUERY = re.compile(r"[?&;]([A-Za-z0-9_.-]+)=([^&#;\s]+)")
_WORDS = {"basic", "bearer", "token", "none", ""}
"""What stands before a secret and is none."""

Put = Callable[[str, str | None], str | None]
"""Keeps a secret elsewhere, under a variable's name if it has one, and tells the name; None where it cannot be kept."""


def in_address(text: str) -> bool:
    """Whether a text is an address with a secret in it, as its password or as a parameter."""
    return any(True for _ in _spans(text))


def parted(text: str, put: Put, *, secret: bool) -> str | None:
    """A text as dativo.yml spells it, each secret in it replaced by a variable; None where one cannot be kept.

    `secret` says that the whole is one by its name: without an address in it, all that is no variable is moved out.
    """
    held: list[tuple[str, str | None]] = []

    def hold(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        held.append((found[1], found[2]))
        return f"\ue000{len(held) - 1}\ue001"

    plain = _VARIABLE.sub(hold, text)
    spans = sorted(set(_spans(plain))) or ([(0, len(plain))] if secret else [])
    made, at = [], 0
    for start, end in spans:
        inner = _moved(plain[start:end], held, put)
        if inner is None:
            return None
        made += [_spelled(plain[at:start], held), inner]
        at = end
    return "".join([*made, _spelled(plain[at:], held)])


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for found in _IN_URL.finditer(text):
        yield found.span(1)
    if "://" in text:
        for found in _IN_QUERY.finditer(text):
            if names.is_secret(found[1], {}) and found[2].lower() not in ("true", "false"):
                yield found.span(2)


def _moved(text: str, held: list[tuple[str, str | None]], put: Put) -> str | None:
    """A stretch that is secret: its clear parts and its variables' defaults are put elsewhere."""
    made: list[str] = []
    at = 0
    for found in [*_HELD.finditer(text), None]:
        clear = text[at : found.start() if found else len(text)]
        between = len(text) > len(clear) and not re.search(r"\w", clear)
        if between or clear.strip().lower() in _WORDS:
            made.append(clear.replace("$", "$$"))
        else:
            name = put(clear, None)
            if name is None:
                return None
            made.append(f"${{{name}}}")
        if found is None:
            return "".join(made)
        name, default = held[int(found[1])]
        if default and put(default, name) is None:
            return None
        made.append(f"${{{name}}}")
        at = found.end()
    raise AssertionError("the loop ends with None")


def _spelled(text: str, held: list[tuple[str, str | None]]) -> str:
    """A stretch that is no secret, as it was."""

    def variable(found: re.Match[str]) -> str:
        name, default = held[int(found[1])]
        return f"${{{name}}}" if default is None else f"${{{name}:-{default}}}"

    return _HELD.sub(variable, text.replace("$", "$$"))
