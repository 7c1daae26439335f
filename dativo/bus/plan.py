"""The plan: one JSON document that tells the data plane what to start and how to wire it.

The field names are those of `protocol/schemas/plan.schema.json`. Children come ready-made from `dativo.engines`.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import Any

from dativo.dataclass import dataclass
from dativo.secrets.redact import REDACTOR

HIDDEN = "***"


@dataclass(frozen=True)
class Source:
    """The shell pipe on stdin, for a plan without a tap."""

    name: str
    await_verdict: bool
    fd: int = 0


@dataclass(frozen=True)
class Sink:
    """Stdout, for a plan without a target."""

    name: str
    quiet: bool = False
    fd: int = 1
    adapt: dict[str, Any] | None = None
    """What is changed for who reads there, as in a child."""


@dataclass(frozen=True)
class Limits:
    """Bounds on memory (I10), in bytes."""

    max_line: int = 64 * 1024 * 1024
    pipe: int = 256 * 1024
    capture: int = 64 * 1024 * 1024
    log_line: int = 16 * 1024


@dataclass(frozen=True)
class Policy:
    """What to do with lines that are not messages, how closely to look, and what counts as confirmed."""

    junk: str = "drop"
    check: str = "json"
    batch: str = "refuse"
    confirm: str = "auto"
    validate: str = "off"
    on_bad_record: str = "fail"
    bad_rows: int | None = None
    bad_percent: float | None = None
    schema_change: dict[str, Any] = field(default_factory=lambda: {"default": "evolve", "streams": {}})
    activate: str = "forward"

    @property
    def remembers(self) -> bool:
        """Whether what a SCHEMA was in earlier runs matters."""
        change = self.schema_change
        return {change.get("default", "evolve"), *change.get("streams", {}).values()} != {"evolve"}


@dataclass(frozen=True)
class Grace:
    """Seconds a plugin is given: after EOF (None: for ever), after SIGTERM, and to flush while draining."""

    eof: float | None = None
    term: float = 5
    drain: float = 30


@dataclass(frozen=True)
class Spill:
    """What is kept of what the last receiver was given, until a bookmark covers it: bytes, bytes, seconds, where."""

    memory: int = 8 * 1024 * 1024
    disk: int = 1024 * 1024 * 1024
    age: float = 3600
    dir: str | None = None


@dataclass(frozen=True)
class Spool:
    """Where rows lie that go as columns: a directory that the data plane makes, and how many bytes may lie there."""

    dir: str
    bytes: int


@dataclass(frozen=True)
class Plan:
    """Everything the data plane needs for one attempt."""

    run: str
    job: str
    run_dir: str
    children: list[dict[str, Any]]
    source: Source | None = None
    sink: Sink | None = None
    limits: Limits = field(default_factory=Limits)
    policy: Policy = field(default_factory=Policy)
    grace: Grace = field(default_factory=Grace)
    spill: Spill | None = None
    """With it, a tap or target that dies may be started again under the other."""
    spool: Spool | None = None
    """With it, rows go as columns to a target that speaks Arrow."""
    copy_to: str | None = None
    """A file that every line for the last receiver is appended to."""
    dead_letters: str | None = None
    """The file for records that are set aside."""
    known_schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What earlier runs saw: stream -> {"schema": …, "key_properties": […]}."""
    tape: str | None = None
    """The file that the run is recorded in."""
    checker: dict[str, Any] | None = field(default=None, repr=False)
    """Who judges records whose SCHEMA the data plane cannot use; a child that stands beside the others."""
    counters_every: float = 0.25
    secrets: tuple[str, ...] = field(default_factory=REDACTOR.values, repr=False)
    """Values that no event may show (I13): all that this process knows, so that no caller can forget one."""

    def document(self, control_fd: int | None = None) -> dict[str, Any]:
        """The plan as JSON data; the control pipe's number is known only when the bus is started."""
        shape: dict[str, Any] = {
            "plan": 1,
            "run": self.run,
            "job": self.job,
            "run_dir": self.run_dir,
            "source": None if self.source is None else vars(self.source),
            "sink": None if self.sink is None else vars(self.sink),
            "children": self.children,
            "limits": vars(self.limits),
            "policy": vars(self.policy),
            "grace": vars(self.grace),
            "dead_letters": None if self.dead_letters is None else {"path": self.dead_letters},
            "known_schemas": self.known_schemas,
            "counters_every": self.counters_every,
            "secrets": list(self.secrets),
        }
        if self.spill is not None:
            shape["spill"] = vars(self.spill)
        if self.spool is not None:
            shape["spool"] = vars(self.spool)
        if self.copy_to is not None:
            shape["copy_to"] = {"path": self.copy_to}
        if self.tape is not None:
            shape["tape"] = {"path": self.tape}
        if self.checker is not None:
            shape["checker"] = self.checker
        if control_fd is not None:
            shape["control_fd"] = control_fd
        return shape

    def encode(self, control_fd: int | None = None) -> bytes:
        """The bytes that the bus reads."""
        return json.dumps(self.document(control_fd), ensure_ascii=False, separators=(",", ":")).encode()

    def back_fds(self) -> list[int]:
        """The descriptors through which files come back: the bus has to inherit them."""
        files = [file for child in self.children for file in child.get("files", {}).values()]
        return [file["back_fd"] for file in files if file.get("back_fd") is not None]

    def shown(self) -> dict[str, Any]:
        """The plan for people: contents of files and values of passed variables are hidden (I13)."""
        shape = self.document()
        del shape["secrets"]
        shape["children"] = [_shown_child(child) for child in self.children]
        if self.checker is not None:
            shape["checker"] = _shown_child(self.checker)
        return shape


def _shown_child(child: dict[str, Any]) -> dict[str, Any]:
    return {
        **child,
        "files": {name: {**file, "content": HIDDEN} for name, file in child.get("files", {}).items()},
        "env": {name: _shown_variable(name, value) for name, value in child.get("env", {}).items()},
    }


_PLAIN = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR", "PYTHONUTF8", "DATIVO_JOB", "DATIVO_RUN"} | {
    "DATIVO_SPOOL",
    "DATIVO_SPOOL_BYTES",
}


def _shown_variable(name: str, value: str) -> str:
    return value if name in _PLAIN else HIDDEN
