"""How a package is written, by users and in registries alike: a requirement of the index, or a git URL (I12)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dativo import errors
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_GIT = re.compile(r"git\+(?P<url>(?P<scheme>https?|ssh|file|git)://[^@#\s]+(?:@[^@#/\s]+(?=/)[^@#\s]*)?)(?:@(?P<rev>[^@#\s]+))?"
                  r"(?:#subdirectory=(?P<folder>[^&#\s]+))?")  # fmt: skip
_SHELL = re.compile(r"[\s;|&$<>`\"'\\(){}*?!^\x00-\x1f\x7f]")
"""What no URL of a repository needs. Nothing here is given to a shell; a text that has them is refused all the same."""


@dataclass(frozen=True)
class Git:
    """A repository, what to check out (None: its default branch) and the folder in it that holds the package."""

    scheme: str
    url: str
    rev: str | None
    folder: str | None


def is_git(text: str) -> bool:
    """Whether a text means a repository rather than a package of the index."""
    return text.startswith("git+")


def requirement(text: str) -> Requirement:
    """A requirement of the index: name, extras, versions. Raises `usage` for a URL, a marker or no requirement."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(text)
    except InvalidRequirement as problem:
        raise errors.ConfigError(
            "usage", f"{text!r} is no package, path or git URL", hint="as in tap-csv, tap-csv==0.1.0, ./my-tap"
        ) from problem
    if parsed.url or parsed.marker:
        raise errors.ConfigError(
            "usage", f"{text!r}: give a path or git+URL by itself", hint="dativo add git+https://…"
        )
    return parsed


def git(text: str) -> Git:
    """A `git+URL[@REV][#subdirectory=FOLDER]`. Raises `usage`, with any user name in it hidden (I13)."""
    found = _GIT.fullmatch(text)
    if not found or _SHELL.search(text):
        raise errors.ConfigError(
            "usage",
            f"{hidden(text)!r} is no git URL",
            hint="as in git+https://host/team/tap-x.git@v1.2#subdirectory=a",
        )
    if re.search(r"//[^/]*:[^/]*@", found["url"]):
        raise errors.ConfigError(
            "usage", "the git URL holds a password, which would be kept in dativo.lock", hint="use a credential helper"
        )
    return Git(found["scheme"], found["url"], found["rev"], found["folder"])


def distribution(text: str) -> str | None:
    """The name, as the index spells it, of a package that comes from the index; None for a repository."""
    if is_git(text):
        return None
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(requirement(text).name))


def hidden(text: str) -> str:
    """A text whose URLs show no credentials (I13)."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)
