"""What a user asked for: `NAME`, `NAME==1.2`, `./path`, `git+URL@rev`, `/path/to/script.py`, and the name it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import firstparty

KINDS = ("tap", "target", "mapper")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_VARIANT = re.compile(r"(?:(?P<variant>[a-z0-9][a-z0-9._-]*?)-)??(?P<name>(?:tap|target)-.+)")
_GIT = re.compile(r"git\+(?P<url>(?:https?|ssh|file|git)://[^@#\s]+(?:@[^@#/\s]+(?=/)[^@#\s]*)?)(?:@(?P<rev>[^@#\s]+))?"
                  r"(?:#subdirectory=(?P<folder>[^&#\s]+))?")  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One thing to install. `text` is what was typed; the rest are flags."""

    text: str
    as_name: str | None = None
    kind: str | None = None
    variant: str | None = None
    python: str | None = None
    with_: tuple[str, ...] = ()
    executable: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A request understood: where it comes from (`pypi`, `path`, `git`, `script`) and what it will be called."""

    request: Request
    source: str
    name: str
    requirement: str
    distribution: str | None = None
    variant: str | None = None
    folder: Path | None = None
    url: str | None = None
    rev: str | None = None
    subdirectory: str | None = None


def understand(request: Request, project: Project) -> Wanted:
    """Tell what a request means, or raise `plugin.unknown`/`usage` naming what cannot be understood."""
    text = request.text.strip()
    if request.kind is not None and request.kind not in KINDS:
        raise errors.ConfigError("plugin.kind", f"{request.kind} is no kind of plugin", hint="tap, target or mapper")
    if text.startswith("git+"):
        return _git(request, text)
    if text.startswith(("./", "../", "/", "~", ".")) or ("/" in text and "://" not in text):
        return _path(request, text, project)
    return _index(request, text)


def kind_of(name: str, given: str | None = None) -> str | None:
    """The kind that a name tells, unless one was given."""
    if given:
        return given
    for word, kind in (("tap", "tap"), ("target", "target"), ("map", "mapper"), ("mapper", "mapper")):
        if name.startswith(f"{word}-") or f"-{word}-" in name:
            return kind
    return "mapper" if "transform" in name else None


def checked_name(name: str) -> str:
    """A plugin's name, which becomes a directory and a command: letters, digits, dot, dash (I12)."""
    if not _NAME.fullmatch(name):
        raise errors.ConfigError(
            "usage", f"{name!r} cannot be a plugin's name", hint="use small letters, digits and dashes: --as tap-shop"
        )
    return name


def _index(request: Request, text: str) -> Wanted:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

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
    typed = str(canonicalize_name(parsed.name))
    variant: str | None
    known = firstparty.choose(typed, request.variant)
    if known is not None:
        variant, distribution, name = known
    else:
        found = _VARIANT.fullmatch(typed)
        name = found["name"] if found else typed
        variant = request.variant or (found["variant"] if found else None)
        distribution = f"{request.variant}-{typed}" if request.variant else typed
    suffix = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    return Wanted(
        request,
        "pypi",
        checked_name(request.as_name or name),
        f"{distribution}{suffix}{parsed.specifier}",
        distribution,
        variant,
    )


def _path(request: Request, text: str, project: Project) -> Wanted:
    path = Path(text).expanduser()
    path = (path if path.is_absolute() else Path.cwd() / path).resolve()
    if not path.exists():
        raise errors.ConfigError("plugin.unknown", f"{text} does not exist", hint="check the path")
    if path.is_dir():
        if not (path / "pyproject.toml").is_file() and not (path / "setup.py").is_file():
            raise errors.ConfigError(
                "plugin.unknown", f"{text} holds no pyproject.toml", hint="give a Python project or a script"
            )
        name = request.as_name or _project_name(path)
        return Wanted(
            request, "path", checked_name(name), project.shown_path(path), folder=path, variant=request.variant
        )
    name = request.as_name or path.stem.lower().replace("_", "-")
    wanted = Wanted(
        request, "script", checked_name(name), project.shown_path(path), folder=path, variant=request.variant
    )
    if request.with_ or request.python:
        raise errors.ConfigError(
            "usage", f"{text} is a script: it is run as it is", hint="leave --with and --python out"
        )
    return wanted


def _project_name(folder: Path) -> str:
    import tomllib

    try:
        with (folder / "pyproject.toml").open("rb") as stream:
            declared = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError):
        declared = {}
    project = declared.get("project")
    name = str((project if isinstance(project, dict) else {}).get("name") or folder.name).lower().replace("_", "-")
    for known in firstparty.FOLDERS:
        if name == known:
            return name.removeprefix("dativo-")
    found = _VARIANT.fullmatch(name)
    return found["name"] if found else name


def _git(request: Request, text: str) -> Wanted:
    found = _GIT.fullmatch(text)
    if not found:
        raise errors.ConfigError(
            "usage", f"{_hidden(text)} is no git URL", hint="as in git+https://host/team/tap-x.git@v1.2#subdirectory=a"
        )
    if re.search(r"//[^/]*:[^/]*@", found["url"]):
        raise errors.ConfigError(
            "usage", "the git URL holds a password, which would be kept in dativo.lock", hint="use a credential helper"
        )
    last = (found["folder"] or found["url"]).rstrip("/").rsplit("/", 1)[-1].removesuffix(".git").lower()
    matched = _VARIANT.fullmatch(last.replace("_", "-"))
    name = request.as_name or (matched["name"] if matched else last.replace("_", "-"))
    return Wanted(
        request,
        "git",
        checked_name(name),
        text,
        variant=request.variant,
        url=found["url"],
        rev=found["rev"],
        subdirectory=found["folder"],
    )


def _hidden(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def from_declaration(name: str, declared: dict[str, object], project: Project) -> Request:
    """The request that a plugin's section in dativo.yml amounts to: its `source`, else its name and variant."""
    source = declared.get("source")
    with_ = declared.get("with")
    request = Request(
        text=str(source or name),
        as_name=name,
        kind=_text(declared.get("kind")),
        variant=_text(declared.get("variant")),
        python=_text(declared.get("python")),
        executable=_text(declared.get("executable")),
        with_=tuple(str(item) for item in with_) if isinstance(with_, list) else (),
    )
    if source and "/" in str(source) and not str(source).startswith(("git+", "/", "~")):
        return replace(request, text=str(project.root / str(source)))
    return replace(request, variant=None) if source else request


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
