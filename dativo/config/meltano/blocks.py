"""What `run` is told to run, as pipelines: plugins in a row, jobs of tasks, schedules; and each pipeline's state id.

Facts: Meltano 4.4.1, core/block/block_parser.py, core/task_sets.py, core/schedule.py, core/block/extract_load.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.config.meltano.definitions import RUNNABLE, Plugins
from dativo.config.meltano.files import Files, fault
from dativo.dataclass import dataclass

CRON = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
NEVER = ("@once", "@manual", "@none")
MANY = 1_000


@dataclass(frozen=True)
class Pipeline:
    """A tap, mappings and a target."""

    steps: tuple[str, ...]
    state_id: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that a schedule sets."""
    job: str | None = None
    """The job or schedule that it is of."""


class Blocks:
    """The jobs and schedules of a project. `environment` and `suffix` are parts of the state ids."""

    def __init__(self, files: Files, plugins: Plugins, environment: str | None, suffix: str | None) -> None:
        self._plugins, self._environment, self._suffix = plugins, environment, suffix
        self.jobs = {entry["name"]: (entry, where) for entry, where in files.items("jobs")}
        self.schedules = {entry["name"]: (entry, where) for entry, where in files.items("schedules")}

    def names(self) -> list[str]:
        """Jobs, then schedules that are called otherwise."""
        return list(dict.fromkeys([*self.jobs, *self.schedules]))

    def of(self, words: Sequence[str]) -> list[Pipeline]:
        """What words mean, in order. Raises before anything runs for what cannot be run."""
        if len(words) == 1 and words[0] in self.schedules:
            return self.of_schedule(words[0])
        return self._pipelines(words)

    def of_schedule(self, name: str) -> list[Pipeline]:
        """What a schedule runs."""
        entry, where = self.schedules[name]
        job = entry.get("job")
        if name in self.jobs and job != name:
            raise fault(where, f"{name} is a job and a schedule of something else", hint="rename one of them")
        env = {str(key): str(value) for key, value in (entry.get("env") or {}).items()}
        if job is not None:
            if job not in self.jobs:
                raise fault(where, f"the schedule {name} runs a job {job}, which there is not")
            return [Pipeline(one.steps, one.state_id, env, job) for one in self._pipelines([job])]
        tap, target = entry.get("extractor"), entry.get("loader")
        if not isinstance(tap, str) or not isinstance(target, str):
            raise fault(where, f"the schedule {name} names neither a job nor an extractor and a loader")
        if entry.get("transform", "skip") != "skip":
            raise unsupported(f"{where}: the schedule {name} runs transforms", "transform: skip is what Dativo runs")
        found = self._pipelines([tap, target])
        return [Pipeline(found[0].steps, name, env, name)]  # meltano elt --state-id=NAME, whatever the environment

    def tasks(self, name: str) -> list[str]:
        """The words that a job stands for."""
        entry, where = self.jobs[name]
        return list(_words(entry.get("tasks"), where, name))

    def state_id(self, steps: Sequence[str]) -> str:
        """`ENVIRONMENT:TAP-to-TARGET:SUFFIX`; mappings are no part of it."""
        named = f"{steps[0]}-to-{steps[-1]}"
        return ":".join(part for part in (self._environment, named, self._suffix) if part)

    def _pipelines(self, words: Sequence[str]) -> list[Pipeline]:
        flat: list[tuple[str, str | None]] = []
        for word in words:
            if word in self.jobs:
                if self._plugins.kind(word) is not None:
                    raise fault(self.jobs[word][1], f"{word} names a job and a plugin", hint="rename one of them")
                flat += [(one, word) for one in self.tasks(word)]
            else:
                flat.append((word, None))
        if len(flat) > MANY:
            raise fault(" ".join(words)[:80], f"more than {MANY} blocks")
        found: list[Pipeline] = []
        open_: list[str] = []
        for word, job in flat:
            role = self._role(word)
            if (role == "tap") != (not open_):
                raise self._order(words, word, role, open_)
            open_.append(word)
            if role == "target":
                found.append(Pipeline(tuple(open_), self.state_id(open_), job=job))
                open_ = []
        if not flat:
            where = self.jobs[words[0]][1]
            raise fault(where, f"{' '.join(words)} has no tasks", hint="give it some, as in tasks: [tap-x target-y]")
        if open_ or not found:
            target = self._plugins.first("loaders", "TARGET")
            raise errors.ConfigError(
                "job.invalid",
                f"{' '.join(words)}: {' '.join(open_)} is followed by no target",
                hint=f"name one behind it: dativo run {' '.join([*words, target])}",
            )
        return found

    def _role(self, word: str) -> str:
        name, colon, command = word.partition(":")
        kind = self._plugins.kind(name)
        if kind is None:
            self._plugins.named(name)  # raises, with what was probably meant
        assert kind is not None
        if kind not in RUNNABLE:
            raise unsupported(f"{word} is of the {kind}: Dativo moves data from taps to targets",
                              f"run that part with Meltano: meltano run {word}")  # fmt: skip
        if colon:
            raise unsupported(f"{word} is a command of {name}", f"run it with Meltano: meltano invoke {name}:{command}")
        return RUNNABLE[kind]

    def _order(self, words: Sequence[str], word: str, role: str, open_: Sequence[str]) -> errors.ConfigError:
        said = f"{word} ({role}) follows {open_[-1]}" if open_ else f"{word} ({role}) has no tap before it"
        return errors.ConfigError("job.invalid", f"{' '.join(words)} cannot be run: {said}")


def unsupported(what: str, hint: str) -> errors.ConfigError:
    """`meltano.unsupported`: a part of a project that is not for Dativo to run."""
    return errors.ConfigError("meltano.unsupported", what, hint=hint)


def cron(interval: Any, where: str) -> str | None:
    """A schedule's interval as cron; None for one that never comes by itself."""
    if interval is None or interval in NEVER:
        return None
    text = str(interval)
    if text.startswith("@") and text not in CRON:
        raise fault(where, f"{text} is no interval", hint=f"one of {', '.join([*CRON, *NEVER])}, or cron")
    return CRON.get(text, text)


def _words(tasks: Any, where: str, job: str) -> Iterable[str]:
    if isinstance(tasks, str):
        yield from tasks.split()
    elif isinstance(tasks, list):
        for one in tasks:
            yield from _words(one, where, job)
    else:
        raise fault(where, f"the tasks of {job} are texts, or lists of them")
