"""The engines that a run is to use: each step becomes the plugin that is the same connector and has the engine.

What is asked for, the nearest word first: `--engine PLUGIN=ENGINE`, `--engine ENGINE`, the job's word about the plugin,
the job's `engine:`, the plugin's own section. A word about no plugin by name is for the tap and the target, and for
those of them whose connector comes in that engine at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.config.specs import JobSpec
    from dativo.plugins.engine import Lacking


OF_ONE_ENGINE = ("config", "env", "pass_env", "config_mode")
"""What a job says about a plugin that means nothing to the same connector with another engine."""


Say = Callable[[str], None]


def _quiet(_line: str) -> None:
    """Nobody is there to be told."""


@dataclass(frozen=True)
class Word:
    """An engine that is asked for: of a plugin by its name, or (`own` False) of all that have it."""

    engine: str
    own: bool


def applied(project: Project, spec: JobSpec, said: Sequence[str] = (), say: Say = _quiet) -> JobSpec:
    """The job with the plugins that its engines mean as its steps. `said` are the words of --engine.

    Raises `plugin.engine` where what is asked for is not locked, or does not exist; `say` is told what keeps its own.
    """
    words = [_word(project, spec, name, said) for name in spec.steps]
    if not any(words) and not said:
        return spec
    steps: list[str] = []
    lacking: list[tuple[str, Lacking]] = []
    took = False
    for at, (name, word) in enumerate(zip(spec.steps, words, strict=True)):
        between = 0 < at < len(spec.steps) - 1
        if word is None or (between and not word.own):
            steps.append(name)
            continue
        found = _found(project, name, word, spec.steps)
        if isinstance(found, str):
            took = took or not word.own
            steps.append(found)
        else:
            lacking.append((name, found))
            steps.append(name)
    if lacking and not took:
        raise lacking[0][1]
    for name, problem in lacking:
        say(f"{name} stays what it is: {problem.message}; {problem.hint}")
    return replace(spec, steps=tuple(steps), plugins=_words(spec, steps))


def one(project: Project, name: str, said: str | None) -> str:
    """The plugin of a command of its own: `dativo tap-x --engine ENGINE`, else as its section says."""
    from dativo.plugins.engine import chosen

    engine = said or project.engine(name)
    return name if engine is None else chosen(project, name, engine)


def _word(project: Project, spec: JobSpec, name: str, said: Sequence[str]) -> Word | None:
    named = [one.partition("=") for one in said if "=" in one]
    for plugin, _, _ in named:
        if plugin not in spec.steps:
            raise errors.ConfigError(
                "usage", f"--engine {plugin}=…: no such plugin", hint=f"the job's plugins: {', '.join(spec.steps)}"
            )
    own = next((engine for plugin, _, engine in reversed(named) if plugin == name), None)
    if own is not None:
        return Word(own, own=True)
    bare = next((one for one in reversed(said) if "=" not in one), None)
    if bare is not None:
        return Word(bare, own=False)
    of_job = (spec.plugins.get(name) or {}).get("engine")
    if of_job:
        return Word(str(of_job), own=True)
    if spec.engine:
        return Word(spec.engine, own=False)
    of_plugin = project.engine(name)
    return Word(of_plugin, own=True) if of_plugin else None


def _words(spec: JobSpec, steps: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The job's words about its plugins, those about a step with the plugin that it became.

    Settings go along only from where the engine stands too: another engine's connector has others.
    """
    words = dict(spec.plugins)
    for name, became in zip(spec.steps, steps, strict=True):
        about = spec.plugins.get(name) or {}
        if became != name and about:
            kept = about if "engine" in about else {key: one for key, one in about.items() if key not in OF_ONE_ENGINE}
            words[became] = {**kept, **(spec.plugins.get(became) or {})}
    return words


def _found(project: Project, name: str, word: Word, steps: Sequence[str]) -> str | Lacking:
    """The plugin, or the error of one that can stay as it is."""
    from dativo.plugins.engine import Lacking, chosen

    try:
        return chosen(project, name, word.engine)
    except Lacking as problem:
        if word.own:
            raise
        if problem.known:
            others = [one for one in (steps[0], steps[-1]) if one != name]
            problem.details = tuple(f"for {one} alone: --engine {one}={word.engine}" for one in others)
            raise
        return problem
