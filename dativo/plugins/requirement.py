"""What a user asked for, and the name it gets.

`NAME`, `NAME==1.2`, `pypi:NAME`, `airbyte:NAME`, `./path`, `git+URL@rev`, `/path/to/script.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dativo import errors
from dativo.config.keys import ENGINES
from dativo.config.project import Project
from dativo.config.specs import AIRBYTE, PYPI
from dativo.dataclass import dataclass
from dativo.plugins import airbyte, firstparty, package
from dativo.plugins.lockfile import NATIVE
from dativo.plugins.registry import connector
from dativo.plugins.registry import index as registry
from dativo.plugins.registry.entry import KINDS, Entry
from dativo.plugins.registry.index import Index

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_PLACES = ("./", "../", "/", "~", ".")
"""How a path begins, rather than a name."""
_VARIANT = re.compile(r"(?:(?P<variant>[a-z0-9][a-z0-9._-]*?)-)??(?P<name>(?:tap|target)-.+)")


@dataclass(frozen=True)
class Request:
    """One thing to install. `text` is what was typed; the rest are flags."""

    text: str
    as_name: str | None = None
    kind: str | None = None
    variant: str | None = None
    engine: str | None = None
    python: str | None = None
    with_: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    executable: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A request understood: where it comes from (`pypi`, `path`, `git`, `script`, `manifest`) and what it will be
    called."""

    request: Request
    source: str
    name: str
    requirement: str
    distribution: str | None = None
    variant: str | None = None
    engine: str | None = None
    """None: as its package is ours or not."""
    folder: Path | None = None
    url: str | None = None
    rev: str | None = None
    subdirectory: str | None = None

    @property
    def declared(self) -> str:
        """How dativo.yml says where it comes from."""
        if self.engine != airbyte.ENGINE:
            return self.requirement
        place = airbyte.IMAGES if self.source == "docker" else ""
        return AIRBYTE + place + self.requirement.removeprefix("airbyte-")


def understand(request: Request, project: Project, index: Index | None = None) -> Wanted:
    """Tell what a request means, or raise `plugin.unknown`/`plugin.variant`/`usage` naming what is not understood.

    `index` is where names are looked up: the one that Dativo ships, unless another is given.
    """
    text = request.text.strip()
    if request.kind is not None and request.kind not in KINDS:
        raise errors.ConfigError("plugin.kind", f"{request.kind} is no kind of plugin", hint="tap, target or mapper")
    if request.engine is not None and request.engine not in ENGINES:
        raise errors.ConfigError(
            "plugin.engine", f"{request.engine} is no engine", hint=f"there are {', '.join(ENGINES)}"
        )
    if text.startswith(AIRBYTE):
        return _airbyte(request, text.removeprefix(AIRBYTE), project, index)
    if package.is_git(text):
        return _git(request, text)
    if text.startswith(PYPI):
        return _named(request, text.removeprefix(PYPI), project, Index([]))
    if text.startswith(_PLACES) or ("/" in text and "://" not in text):
        return _path(request, text, project)
    return _named(request, text, project, index or registry.shipped())


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


def _named(request: Request, text: str, project: Project, index: Index) -> Wanted:
    from packaging.utils import canonicalize_name

    parsed = package.requirement(text)
    variant: str | None
    engine: str | None
    typed = str(canonicalize_name(parsed.name))
    choice = index.choose(typed, request.variant, request.engine)
    if choice is not None:
        found = choice.catalogue.entry(choice.name, choice.variant)
        if found.engines[0] == airbyte.ENGINE:
            return _airbyte(request, f"{found.name}{parsed.specifier}", project, index)
        request = _filled(request, found)
        if package.is_git(found.package):
            if parsed.specifier or parsed.extras:
                raise errors.ConfigError(
                    "usage", f"{typed} comes from a git repository: it has no versions", hint="leave the version out"
                )
            wanted = _git(request, found.package, name=found.name, variant=found.variant)
            return replace(wanted, engine=request.engine or found.engines[0])
        main = package.requirement(found.package)
        variant, name, engine = found.variant, found.name, request.engine or found.engines[0]
        distribution = str(canonicalize_name(main.name))
        extras, versions = parsed.extras or main.extras, parsed.specifier or main.specifier
    elif request.kind is None and connector.of_name(typed) is None and (alike := index.alike(typed)):
        names = " or ".join(dict.fromkeys(f"dativo add {one.name}" for one in alike))
        raise errors.ConfigError("plugin.unknown", f"{typed} is a system, no plugin", hint=names)
    elif index.closed:
        raise index.unknown(typed)
    else:
        matched = _VARIANT.fullmatch(typed)
        name, engine = matched["name"] if matched else typed, request.engine
        if engine == NATIVE:
            raise errors.ConfigError("plugin.engine", f"no registry knows {typed} as {NATIVE}", hint=index.hint(typed))
        variant = request.variant or (matched["variant"] if matched else None)
        distribution = f"{request.variant}-{typed}" if request.variant else typed
        extras, versions = parsed.extras, parsed.specifier
    suffix = f"[{','.join(sorted(extras))}]" if extras else ""
    return Wanted(
        request,
        "pypi",
        checked_name(request.as_name or name),
        f"{distribution}{suffix}{versions}",
        distribution,
        variant,
        engine,
    )


