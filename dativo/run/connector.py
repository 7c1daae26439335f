"""Questions to Airbyte connectors: spec (what it is), check (whether its settings work), discover (its streams)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.engines import airbyte, airbyte_image, singer
from dativo.engines.airbyte import Answers
from dativo.observe.log import PluginLog
from dativo.plugins import airbyte as package
from dativo.plugins import manifest as manifests
from dativo.run import denials, probe, troubles
from dativo.run.grants import Confining, bare
from dativo.run.interrupts import Interrupts

if TYPE_CHECKING:
    from dativo.plugins.installed import Installed


def manifest(executable: Path, home: Path | None, *, beat: Callable[[], None] | None = None) -> dict[str, Any]:
    """What a freshly installed connector is. A declarative manifest says it itself: nothing is started."""
    declared = package.installed_manifest(home) if home is not None else None
    if declared is not None:
        found = airbyte.manifest(package.specification(declared), "source")
        hosts = package.hosts(declared)
        return {**manifests.checked(found), **({"sandbox": {"network": hosts}} if hosts else {})}
    grants = bare(executable.name, executable, home, wall=probe.PATIENCE)
    child = airbyte.probe(executable, "spec", confine=grants.confining(planned=False))
    return _described(child, executable.name, beat)


def manifest_of_image(digest: str, *, beat: Callable[[], None] | None = None) -> dict[str, Any]:
    """The same of a container image, by its hash."""
    python = Path(sys.executable)
    grants = bare("image", python, singer.home_of(python), wall=probe.PATIENCE)
    child = singer.probe(python, (), confine=grants.confining(planned=False))
    contained = airbyte_image.contained(child, digest, ["spec"])
    found = _described({**contained, "name": "image"}, "image", beat)
    return {**found, airbyte_image.IMAGE: digest}


def _described(child: dict[str, Any], name: str, beat: Callable[[], None] | None) -> dict[str, Any]:
    answer = probe.ask(child, beat=beat)
    answers = Answers(answer.stdout)
    spec = answers.spec() if answer.ok else None
    if spec is None:
        said = [*answer.lines, *answers.words()]
        raise errors.EnvironmentFault(
            "plugin.start_failed",
            f"{name} does not answer `spec` (exit {answer.code})",
            details=tuple(said[-6:]) or ((answer.end.message,) if answer.end.message else ()),
            hint="see its last lines above; another version (airbyte:NAME==…) or --python may start",
            context={"stderr": "\n".join(said)},
        )
    return manifests.checked(airbyte.manifest(spec, name))


def question(plugin: Installed, words: str, config: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """`check` or `discover` as a child of a plan."""
    return airbyte.probe(plugin, words, config=package.config_of(plugin.env_dir, config), **spec)


def catalog_of(answer: probe.Answer) -> dict[str, Any] | None:
    """The Singer catalog in what a source answered to `discover`; None if there is none."""
    found = Answers(answer.stdout).catalog() if answer.ok and answer.end.verdict == "done" else None
    return airbyte.discovered(found) if found is not None else None


@dataclass
class Asking:
    """One connector and its settings. `spec` goes to the engine (env, pass_env, confine, back_fd)."""

    plugin: Installed
    config: Mapping[str, Any]
    spec: dict[str, Any]
    log: PluginLog = field(default_factory=lambda: PluginLog(shown=False))
    interrupts: Interrupts | None = None
    beat: Callable[[], None] | None = None

    def discover(self) -> dict[str, Any]:
        """The streams of a source as a Singer catalog."""
        catalog = self._ask("discover", "could not discover its streams").catalog()
        if catalog is None:
            raise self._silent("answered `discover` with no catalog")
        return airbyte.discovered(catalog)

    def check(self) -> None:
        """Return if the connector says that its settings work; else `config.refused` with its reason."""
        answers = self._ask("check", "could not check its settings")
        refusal = answers.refusal()
        if refusal is not None:
            raise troubles.in_words(self._silent(refusal), troubles.CONFIG, refusal)
        if not answers.accepted():
            raise self._silent("did not answer `check`")

    def _silent(self, what: str) -> errors.DativoError:
        name = self.plugin.name
        return errors.RunError("plugin.exited", f"{name} {what}", context={"plugin": name})

    def _ask(self, words: str, what: str) -> Answers:
        plugin = self.plugin
        child = question(plugin, words, self.config, **self.spec)
        answer = probe.ask(child, interrupts=self.interrupts, log=self.log, patience=None, beat=self.beat)
        answers = Answers(answer.stdout)
        for line in answers.logs():
            self.log.line(plugin.name, line)
        self._give_back(answers.renewed())
        trouble = answers.trouble()
        if answer.ok and answer.end.verdict == "done" and trouble is None:
            return answers
        problem = probe.problem(plugin, answer, what)
        confine = self.spec.get("confine")
        if isinstance(confine, Confining):
            problem = denials.explained(problem, confine.grants, plugin.kind, seen=answer.seen, lines=answer.lines)
        if trouble is not None and problem.code == "plugin.exited":
            raise troubles.in_words(problem, trouble.kind, trouble.message)
        self.log.show_last(plugin.name, but=lambda _: False)
        raise problem

    def _give_back(self, config: dict[str, Any] | None) -> None:
        """What it renewed while it answered goes the same way as what it renews while it reads."""
        back = self.spec.get("back_fd")
        if back is not None and config is not None:
            os.ftruncate(back, 0)
            os.pwrite(back, json.dumps(config).encode(), 0)
