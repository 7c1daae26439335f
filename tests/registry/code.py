"""What a package's own code tells, read and not run: settings of taps without --about, and the hosts of its API."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from dativo.secrets.names import is_secret

_CONFIGS = {"config", "_config", "CONFIG"}
_ADDRESS = re.compile(
    r"(^|_)(base|api|auth|token|root|default)?_?(url|uri|host|endpoint|domain)(_base)?$", re.IGNORECASE
)
_HOST = re.compile(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:/|$|\?)")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_NO_API = {"github.com", "docs.meltano.com", "sdk.meltano.com", "example.com", "www.example.com", "json-schema.org"}


def trees(files: list[Path]) -> Iterator[ast.AST]:
    """The parsed modules; what Python 3.11 cannot parse is left out."""
    for path in files:
        if path.suffix == ".py" and "tests" not in path.parts:
            try:
                yield ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                continue


def settings(files: list[Path]) -> dict[str, object]:
    """Keys that are read from `config`, those of the one REQUIRED_CONFIG_KEYS as required, secrets by their names."""
    read: set[str] = set()
    required: list[list[str]] = []
    for tree in trees(files):
        for node in ast.walk(tree):
            read.update(_read(node))
            if isinstance(node, ast.Assign) and any(_named(t) == "REQUIRED_CONFIG_KEYS" for t in node.targets):
                listed = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else []
                required.append([one.value for one in listed if isinstance(one, ast.Constant)])
    needed = sorted(required[0]) if len({tuple(sorted(one)) for one in required}) == 1 else []
    keys = sorted({*needed, *(key for one in required for key in one), *read})
    if not keys:
        return {}
    shown = {key: {"secret": True, "type": "string"} if _secret(key) else {} for key in keys}
    return {"type": "object", "properties": shown, **({"required": needed} if needed else {})}


def _secret(key: str) -> bool:
    return is_secret(key, {}) and not key.lower().endswith(("_type", "_method", "_mode", "_url", "_uri"))


def _read(node: ast.AST) -> Iterator[str]:
    key: ast.AST | None = None
    if isinstance(node, ast.Subscript) and _named(node.value) in _CONFIGS:
        key = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        key = node.args[0] if node.args and _named(node.func.value) in _CONFIGS else None
    if isinstance(key, ast.Constant) and isinstance(key.value, str) and _KEY.fullmatch(key.value):
        yield key.value


def _named(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def hosts(files: list[Path]) -> list[str]:
    """HOST:443 of https addresses that are assigned to, or returned by, what is called like an address."""
    found: set[str] = set()
    for tree in trees(files):
        for node in ast.walk(tree):
            names: list[str | None] = []
            if isinstance(node, ast.Assign):
                names = [_named(target) for target in node.targets]
            elif isinstance(node, ast.AnnAssign):
                names = [_named(node.target)]
            elif isinstance(node, ast.FunctionDef):
                names = [node.name]
            if any(name and _ADDRESS.search(name) for name in names):
                below = ast.walk(node) if not isinstance(node, ast.FunctionDef) else _returned(node)
                for one in below:
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        found.update(_HOST.findall(one.value))
    return sorted(f"{host}:443" for host in found - _NO_API if not host.startswith(("docs.", "developer")))


def _returned(function: ast.FunctionDef) -> Iterator[ast.AST]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from ast.walk(node.value)