def _airbyte(request: Request, text: str, project: Project, index: Index | None) -> Wanted:
    if airbyte.is_manifest(text):
        path = Path(text).expanduser()
        path = (path if path.is_absolute() else Path.cwd() / path).resolve()
        data = airbyte.read_manifest(path)
        name = checked_name(request.as_name or airbyte.manifest_name(path, data))
        request = replace(request, kind="tap", executable=airbyte.COMMAND)
        shown = project.shown_path(path)
        return Wanted(request, "manifest", name, shown, folder=path, engine=airbyte.ENGINE)
    if text.startswith(airbyte.IMAGES):
        image = text.removeprefix(airbyte.IMAGES)
        name = checked_name(request.as_name or airbyte.image(image)[0])
        return Wanted(request, "docker", name, image, engine=airbyte.ENGINE)
    if text.startswith(_PLACES):
        return replace(_path(request, text, project), engine=airbyte.ENGINE)  # what it is, its `spec` says
    found = airbyte.connector(text)
    known = _known(found, index or Index([registry.connectors()]))
    request = replace(_filled(request, known) if known else request, kind=found.kind)
    name = checked_name(request.as_name or found.name)
    return Wanted(request, "pypi", name, found.requirement, found.distribution, engine=airbyte.ENGINE)


def _known(connector: airbyte.Connector, index: Index) -> Entry | None:
    """The entry of a connector's package; no network."""
    about = [index.known(one) for one in index.choices(connector.name)]
    same = (one for one in about if one is not None and one.distribution == connector.distribution)
    return next((one for one in same if airbyte.ENGINE in one.engines), None)


def _filled(request: Request, entry: Entry) -> Request:
    """A request with what the registry knows and would not be found without it; what was asked for comes first."""
    found = {entry.name, entry.distribution}
    return replace(
        request,
        kind=request.kind or (None if kind_of(entry.name) == entry.kind else entry.kind),
        executable=request.executable or (None if entry.executable in found else entry.executable),
        with_=request.with_ or entry.requires,
        python=request.python or entry.chosen_python(),
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
            request, "path", checked_name(name), project.shown_path(path), folder=path, variant=request.variant,
            engine=request.engine,
        )  # fmt: skip
    name = request.as_name or path.stem.lower().replace("_", "-")
    wanted = Wanted(
        request, "script", checked_name(name), project.shown_path(path), folder=path, variant=request.variant,
        engine=request.engine,
    )  # fmt: skip
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


def _git(request: Request, text: str, *, name: str | None = None, variant: str | None = None) -> Wanted:
    found = package.git(text)
    last = (found.folder or found.url).rstrip("/").rsplit("/", 1)[-1].removesuffix(".git").lower()
    matched = _VARIANT.fullmatch(last.replace("_", "-"))
    name = request.as_name or name or (matched["name"] if matched else last.replace("_", "-"))
    return Wanted(
        request,
        "git",
        checked_name(name),
        text,
        variant=variant or request.variant,
        engine=request.engine,
        url=found.url,
        rev=found.rev,
        subdirectory=found.folder,
    )


def from_declaration(name: str, declared: dict[str, object], project: Project) -> Request:
    """The request that a plugin's section in dativo.yml amounts to: its `source`, else its name and variant."""
    source = declared.get("source")
    with_, constraints = declared.get("with"), declared.get("constraints")
    request = Request(
        text=str(source or name),
        as_name=name,
        kind=_text(declared.get("kind")),
        variant=_text(declared.get("variant")),
        engine=_text(declared.get("engine")),
        python=_text(declared.get("python")),
        executable=_text(declared.get("executable")),
        with_=tuple(str(item) for item in with_) if isinstance(with_, list) else (),
        constraints=tuple(str(item) for item in constraints) if isinstance(constraints, list) else (),
    )
    if source and str(source).startswith(AIRBYTE):
        rest = str(source).removeprefix(AIRBYTE)
        place = airbyte.is_manifest(rest) or rest.startswith(_PLACES)
        path = project.root / Path(rest).expanduser() if place else rest
        return replace(request, text=f"{AIRBYTE}{path}", variant=None, kind=None, executable=None)
    if source and "/" in str(source) and not str(source).startswith(("git+", "/", "~")):
        return replace(request, text=str(project.root / str(source)))
    return request if source is None or _tells(str(source), request.variant) else replace(request, variant=None)


def _tells(source: str, variant: str | None) -> bool:
    """Whether a variant says which package a source is: several in the index that Dativo ships may share its name."""
    if "/" in source or variant is None:
        return False
    from packaging.utils import canonicalize_name

    name = str(canonicalize_name(package.requirement(source).name))
    return variant in {one.variant for one in registry.shipped().choices(name)}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
