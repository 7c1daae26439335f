"""What a plugin lacked that did not install, or start: another Python, a C library, a package that it does not ask for.

uv takes no notice of upper bounds such as `>=3.7,<3.11`, and so does Dativo: most are guesses, and what has one often
runs beyond it. Where an install has failed, though, such a bound is the first thing to try, and the flag is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from dativo import errors
from dativo.plugins import index
from dativo.plugins.registry.entry import Entry

FAILED = ("plugin.install_failed", "plugin.start_failed")
_MINORS = range(99, 5, -1)
# What Python itself has dropped, and the last that has it (docs.python.org/3/whatsnew, "Removed" of 3.10 to 3.13).
GONE = (
    (r"cannot import name '\w+' from 'collections'|module 'collections' has no attribute '[A-Z]", "3.9"),
    (r"cannot import name 'sre_\w+' from 're'", "3.10"),
    (r"'inspect' has no attribute 'getargspec'|cannot import name 'getargspec'", "3.10"),
    (r"'asyncio' has no attribute 'coroutine'", "3.10"),
    (r"mutable default <class '[\w.]+'> for field \w+ is not allowed", "3.10"),
    (r"No module named '(?:distutils|imp|asynchat|asyncore|smtpd)\b", "3.11"),
    (r"cannot import name '\w+' from 'ssl'|'ssl' has no attribute '(?:wrap_socket|match_hostname)'", "3.11"),
    (r"No module named '(?:cgi|cgitb|crypt|imghdr|mailcap|nntplib|pipes|telnetlib|uu|xdrlib)\b", "3.12"),
)
# What a build lacks of the machine: how its output says so, and how to get it.
NATIVE = (
    (r"pkg-config --exists (?:lib)?([\w.+-]+)", "the C library {0} with its headers, and pkg-config"),
    (r"[Cc]annot find (\w+_config)|(?:Error: )?(\w+_config) executable not found", "{0}: the library's headers"),
    (r"fatal error: ([\w./+-]+\.h): No such file", "the headers that have {0}"),
    (r"(?:unable to execute|command) '(cc|gcc|g\+\+|clang)'|linker `(cc)` not found", "a C compiler ({0})"),
    (r"can't find Rust compiler|(cargo): (?:command )?not found|`(cargo)` not found", "a Rust compiler (cargo)"),
)
NETWORK = r"OSError: \[Errno 97\]"
"""How Python says that the sandbox gives no socket (EAFNOSUPPORT, of the system call filter)."""
_OF_A_TRACEBACK = re.compile(r"/lib/python(3\.\d+)/")
_LACKS = re.compile(r"No module named '([\w.]{1,100})'")
_MOVED = re.compile(r"(?:cannot import name '\w+' from|module) '(\w+)[\w.]*'|No module named '(\w+)\.")


def explain(
    problem: errors.DativoError, used: str, bound: str | None, installed: Mapping[str, str] | None = None
) -> str | None:
    """Put what to change into an error of an install, where it can be told. `bound` is what the package says,
    `installed` are the versions of what is installed with it.

    Returns the Python to try, if it is that.
    """
    said = "\n".join([problem.message, *problem.details, str(problem.context.get("stderr", ""))])
    if re.search(NETWORK, said):
        problem.hint = "it opens a socket before it says what it is, which no plugin may while it is installed"
        return None
    last = last_that_has(said, used)
    if last is not None:
        problem.hint = f"it needs what Python {used} no longer has: --python {last}"
        return last
    fits = last_within(bound, used) if bound else None
    if fits is not None:
        problem.hint = f"it was made for Python {bound}, and this is {used}: --python {fits}"
        return fits
    for sign, what in NATIVE if problem.code == "plugin.install_failed" else ():
        if found := re.search(sign, said):
            named = what.format(next((one for one in found.groups() if one), ""))
            problem.hint = f"it is built here and needs {named}: install that on this machine (Debian: apt install)"
            return None
    if problem.code == "plugin.start_failed":
        problem.hint = _of_a_module(said, installed or {}) or problem.hint
    return None


def explain_python(problem: errors.DativoError, asked: str | None, entry: Entry | None) -> None:
    """Say that a registry knows which Python starts a plugin, where it is that which is not to be had."""
    if entry is not None and asked is not None and entry.chosen_python() == asked:
        problem.message = f"{entry.name} starts with Python {asked}, and there is none here, nor to be had"
        problem.hint = "put one on PATH, or let uv fetch it (UV_PYTHON_DOWNLOADS)"


def _of_a_module(said: str, installed: Mapping[str, str]) -> str | None:
    for found in reversed(list(_MOVED.finditer(said))):
        name = (found[1] or found[2]).replace("_", "-").lower()
        if version := installed.get(name):
            return f"it uses what {name} {version} does not have: an older one may, --with '{name}<{version}'"
    lacks = _LACKS.search(said)
    return f"it does not ask for the package that brings the module {lacks[1]}: --with PACKAGE does" if lacks else None


def told_in_a_run(lines: Sequence[str]) -> str | None:
    """What to change when an installed plugin dies of the Python that it has; None: nothing is known."""
    said = "\n".join(lines)
    used = _OF_A_TRACEBACK.search(said)
    last = last_that_has(said, used[1]) if used else None
    if used is None or last is None:
        return None
    return f"it needs what Python {used[1]} no longer has: dativo remove it, and add it again with --python {last}"


def last_that_has(said: str, used: str) -> str | None:
    """The last Python with what a plugin's words say that the one it has lacks."""
    found = (last for sign, last in GONE if re.search(sign, said) and _number(used) > _number(last))
    return min(found, key=_number, default=None)


def declared(distribution: str, version: str | None, indexes: list[index.Index]) -> str | None:
    """The Pythons that a package names on its index; None when it names none, or cannot be asked."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    with suppress(errors.DativoError, InvalidSdistFilename, InvalidWheelFilename):
        for one in reversed(index.files(indexes, distribution)):
            parse = parse_wheel_filename if one.name.endswith(".whl") else parse_sdist_filename
            if one.requires_python and version in (None, str(parse(one.name)[1])):
                return one.requires_python
    return None


def last_within(bound: str, used: str) -> str | None:
    """The last Python within a bound whose upper end leaves out the one that is used; None when it does not."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        ends = SpecifierSet(
            ",".join(str(one) for one in SpecifierSet(bound) if one.operator in ("<", "<=", "==", "~="))
        )
        whole = SpecifierSet(bound)
    except InvalidSpecifier:
        return None
    if not len(ends) or any(ends.contains(f"{_minor(used)}.{patch}") for patch in (0, 99)):
        return None
    below = (f"3.{minor}" for minor in _MINORS if minor < _number(used)[1])
    return next((one for one in below if whole.contains(f"{one}.99") or whole.contains(f"{one}.0")), None)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _number(version: str) -> tuple[int, int]:
    parts = re.findall(r"\d+", version)
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 else (3, 0)
