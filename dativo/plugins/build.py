"""Where code of strangers runs while a package is built: in the sandbox, with its own folder and the package index.

Who trusts what: a wheel is unpacked, which runs nothing. A source distribution, a git commit and a folder are built by
a program of their author's; so uv, the build and whatever it starts run confined, with a cache of their own that is
thrown away. The same holds for asking a package without a wheel what it depends on. Dativo's own plugins in its own
checkout are as trusted as Dativo, and are built as they are; so is a folder of yours with `--trust-build`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path

from dativo import errors
from dativo.dataclass import dataclass
from dativo.plugins import index, uv, work
from dativo.plugins.environment import interpreter
from dativo.plugins.index import Index
from dativo.plugins.uv import STEADY, Uv
from dativo.plugins.window import Window

MAY = "a build may read its own folder, write there, and reach the package index"


LEFT_OUT = (".venv", "venv", "__pycache__", ".tox", ".nox", "node_modules", "target", ".*_cache")
"""What is not copied with a folder that is built."""


@dataclass(frozen=True)
class Task:
    """A program to run confined: what it may read besides the system, the one folder to write, whom it may reach."""

    name: str
    argv: tuple[str, ...]
    python: Path
    folder: Path
    read: tuple[Path, ...] = ()
    network: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How it went. `tried` are the things it may not do and tried, as `read ~/.netrc`."""

    ok: bool
    stdout: str
    lines: tuple[str, ...]
    how: str = ""
    tried: tuple[str, ...] = ()


Confine = Callable[[Task], Outcome]
"""Runs a task through the data plane. Given by the caller: only `dativo.run` may join plugins and that."""


@dataclass
class Workshop:
    """Everything that one command builds."""

    confine: Confine
    uv: Uv
    say: Callable[[str], None] = lambda _: None
    trusting: bool = False
    """Whether folders of the user's own are built as they are."""

    @cached_property
    def indexes(self) -> list[Index]:
        """The user's package indexes, asked for once."""
        return index.configured(self.uv)

    def wheel(self, source: Path, what: str, *, python: str | None, out: Path, inside: str = "") -> Path:
        """Build a source distribution, or a copy of a folder (or of what is `inside` it), into `out`, confined."""
        with work.folder("build") as folder:
            copy = folder / "source" / source.name
            copy.parent.mkdir()
            if source.is_dir():
                shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
            else:
                shutil.copyfile(source, copy)
            arguments = ["build", "--wheel", "--no-config", "--out-dir", "{folder}/out", str(copy / inside)]
            self._run(arguments, f"building {what}", folder, python=python, read=())
            made = sorted((folder / "out").glob("*.whl"))
            if len(made) != 1 or made[0].is_symlink():
                raise errors.EnvironmentFault(
                    "plugin.install_failed", f"building {what} made {len(made)} wheels, not one"
                )
            return Path(shutil.move(made[0], out / made[0].name))

    def compile(
        self, lines: Sequence[str], wheels: Sequence[Path], what: str, *, python: str | None, bounds: Sequence[str] = ()
    ) -> str:
        """What `uv pip compile` says of requirements, within `bounds`, of which some must be built to be understood."""
        arguments = ["pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
        with work.folder("resolve") as folder:
            (folder / "wish.in").write_text("\n".join(lines) + "\n", encoding="utf-8")
            (folder / "constraints.in").write_text("".join(f"{one}\n" for one in bounds), encoding="utf-8")
            arguments += ["--no-strip-extras", "--no-config", "--constraints", "{folder}/constraints.in"]
            arguments += ["{folder}/wish.in"]
            return self._run(arguments, what, folder, python=python, read=tuple(wheels)).stdout

    def _run(
        self, arguments: Sequence[str], what: str, folder: Path, *, python: str | None, read: tuple[Path, ...]
    ) -> Outcome:
        for name in ("tmp", "cache", "out"):
            (folder / name).mkdir()
        own = {"UV_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "tmp"), "UV_PYTHON_DOWNLOADS": "never"}
        with Window([] if self.uv.offline else self.indexes) as window:
            reach = () if self.uv.offline else (window.address,)
            program = self.python(python)
            argv = [str(uv.find()), *(word.replace("{folder}", str(folder)) for word in arguments)]
            argv += ["--python", str(program), *(["--offline"] if self.uv.offline else [])]
            variables = {**STEADY, **own, **({} if self.uv.offline else window.variables)}
            task = Task("build", tuple(argv), program, folder, read, reach, variables)
            outcome = self.confine(task)
            shown = tuple(window.hidden(line).replace(f"{folder}/", "") for line in outcome.lines)
        if not outcome.ok:
            raise self._failed(what, outcome, shown)
        for one in outcome.tried:
            self.say(f"{what}: the build tried to {one}, and could not")
        return outcome

    def _failed(self, what: str, outcome: Outcome, lines: tuple[str, ...]) -> errors.DativoError:
        if outcome.tried:
            return errors.EnvironmentFault(
                "plugin.build_denied",
                f"{what}: the build tried to {outcome.tried[0]}, which it may not",
                hint=f"{MAY}; if you trust a folder of yours with more: --trust-build",
                details=(*(f"and to {one}" for one in outcome.tried[1:4]), *lines[-12:]),
            )
        told = uv.failure(what, "\n".join(lines), offline=self.uv.offline)
        if told.code == "env.read_only":  # a place outside the sandbox
            message = f"{what}: the build tried to use a place that it may not"
            return errors.EnvironmentFault("plugin.build_denied", message, hint=MAY, details=told.details)
        if told.code == "plugin.install_failed" and outcome.how:
            told.message = f"{told.message} ({outcome.how})"
        return told

    def python(self, version: str | None) -> Path:
        """The interpreter of a version, fetched where uv can. Raises `plugin.python`."""
        given = interpreter(version)
        if given.startswith("/"):
            return Path(given)
        try:
            return Path(self.uv.run(["python", "find", given], what=f"looking for Python {given}").strip())
        except errors.DativoError:
            self.say(f"Python {given} is not here: fetching it")
            try:
                self.uv.run(["python", "install", "--quiet", given], what=f"fetching Python {given}")
            except errors.DativoError as problem:
                raise errors.ConfigError(
                    "plugin.python", f"there is no Python {given} here, nor to be had", details=problem.details,
                    hint="put one on PATH, or name another: --python 3.11",
                ) from problem  # fmt: skip
            return Path(self.uv.run(["python", "find", given], what=f"looking for Python {given}").strip())


def lacks_wheel(problem: errors.DativoError) -> str | None:
    """The package that uv would have had to build, by what it says when it may not."""
    text = uv.unfolded("\n".join([problem.message, *problem.details]))
    found = re.search(r"Wheels are required for `([^`]+)`", text) or re.search(
        r"(?:Building source distributions for `?([A-Za-z0-9._-]+)`? is disabled|"
        r"Because (?:only )?([A-Za-z0-9._-]+)(?:[=<>!~]=?\S+)? (?:has|have) no (?:usable )?wheels)",
        text,
    )
    return next(filter(None, found.groups()), None) if found else None
