"""What may stand in dativo.yml and in a job file: one table, used to refuse unknown keys and wrong values by line."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from dativo import errors
from dativo.config import limits
from dativo.config.document import Document, KeyPath
from dativo.config.quantity import parse_duration, parse_size

Check = Callable[[Any], str | None]
"""Returns what was expected instead, or None when the value is fine."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Plugin, job and environment names: they become file and directory names (I12)."""


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "text is expected"


def _texts(value: Any) -> str | None:
    fine = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    return None if fine else "a list of texts is expected, like [a, b]"


def _mapping(value: Any) -> str | None:
    return None if isinstance(value, dict) else "a mapping of keys is expected"


def _options(value: Any) -> str | None:
    fine = isinstance(value, dict) and all(isinstance(item, str | int | bool) for item in value.values())
    return None if fine else "a mapping of option names to texts is expected, like {region: eu-west-1}"


def _variables(value: Any) -> str | None:
    fine = isinstance(value, dict) and all(isinstance(item, str | int) for item in value.values())
    return None if fine else "a mapping of variable names to texts is expected"


def _streams(value: Any) -> str | None:
    fine = isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())
    return None if fine else "a mapping is expected: stream, then its metadata"


def _commands(value: Any) -> str | None:
    fine = isinstance(value, dict) and all(_texts(item) is None and item for item in value.values())
    return None if fine else "a mapping is expected: name, then a command as a list like [pass, show, shop]"


def _tenants(value: Any) -> str | None:
    fine = isinstance(value, dict) and all(_texts(item) is None for item in value.values())
    return None if fine else "a mapping is expected: tenant, then a list of patterns like [vault/kv/a/*]"


def _network(value: Any) -> str | None:
    fine = value in ("any", "none") or isinstance(value, bool) or _texts(value) is None
    return None if fine else "any, none, or a list of HOST:PORT is expected"


def _one_of(*words: str) -> Check:
    shown = ", ".join(words)
    return lambda value: None if value in words and isinstance(value, str) else f"one of {shown} is expected"


def _parsed(parse: Callable[[object], object], *, empty: bool = False) -> Check:
    def check(value: Any) -> str | None:
        if value is None and empty:
            return None
        try:
            parse(value)
        except ValueError as problem:
            return str(problem)
        return None

    return check


def _count(value: Any) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if fine else "a whole number from 1 is expected"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false is expected"


DURATION = _parsed(parse_duration)
SIZE = _parsed(parse_size)
DURATION_OR_NONE = _parsed(parse_duration, empty=True)

BAD_RECORDS = ("fail", "quarantine", "discard")
CHANGES = ("evolve", "freeze", "discard_column", "quarantine_row")


def _bad_records(value: Any) -> str | None:
    shown = f"one of {', '.join(BAD_RECORDS)} is expected"
    if not isinstance(value, dict):
        return None if isinstance(value, str) and value in BAD_RECORDS else shown
    if value.get("policy") not in BAD_RECORDS:
        return f"policy: {shown}"
    if unknown := value.keys() - {"policy", "rows", "percent"}:
        return f"{sorted(map(str, unknown))[0]} is not known: policy, rows and percent are"
    rows, percent = value.get("rows", 0), value.get("percent", 0)
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 0:
        return "rows: a whole number from 0 is expected"
    fine = isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= 100
    return None if fine else "percent: a number from 0 to 100 is expected"


def _schema_change(value: Any) -> str | None:
    words = value if isinstance(value, dict) else {"default": value}
    fine = all(isinstance(key, str) and isinstance(word, str) and word in CHANGES for key, word in words.items())
    return None if fine else f"one of {', '.join(CHANGES)} is expected, or a mapping: stream (or default), then one"


def _parallel(value: Any) -> str | None:
    if not isinstance(value, dict):
        return _count(value)
    if unknown := value.keys() - {"taps", "together"}:
        return f"{sorted(map(str, unknown))[0]} is not known: taps and together are"
    together = value.get("together", [])
    if not isinstance(together, list) or not all(_texts(one) is None for one in together):
        return "together: a list of lists of streams is expected, like [[orders, order_items]]"
    wrong = _count(value.get("taps", 1))
    return None if wrong is None else f"taps: {wrong}"


def _cores(value: Any) -> str | None:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return None if fine else "a number of cores is expected, like 1.5"


Table = Mapping[str, "Check | Table | Named"]


class Named(dict[str, "Check | Table | Named"]):
    """A mapping from names the user chooses to values that all follow one table."""

    def __init__(self, what: str, table: Table) -> None:
        super().__init__(table)
        self.what = what


