"""A `custom_reader` or `custom_writer` as a plugin of its own: a small Python project around the class or library.

Nothing of it is imported or loaded here: a module is read as text and looked at as a syntax tree, a library is named.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Sequence
from dataclasses import field
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from dativo.dataclass import dataclass
from dativo.migrate import reading
from dativo.migrate.earlier.files import Folder
from dativo.migrate.reading import UnreadableError

VERSION = "1.0.0"
MAX_MODULE = 1 << 20
MOST_MODULES = 50
LIBRARIES = (".so", ".dylib", ".dll")
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "PIL": "pillow",
    "psycopg2": "psycopg2-binary",
    "dateutil": "python-dateutil",
    "bs4": "beautifulsoup4",
    "sklearn": "scikit-learn",
    "MySQLdb": "mysqlclient",
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "Crypto": "pycryptodome",
}
"""Packages that are imported under another name."""


@dataclass
class Wrapped:
    """A generated plugin. `files` are texts by their path below the project."""

    plugin: str
    files: dict[str, str] = field(default_factory=dict, repr=False)
    library: str | None = None
    requires: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    """Variables that its code asks for by name."""


class CannotError(Exception):
    """It cannot be wrapped; the message says why."""


def wrapped(folder: Folder, kind: str, said: str, plugin: str, *, env: Sequence[str] = ()) -> Wrapped:
    """The plugin for `path/module.py:Class` or `path/library.so:function`; it gets `env` too. Raises CannotError."""
    path_text, colon, name = said.rpartition(":")
    if not colon or not name.isidentifier():
        raise CannotError("path/module.py:Class or path/library.so:function is expected")
    found = folder.found(path_text)
    if found is None:
        raise CannotError(f"there is no file {PurePosixPath(path_text).name} below the folder")
    made = Wrapped(plugin, env=list(env))
    path = folder.root.resolve() / found
    modules: dict[str, str] = {}
    if path.suffix in LIBRARIES:
        made.library = str(path)
        where = f":{name}"
    else:
        if not path.stem.isidentifier():
            raise CannotError(f"{path.name} is no name of a module")
        _module(folder.root.resolve(), path, modules, made)
        where = f"{path.stem}:{name}"
        if name not in {one.name for one in ast.walk(ast.parse(modules[path.name])) if isinstance(one, ast.ClassDef)}:
            raise CannotError(f"{path.name} defines no class {name}")
        made.requires = _pinned(folder.root, made.requires)
    package = plugin.replace("-", "_").replace(".", "_")
    about = {"name": plugin, "version": VERSION, "class": where, "env": sorted(made.env)}
    here = f"plugins/{plugin}"
    made.files = {
        f"{here}/pyproject.toml": _pyproject(plugin, package, made.requires),
        f"{here}/{package}/__init__.py": f'"""A {kind} around {name} of the earlier Dativo."""\n\n'
        f"PLUGIN = {json.dumps(about, indent=4)}\n",
        f"{here}/{package}/engine.py": script("engine"),
        f"{here}/{package}/main.py": script("tap" if kind == "tap" else "target"),
        **{f"{here}/{package}/own/{module}": text for module, text in modules.items()},
    }
    return made


def script(name: str) -> str:
    """One of the programs of `scripts/`."""
    return resources.files("dativo.migrate.earlier.scripts").joinpath(f"{name}.py").read_text("utf-8")


def _module(root: Path, path: Path, modules: dict[str, str], made: Wrapped) -> None:
    """A module and those beside it that it imports."""
    try:
        text = reading.text(path, MAX_MODULE)
        tree = ast.parse(text)
    except UnreadableError as problem:
        raise CannotError(f"{path.name}: {problem}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CannotError(f"{path.name} is no Python that this Python reads") from None
    modules[path.name] = text
    if len(modules) > MOST_MODULES:
        raise CannotError(f"it imports more than {MOST_MODULES} modules of its own")
    for name in _imported(tree):
        beside = reading.inside(root, str((path.parent / f"{name}.py").relative_to(root)))
        if beside is not None and reading.is_file(beside):
            if beside.name not in modules:
                _module(root, beside, modules, made)
        elif name not in sys.stdlib_module_names and name != "dativo_ingest" and name.isascii():
            required = DISTRIBUTIONS.get(name, name.replace("_", "-"))
            made.requires += [] if required in made.requires else [required]
    made.env += [name for name in _asked(tree) if name not in made.env]


def _imported(tree: ast.AST) -> list[str]:
    """Top-level names that a module imports, in their order."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [one.name.partition(".")[0] for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module.partition(".")[0])
    return list(dict.fromkeys(found))


def _asked(tree: ast.AST) -> list[str]:
    """Environment variables that a module names: `os.environ["X"]`, `os.environ.get("X")`, `os.getenv("X")`."""
    found: list[str] = []
    for node in ast.walk(tree):
        word: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "environ":
            word = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner = node.func.value
            of_environ = (
                isinstance(owner, ast.Attribute) and owner.attr == "environ" and node.func.attr in ("get", "pop")
            )
            word = node.args[0] if of_environ or node.func.attr == "getenv" else None
        if isinstance(word, ast.Constant) and isinstance(word.value, str) and word.value.isidentifier():
            found.append(word.value)
    return list(dict.fromkeys(found))


def _pinned(root: Path, names: list[str]) -> list[str]:
    """Requirements with the versions of the folder's requirements.txt, where it names them."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    known: dict[str, str] = {}
    try:
        lines = reading.text(root / "requirements.txt", MAX_MODULE).splitlines()
    except UnreadableError:
        lines = []
    for line in lines:
        try:
            one = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:
            continue
        known[canonicalize_name(one.name)] = f"{one.name}{one.specifier}"
    return [known.get(canonicalize_name(name), name) for name in names]


def _pyproject(plugin: str, package: str, requires: list[str]) -> str:
    def text(value: Any) -> str:
        return json.dumps(value)  # a JSON text without control characters is a TOML one

    return (
        '[build-system]\nrequires = ["hatchling>=1.24"]\nbuild-backend = "hatchling.build"\n\n'
        f'[project]\nname = {text(plugin)}\nversion = "{VERSION}"\nrequires-python = ">=3.9"\n'
        f"dependencies = {text(requires)}\n\n"
        f"[project.scripts]\n{text(plugin)} = {text(f'{package}.main:main')}\n\n"
        f"[tool.hatch.build.targets.wheel]\npackages = {text([package])}\n"
    )
