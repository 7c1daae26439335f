"""A script, statement by statement: what it sets, which pipelines it runs, and where their states end up."""

from __future__ import annotations

import re
from dataclasses import field, replace
from pathlib import Path

from dativo.dataclass import dataclass
from dativo.migrate import reading
from dativo.migrate.reading import UnreadableError
from dativo.migrate.report import Report
from dativo.migrate.shell import crontab, grammar, writing
from dativo.migrate.shell.grammar import Command, Statement
from dativo.migrate.shell.lexer import Token
from dativo.migrate.shell.stage import BUFFERS, INSTEAD, Stage, unwrapped
from dativo.migrate.shell.words import Scope, Word, assigned
from dativo.plugins.requirement import kind_of
from dativo.secrets import dotenv

_COUNT = re.compile(r"-n?1|--lines=1")
_NO_PART = (
    "echo",
    "printf",
    "date",
    "true",
    ":",
    "exit",
    "mkdir",
    "rm",
    "touch",
    "sleep",
    "wait",
    "trap",
    "logger",
    "test",
    "[",
)
_INSTALLERS = ("pip", "pip3", "pipx", "uv", "virtualenv", "poetry", "conda", "apt-get", "apt", "brew")
_COPIES = ("cp", "mv", "ln")
DECLARING = ("export", "declare", "local", "readonly", "typeset")

_WRITE_OUT = " (a tap or a target is in it: write its pipeline out)"


def _moves(word: str) -> bool:
    return kind_of(word.rpartition("/")[2]) in ("tap", "target")


@dataclass
class Pipeline:
    """One `tap | … | target`."""

    line: int
    stages: list[Stage]
    env: dict[str, str | None] = field(default_factory=dict, repr=False)
    """What the script has exported by then."""
    here: Path = field(default_factory=Path)
    venv: Path | None = None
    """The environment that the script has activated."""
    written: dict[Path, str] = field(default_factory=dict, repr=False)
    """Files that the script has written by then, with what is in them."""
    when: str = ""
    """When cron starts it."""