LIMITS: Table = {name: _parsed(functools.partial(limits.parse, name)) for name in limits.LIMITS}
ENGINES = ("native", "singer", "airbyte")
"""What a connector can be: Dativo's own kind, a Singer plugin, an Airbyte connector."""
PROFILES = ("off", "limits", "standard", "strict")
"""From the loosest to the strictest."""
UNFENCED = PROFILES[:2]
"""Those under which a plugin may do what its user may."""
REACH: Table = {
    "profile": _one_of(*PROFILES),
    "read": _texts,
    "write": _texts,
    "network": _network,
    "unix": _texts,
}
SANDBOX: Table = {**REACH, "env": _texts}
POLICY: Table = {**REACH, "limits": LIMITS}
SETTINGS: Table = {
    "engine": _one_of(*ENGINES),
    "config": _mapping,
    "select": _texts,
    "metadata": _streams,
    "schema": _streams,
    "streams": _texts,
    "catalog": _text,
    "env": _variables,
    "pass_env": _texts,
    "config_mode": _one_of("auto", "memfd", "file"),
    "limits": LIMITS,
    "sandbox": SANDBOX,
}
PLUGIN: Table = {
    "kind": _one_of("tap", "target", "mapper"),
    "variant": _text,
    "source": _text,
    "executable": _text,
    "with": _texts,
    "constraints": _texts,
    "python": _text,
    **SETTINGS,
}
SECRETS: Table = {
    "tenants": _tenants,
    "timeout": DURATION,
    "file": {"identity": _text},
    "keyring": {"service": _text},
    "vault": {
        **dict.fromkeys(("address", "namespace", "mount", "ca"), _text),
        "version": _count,
        "auth": {
            "method": _one_of("token", "approle"),
            **dict.fromkeys(("token", "role_id", "secret_id", "mount"), _text),
        },
    },
    "aws": dict.fromkeys(("region", "endpoint", "profile"), _text),
    "gcp": dict.fromkeys(("project", "endpoint"), _text),
    "azure": {"vault": _text, "ca": _text},
    "exec": _commands,
}
ADAPTATIONS = (
    "schema-keyword",
    "exclusive-bounds",
    "multiple-of",
    "large-bounds",
    "key-properties",
    "sdc-columns",
)
"""What the data plane may change in a SCHEMA for a plugin that does not understand it (SPEC.md, section 4)."""


def _adapt(value: Any) -> str | None:
    if value in ("auto", "off", True, False):
        return None
    if not isinstance(value, list):
        return "auto, off or a list of what may be changed is expected"
    unknown = next((str(one) for one in value if one not in ADAPTATIONS), None)
    return None if unknown is None else f"{unknown} is not one of {', '.join(ADAPTATIONS)}"


JOB: Table = {
    "description": _text,
    "tenant": _text,
    "steps": _texts,
    "engine": _one_of(*ENGINES),
    "plugins": Named("plugin", SETTINGS),
    "policy": {
        "junk": _one_of("drop", "fail"),
        "check": _one_of("json", "envelope"),
        "batch": _one_of("refuse", "forward", "expand"),
        "confirm": _one_of("auto", "never"),
    },
    "limits": {**LIMITS, "job": {"memory": SIZE, "free": SIZE, "cpu": _cores}},
    "sandbox": SANDBOX,
    "grace": {"eof": DURATION_OR_NONE, "term": DURATION, "drain": DURATION},
    "retry": {
        "attempts": _count,
        "deadline": DURATION_OR_NONE,
        "delay": DURATION,
        "max_delay": DURATION,
        "budget": _count,
        "breaker": {"failures": _count, "pause": DURATION},
    },
    "encoding": _one_of("auto", "records", "arrow"),
    "adapt": _adapt,
    "stream_name": _text,
    "spool": SIZE,
    "spill": {"memory": SIZE, "disk": SIZE, "age": DURATION},
    "parallel": _parallel,
    "continue_on_error": _flag,
    "on_bad_record": _bad_records,
    "schema_change": _schema_change,
    "schedule": _text,
    "full_refresh": _flag,
    "verify": _one_of("after", "never"),
}
INDEX: Table = {"url": _text, "username": _text, "password": _text, "default": _flag}
STATE: Table = {"path": _text, "url": _text, "options": _options}
"""Where bookmarks are kept: a SQLite file by its path, or any store by its URL."""
_PARTS: Table = {
    "plugins": Named("plugin", PLUGIN),
    "jobs": Named("job", JOB),
    "state": STATE,
    "sandbox": POLICY,
    "secrets": SECRETS,
    "index": Named("index", INDEX),
}
PROJECT: Table = {"version": _count, "tenant": _text, **_PARTS, "environments": Named("environment", _PARTS)}
POLICY_FILE: Table = {"sandbox": POLICY}
JOB_FILE: Table = {"name": _text, **JOB, "plugins": Named("plugin", PLUGIN), "state": STATE}


def check(document: Document, table: Table, *, code: str = "project.invalid") -> None:
    """Raise `code` for the first key or value that does not fit, with its line and the nearest key."""
    _Checker(document, code).check((), document.data, table)


class _Checker:
    def __init__(self, document: Document, code: str) -> None:
        self.document, self.code = document, code

    def check(self, at: KeyPath, data: Any, table: Table) -> None:
        if data is None:
            return  # `plugins:` with nothing under it
        if not isinstance(data, dict):
            raise self.problem(at, f"{_named(at)}: a mapping of keys is expected")
        for key, value in data.items():
            here = (*at, key)
            if isinstance(table, Named):
                if not NAME.fullmatch(key):
                    raise self.problem(here, f"{key!r} cannot be a {table.what}'s name: use letters, digits, . _ -")
                self.check(here, value, dict(table))
                continue
            rule = table.get(key)
            if rule is None:
                import difflib

                near = difflib.get_close_matches(key, table, n=1)
                hint = f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(sorted(table))
                place = f" in {_named(at)}" if at else ""
                raise self.problem(here, f"unknown key `{key}`{place}", hint=hint)
            if not callable(rule):
                self.check(here, value, rule)
            elif (value is not None or rule is not DURATION_OR_NONE) and not _is_reference(value):
                wrong = None if value is None and rule in (_mapping, _texts, _variables, _streams) else rule(value)
                if wrong:
                    raise self.problem(here, f"{_named(here)}: {wrong}")

    def problem(self, at: KeyPath, what: str, *, hint: str | None = None) -> errors.ConfigError:
        return errors.ConfigError(self.code, f"{self.document.where(at)}: {what}", hint=hint)


def _is_reference(value: Any) -> bool:
    """A value such as `${MEMORY}` is checked when it is read."""
    return isinstance(value, str) and "${" in value


def _named(at: KeyPath) -> str:
    return ".".join(str(part) for part in at) or "the file"
