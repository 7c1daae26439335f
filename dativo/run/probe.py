"""Ask a plugin a question (`--about`, `--discover`, `--version`, `--bookmark`) through the data plane.

DESIGN.md: no plugin code runs outside the data plane, probes included. The answer is the plugin's stdout, bounded by
`limits.capture`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.bus.events import End
from dativo.bus.plan import Limits, Plan, Sink
from dativo.dataclass import dataclass
from dativo.engines import airbyte, singer
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress
from dativo.run import denials, rundirs
from dativo.run.attempt import Attempt, Seen
from dativo.run.grants import Confining, bare
from dativo.run.interrupts import Interrupts
from dativo.run.outcome import failure, is_said

if TYPE_CHECKING:
    from dativo.plugins.installed import Installed

PATIENCE = 120.0
"""Seconds a plugin is given to say what it is; discovery may take as long as it takes."""


@dataclass(frozen=True)
class Answer:
    """What a probed plugin said and how it ended."""

    stdout: bytes
    code: int | None
    signal: int | None
    lines: list[str]
    """Its last lines on stderr."""
    end: End
    seen: Seen = field(default_factory=Seen)

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.code == 0


def ask(
    child: Mapping[str, Any],
    *,
    interrupts: Interrupts | None = None,
    log: PluginLog | None = None,
    patience: float | None = PATIENCE,
    capture: int = Limits.capture,
    beat: Callable[[], None] | None = None,
    into: int | None = None,
) -> Answer:
    """Run one probe child (as `engines.singer.probe` makes it) and return its answer, whatever it is.

    `beat` is called all the while: a lease that is held must not run out because a plugin takes long to answer.
    `into` is a descriptor that takes a long answer in place of `Answer.stdout`.
    """
    name = rundirs.fresh_id("p")
    plan = Plan(
        run=name,
        job="probe",
        run_dir=rundirs.run_dir(name),
        children=[dict(child)],
        sink=Sink("probe", quiet=True),
        limits=Limits(capture=capture),
    )
    answer = os.dup(into) if into is not None else os.memfd_create("dativo-probe", os.MFD_CLOEXEC)
    kept = log if log is not None else PluginLog(shown=False)
    try:
        with contextlib.ExitStack() as stack:
            signals = interrupts if interrupts is not None else stack.enter_context(Interrupts())
            given = os.dup(answer)
            try:
                keeper = _Waiting(str(child["name"]), patience, beat)
                seen = Attempt(plan, signals, kept, Progress(), keeper=keeper, stdout=given).drive()
            finally:
                os.close(given)
        stdout = b"" if into is not None else os.pread(answer, os.fstat(answer).st_size, 0)
    finally:
        os.close(answer)
    if signals.count:
        raise signals.cancelled()
    left = seen.exits.get(str(child["name"]))
    return Answer(
        stdout, left.code if left else None, left.signal if left else None, kept.last(child["name"]), seen.end, seen
    )


class _Waiting:
    """Keeps no bookmark; keeps a lease alive, and gives the probe up after a while."""

    def __init__(self, name: str, patience: float | None, beat: Callable[[], None] | None) -> None:
        self._name = name
        self._beat = beat
        self._patience = patience
        self._begun = time.monotonic()

    def commit(self, text: str, records: int, of: int) -> None:
        """A probe has no bookmarks."""

    def beat(self) -> None:
        """Renew what is held; give up when the time is over."""
        if self._beat is not None:
            self._beat()
        if self._patience is not None and time.monotonic() - self._begun > self._patience:
            raise errors.RunError("plugin.hung", f"{self._name} did not answer within {self._patience:.0f} s")


def question(plugin: Installed | Path, args: Sequence[str], *, name: str | None = None) -> dict[str, Any]:
    """A probe child that needs nothing but its program: no config, no file, no network, little of everything (I6)."""
    path = plugin if isinstance(plugin, Path) else plugin.executable
    home = singer.home_of(path) if isinstance(plugin, Path) else plugin.env_dir
    grants = bare(name or path.name, path, home, wall=PATIENCE)
    child = singer.probe(plugin, args, confine=grants.confining(planned=False))
    return {**child, "name": name} if name else child


def about(plugin: Installed | Path, *, name: str | None = None) -> dict[str, Any] | None:
    """The manifest that a plugin prints about itself; None if it cannot (legacy plugins exit with an error)."""
    answer = ask(question(plugin, ["--about", "--format=json"], name=name))
    found = json_object(answer.stdout) if answer.ok else None
    return found if found is not None and "name" in found else None


def version(plugin: Installed | Path, *, name: str | None = None) -> str | None:
    """What `--version` prints, on one line; None if it fails."""
    answer = ask(question(plugin, ["--version"], name=name))
    words = answer.stdout.decode(errors="replace").strip().splitlines()
    return words[-1].strip() if answer.ok and words else None


def discover(
    plugin: Installed,
    config: Mapping[str, Any],
    *,
    interrupts: Interrupts | None = None,
    log: PluginLog | None = None,
    beat: Callable[[], None] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """The catalog that a tap discovers. `spec` goes to the engine (env, pass_env, config_mode)."""
    kept = log if log is not None else PluginLog(shown=False)
    if plugin.engine == airbyte.NAME:
        from dativo.run.connector import Asking

        return Asking(plugin, config, spec, kept, interrupts, beat).discover()
    child = singer.probe(plugin, ["--discover"], config=dict(config), **spec)
    answer = ask(child, interrupts=interrupts, log=kept, patience=None, beat=beat)
    _succeed(plugin, answer, kept, "could not discover its streams", spec.get("confine"))
    catalog = json_object(answer.stdout)
    if catalog is None or not isinstance(catalog.get("streams"), list):
        raise errors.RunError(
            "plugin.exited",
            f"{plugin.name} --discover printed no catalog",
            hint="run it by hand to see what it prints",
            context={"plugin": plugin.name},
        )
    return catalog


def bookmark(
    plugin: Installed,
    config: Mapping[str, Any],
    job: str,
    *,
    interrupts: Interrupts | None = None,
    log: PluginLog | None = None,
    beat: Callable[[], None] | None = None,
    **spec: Any,
) -> str | None:
    """The exact text of the bookmark that a target keeps with its data for a job; None if it has none."""
    kept = log if log is not None else PluginLog(shown=False)
    child = singer.probe(plugin, ["--bookmark", job], config=dict(config), job=job, **spec)
    answer = ask(child, interrupts=interrupts, log=kept, patience=None, beat=beat)
    _succeed(plugin, answer, kept, "could not read the bookmark kept with its data", spec.get("confine"))
    return answer.stdout.decode().strip() or None


def _succeed(plugin: Installed, answer: Answer, log: PluginLog, what: str, confine: Confining | None) -> None:
    """Return if the plugin exited 0, else raise what it, or the data plane, has to say."""
    if answer.ok and answer.end.verdict == "done":
        return
    found = problem(plugin, answer, what)
    if confine is not None:
        found = denials.explained(found, confine.grants, plugin.kind, seen=answer.seen, lines=answer.lines)
    log.show_last(plugin.name, but=is_said if "exit-codes" in plugin.capabilities else lambda _: False)
    raise found


def problem(plugin: Installed, answer: Answer, what: str) -> errors.DativoError:
    """The error for a question that was not answered."""
    end = answer.end
    return failure(
        End(
            reason=end.reason or "plugin.exited",
            child=plugin.name,
            message=f"{plugin.name} {what}" if answer.code else end.message,
            setting=end.setting,
        ),
        lines=answer.lines,
        ours="exit-codes" in plugin.capabilities,
        exit_code=answer.code,
        interrupts=Interrupts(),
        context={"plugin": plugin.name},
    )


def json_object(stdout: bytes) -> dict[str, Any] | None:
    """The JSON object in a plugin's answer. Wrappers log on stdout, so lines before and after it are passed over."""
    text = stdout.decode(errors="replace")
    for start in _object_starts(text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _object_starts(text: str) -> Sequence[int]:
    """Where an object may begin: a `{` at the start of a line."""
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("{"):
            found.append(at + line.index("{"))
        at += len(line)
    return found