@dataclass
class Script:
    """What was found. `flows` are (from, to) of files that a state went through, in the script's order."""

    report: Report
    name: str
    scope: Scope
    pipelines: list[Pipeline] = field(default_factory=list)
    flows: list[tuple[Path, Path]] = field(default_factory=list)
    venv: Path | None = None
    written: dict[Path, str] = field(default_factory=dict, repr=False)
    when: str = ""
    begins: int = 0
    """The lines before the text that is read."""

    def read(self, text: str) -> None:
        """Go through the script."""
        for statement in grammar.statements(text):
            statement.move(self.begins)
            self._statement(statement)
            if statement.background:
                why = "in the background: each pipeline is a job; start them as you like"
                self.changed(statement.line, "&", "jobs", why)

    def read_crontab(self, entries: list[crontab.Entry]) -> None:
        """Go through the lines of a crontab: each begins where cron begins, with what the lines before have set."""
        base = self.scope
        for one in entries:
            if one.name in ("MAILTO", "MAILFROM"):
                self.left(one.line, one.name, "nobody is told about runs: your scheduler does that")
            elif one.name in ("PATH", "SHELL"):
                self.left(one.line, one.name, "plugins get one of their own from Dativo")
            elif one.name in ("CRON_TZ", "TZ"):
                self.left(one.line, one.name, "`schedule:` is a note for your scheduler, whose zone counts")
            elif one.name:
                base.variables[one.name] = one.text
                base.exported.add(one.name)
                self.report.taken(self.where(one.line), one.name, "its value, where it is used")
            else:
                if one.given:
                    self.left(one.line, "the text behind %", "plugins get no text on their standard input")
                if one.user:
                    self.left(one.line, f"the user {one.user}", "a job runs as who runs `dativo run`")
                self.scope = Scope(base.folder, base.here, dict(base.variables), set(base.exported))
                self.when, self.begins, self.venv = one.when, one.line - 1, None
                self.read(one.text)
        self.scope = base

    # -- the report

    def where(self, at: int) -> str:
        """`sync.sh:12`."""
        return f"{self.name}:{at}"

    def left(self, at: int, what: str, why: str) -> None:
        """Nothing stands for it."""
        self.report.left(self.where(at), what, why)

    def changed(self, at: int, what: str, became: str, why: str) -> None:
        """Something else stands for it."""
        self.report.changed(self.where(at), what, became, why)

    # -- statements

    def _statement(self, statement: Statement) -> None:
        at = statement.line
        if statement.what:
            more = _WRITE_OUT if any(map(_moves, statement.programs)) else ""
            self.left(at, statement.what, f"nothing is run, so what it does is not known{more}")
        elif statement.after == "||":
            self.left(at, "what follows ||", "it runs when what is before it fails; `dativo run` tries again by itself")
        elif len(statement.commands) > 1:
            self._pipeline(statement)
        else:
            self._command(statement.commands[0])

    def _assign(self, at: int, name: str, value: Token | None, *, exported: bool) -> None:
        if value is None or not value.parts:
            self.scope.variables[name] = None
            self.left(at, name, "arrays and += are not understood")
            return
        found = self.scope.word(value, splits=False)
        self.scope.variables[name] = found.text
        if exported:
            self.scope.exported.add(name)
        if found.text is None:
            self.left(at, name, f"its value is not known: {found.why}")
        else:
            self.report.taken(self.where(at), name, "its value, where it is used")

    def _declare(self, command: Command, *, exported: bool) -> None:
        for word in command.words[1:]:
            made = assigned(word)
            name = word.bare
            if made is not None:
                self._assign(word.line, *made, exported=exported)
            elif not exported or name.startswith("-") or not name:
                self.left(word.line, command.words[0].bare, "it changes nothing that is moved")
            else:
                self.scope.exported.add(name)
                if name in self.scope.variables:
                    self.report.taken(self.where(word.line), f"export {name}", "its value, where it is used")
                else:
                    self.scope.variables[name] = None
                    why = "its value comes from outside: it is taken from the environment of `dativo run`"
                    self.changed(word.line, f"export {name}", "pass_env", why)

    # -- commands

    def _command(self, command: Command) -> None:
        made = [assigned(word) for word in command.words]
        if made and made[0] is not None and any(not word.parts for word in command.words):
            self._assign(command.line, made[0][0], None, exported=False)
        elif made and all(made):
            for word, one in zip(command.words, made, strict=True):
                assert one is not None
                self._assign(word.line, *one, exported=False)
        elif command.words and command.words[0].bare in DECLARING:
            self._declare(command, exported=command.words[0].bare == "export")
        elif (made_of := writing.content(command, self.scope)) is not None:
            path, self.written[path] = made_of[0], made_of[1]
            why = "the script writes it: what is in it is read here, and what comes from outside stays a variable"
            self.changed(command.line, path.name, "config", why)
        else:
            self._program(self._stage(command))

    def _program(self, stage: Stage) -> None:
        name, words = stage.name, [word.text for word in stage.words]
        if stage.stdout and self.written.pop(writing.normal(self.scope.here / stage.stdout), None) is not None:
            why = "what is in it from here on is not known: the file is read as it is on the disk"
            self.left(stage.line, f"{name} > {Path(stage.stdout).name}", why)
        if stage.kind is not None:
            self._alone(stage)
        elif name == "cd" and len(words) == 1 and words[0] is not None:
            self.scope.here = self.scope.here / words[0]
            self.report.taken(self.where(stage.line), "cd", "where relative paths begin")
        elif name == "set" and words:
            why = "a run fails when any side of it fails, whatever the shell's options"
            self.changed(stage.line, "set", "dativo run", why)
        elif name in ("source", ".") and len(words) >= 1:
            self._source(stage, words[0])
        elif name == "tail" and stage.stdout and len(words) >= 2 and self._is_last_line(words[:-1]):
            self._flow(stage, words[-1], stage.stdout)
        elif name in _COPIES and len(words) == 2:
            self._flow(stage, *words)
        else:
            self.left(stage.line, *self._of_no_use(name, words))

    def _of_no_use(self, name: str, words: list[str | None]) -> tuple[str, str]:
        if name in _INSTALLERS or (name.startswith("python") and words[:2] == ["-m", "venv"]):
            return name, "plugins are installed by `dativo add` or `dativo sync`"
        if name in _NO_PART:
            return name, "it plays no part in moving data"
        if name.endswith((".sh", ".bash")):
            return f"the command {name}", "a script of its own: import it by itself, with `dativo import shell`"
        more = _WRITE_OUT if any(_moves(part) for word in words for part in (word or "").split()) else ""
        return f"the command {name}", f"it is not understood, and nothing is run{more}"

    def _alone(self, stage: Stage) -> None:
        if stage.has("--discover", "-d"):
            self.left(
                stage.line, f"{stage.name} --discover", "streams are discovered by each run; see `dativo discover`"
            )
        elif stage.kind == "target" and stage.stdin:
            self.left(stage.line, stage.name, "a target that reads a file: run its tap, or replay a tape of it")
        else:
            self.left(stage.line, stage.name, "a job needs a tap and a target, piped into each other")

    def _source(self, stage: Stage, name: str | None) -> None:
        if name is None:
            self.left(stage.line, "source", "which file is not known")
            return
        path = self.scope.here / name
        if path.name == "activate":
            self.venv = path.parent.parent
            self.changed(stage.line, "an environment", "plugins", "each plugin has one of its own")
            return
        try:
            text = reading.text(path, 1 << 20)
            found = dotenv.parse(text)
        except (UnreadableError, ValueError):
            self.left(stage.line, f"source {path.name}", "it holds more than NAME=value, or cannot be read")
            return
        for variable, value in found.items():
            plain = not any(sign in value for sign in "$`")
            self.scope.variables[variable] = value if plain else None
            if f"export {variable}" in text:
                self.scope.exported.add(variable)
            if plain:
                self.report.taken(path.name, variable, "its value, where it is used")
            else:
                self.left(0, f"{path.name}: {variable}", "its value is not known: it is expanded by the shell")

    @staticmethod
    def _is_last_line(words: list[str | None]) -> bool:
        return bool(words) and (
            _COUNT.fullmatch(words[0] or "") is not None or words in (["-n", "1"], ["--lines", "1"])
        )

    def _flow(self, stage: Stage, origin: str | None, target: str | None) -> None:
        if origin is None or target is None:
            self.left(stage.line, stage.name, "which files is not known")
            return
        self.flows.append((self.scope.here / origin, self.scope.here / target))
        self.changed(
            stage.line, stage.name, "bookmarks", "Dativo keeps the last state that the target confirmed by itself"
        )

    # -- pipelines

    def _stage(self, command: Command) -> Stage:
        words: list[Word] = []
        env: dict[str, str | None] = {}
        for token in command.words:
            made = None if words else assigned(token)
            if made is None:
                words += self.scope.words(token)
            else:
                env[made[0]] = None if made[1] is None else self.scope.word(made[1], splits=False).text
        found = unwrapped(words)
        first = found.program
        if found.seconds is not None and first is not None:
            self.left(command.line, f"timeout {found.seconds}", "a job's time is bounded by its limits: {wall: …}")
        for starter in found.starters:
            self.left(command.line, starter, INSTEAD[starter])
        stdout, stdin = self._redirects(command)
        called = None if first is None or not first.text else Path(first.text)
        env |= found.env
        return Stage(command.line, called, tuple(found.words), env, stdout, stdin, found.script, found.ours)

    def _redirects(self, command: Command) -> tuple[str | None, str | None]:
        out = into = None
        for operator, token in command.redirects:
            target = None if token is None else self.scope.word(token).text
            if operator.operator in ("<<", "<<-", "<<<"):
                self.left(operator.line, "a here-document", "it is not understood")
            elif operator.operator == "<":
                into = target
            elif operator.operator in (">", ">>", ">|") and operator.fd in ("", "1"):
                out = target
            else:
                self.left(operator.line, "a redirection of stderr", "what plugins say is shown, and kept with the run")
        return out, into

    def _pipeline(self, statement: Statement) -> None:
        made = self._chosen([self._stage(command) for command in statement.commands])
        if made:
            exported = {name: self.scope.variables.get(name) for name in sorted(self.scope.exported)}
            self.pipelines.append(
                Pipeline(statement.line, made, exported, self.scope.here, self.venv, dict(self.written), self.when)
            )

    def _chosen(self, stages: list[Stage]) -> list[Stage]:
        """The stages that are plugins, if it is a pipeline of them; what stands between and behind is in the report."""
        kinds = [stage.kind for stage in stages]
        at = stages[0].line
        if kinds[0] != "tap" or "target" not in kinds:
            what = " | ".join(stage.name for stage in stages)
            more = _WRITE_OUT if any(_moves(word.text or "") for stage in stages for word in stage.words) else ""
            self.left(at, f"the pipeline {what}", f"it is no tap piped into a target{more}")
            return []
        end = kinds.index("target")
        found = [stages[0]]
        for stage in stages[1:end]:
            if stage.kind == "mapper":
                found.append(stage)
            elif stage.name in BUFFERS:
                self.left(stage.line, stage.name, "the bus buffers by itself: see `spill:` of a job")
            elif stage.name == "tee":
                others = any(word.text is None for word in stage.words)
                more = "; where it goes besides is not understood: a second target is a job of its own"
                self.left(stage.line, "tee", f"to keep what is moved: dativo run --record{more if others else ''}")
            else:
                what = " | ".join(one.name for one in stages[: end + 1])
                self.left(
                    at, f"the pipeline {what}", f"{stage.name} changes what is moved: it would have to be a mapper"
                )
                return []
        target = stages[end]
        out = self._behind(stages[end + 1 :]) if stages[end + 1 :] else target.stdout
        return [*found, replace(target, stdout=out)]

    def _behind(self, stages: list[Stage]) -> str | None:
        """Where a state goes that is piped on behind the target."""
        for stage in stages:
            words = [word.text for word in stage.words if word.text not in ("-a", "--append")]
            if stage.name == "tail" and self._is_last_line(words):
                self.changed(
                    stage.line, "tail", "bookmarks", "Dativo keeps the last state that the target confirmed by itself"
                )
            elif stage.name == "tee" and len(words) == 1 and words[0] is not None and stage.stdout is None:
                return words[0]
            else:
                self.left(stage.line, stage.name, "what it does with the target's states is not understood")
        return stages[-1].stdout
