"""Singer taps, mappers and targets (singer-python, singer-sdk, PipelineWise, ours) as children of a plan."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dativo import errors
from dativo.engines.shebang import search_path

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",  # SDK readers die on non-ASCII without it; PYTHONIOENCODING garbles silently and is never passed
    "PYTHONDONTWRITEBYTECODE": "1",
    "HOME": "{home}",
    "TMPDIR": "{tmp}",
}
PASSED_THROUGH = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "TZ")

# singer-sdk (0.54.9 and its predecessors, plugin_base.py) answers SIGTERM and SIGINT with this line and exit 0.
# singer-python and PipelineWise install no handler: the signal itself ends them, which the exit status tells.
SDK_INTERRUPTED = "Gracefully shutting down..."


Confine = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""Gives the `sandbox`, `limits` and `rlimits` of a child with that environment. Without it nothing is granted."""


class OwnChoice(str):
    """The text of a catalog that says what a tap does without one. It is not handed over: some taps die of any.

    tap-csv-folder 0.0.1a1 does, whose class of streams fixes what the SDK (0.41.0) then sets. Whatever is made of the
    text, for a share of the streams or without one that failed, is plain text again.
    """

    __slots__ = ()


class Startable(Protocol):
    """An installed plugin, as far as starting it goes."""

    @property
    def name(self) -> str:
        """Its name in the project."""

    @property
    def executable(self) -> Path:
        """What is started."""

    @property
    def env_dir(self) -> Path | None:
        """Its own environment; None for a script."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What it said about itself."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do."""


def child(
    installed: Startable,
    *,
    role: str,
    config: Mapping[str, Any],
    catalog: Mapping[str, Any] | str | None = None,
    state: Mapping[str, Any] | str | None = None,
    pass_env: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    config_mode: str = "auto",
    back_fd: int | None = None,
    job: str,
    run: str,
    confine: Confine | None = None,
    cwd: str | None = None,
) -> dict[str, Any]:
    """One plugin of a run: tap, mapper or target. A catalog or state given as text is handed over byte for byte.

    `back_fd` gets the config file's content at the end, if the plugin can and did rewrite it.
    """
    mode = _mode(installed, config_mode)
    given = _environment(search_path(installed.env_dir, installed.executable), pass_env, env, job=job, run=run)
    files = {"config": _file(config, mode, back_fd)}
    argv = [str(installed.executable), "--config", "{file:config}"]
    if role == "tap" and catalog is not None and not isinstance(catalog, OwnChoice):
        argv += [word for flag in _catalog_flags(installed) for word in (flag, "{file:catalog}")]
        files["catalog"] = _file(catalog, mode)
    # an empty state is not handed over: an empty file or `null` crashes taps, no flag at all never does (SINGER.md A.3)
    if role == "tap" and state is not None and state not in ("", "{}", "null", {}) and _takes_state(installed):
        argv += ["--state", "{file:state}"]
        files["state"] = _file(state, mode)
    return {
        "name": installed.name,
        "role": role,
        "argv": argv,
        "env": given,
        "cwd": cwd,
        "files": files,
        **_confined(confine, given),
        "on_upstream_failure": "term" if role == "target" and "bookmark" in installed.capabilities else "eof",
        "interrupt_log": _interrupt_log(installed),
        "warn_log": [],
    }


def probe(
    installed: Startable | Path,
    args: Sequence[str],
    *,
    config: Mapping[str, Any] | None = None,
    pass_env: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    config_mode: str = "auto",
    back_fd: int | None = None,
    job: str = "default",
    run: str = "probe",
    confine: Confine | None = None,
    cwd: str | None = None,
) -> dict[str, Any]:
    """A question to a plugin (`--about`, `--discover`, …): one child alone, its stdout is the answer."""
    path = installed if isinstance(installed, Path) else installed.executable
    home = home_of(path) if isinstance(installed, Path) else installed.env_dir
    given = _environment(search_path(home, path), pass_env, env, job=job, run=run)
    argv, files = [str(path)], {}
    if config is not None:
        argv += ["--config", "{file:config}"]
        mode = config_mode if isinstance(installed, Path) else _mode(installed, config_mode)
        files["config"] = _file(config, mode, back_fd)
    return {
        "name": path.name if isinstance(installed, Path) else installed.name,
        "role": "probe",
        "argv": [*argv, *args],
        "env": given,
        "cwd": cwd,
        "files": files,
        **_confined(confine, given),
        "on_upstream_failure": "eof",
        "interrupt_log": [],
        "warn_log": [],
    }


def program(
    installed: Startable,
    text: str,
    question: str,
    *,
    pass_env: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    config_mode: str = "auto",
    back_fd: int | None = None,
    confine: Confine | None = None,
) -> dict[str, Any]:
    """A Python program of ours for a plugin's own Python, with a question as its only argument: a probe like others."""
    child = probe(installed, (), pass_env=pass_env, env=env, config_mode=config_mode, back_fd=back_fd, confine=confine)
    python = f"{installed.env_dir}/bin/python"
    argv = [python, "-I", "-B", "-X", "utf8", "{file:program}", "{file:question}"]
    return {**child, "argv": argv, "files": {"program": _file(text, "memfd"), "question": _file(question, "memfd")}}


def _environment(
    path: str, pass_env: Sequence[str], env: Mapping[str, str] | None, *, job: str, run: str
) -> dict[str, str]:
    """The child's whole environment (I6). What the job sets wins over what it passes; neither may name the run."""
    passed = {name: os.environ[name] for name in (*PASSED_THROUGH, *pass_env) if name in os.environ}
    values = {**ENVIRONMENT, "PATH": path, **passed, **(env or {}), "DATIVO_JOB": job, "DATIVO_RUN": run}
    for name, value in values.items():
        if "=" in name or "\0" in name or not name or "\0" in value:
            raise errors.ConfigError("config.invalid", f"env: {name!r} cannot be an environment variable")
    return values


def _mode(installed: Startable, given: str) -> str:
    """How files are handed over. A plugin without --about is a legacy one, which may rewrite its own config file."""
    if given in ("memfd", "file"):
        return given
    return "memfd" if "about" in installed.capabilities or "settings" in installed.manifest else "file"


def _confined(confine: Confine | None, env: Mapping[str, str]) -> dict[str, Any]:
    return {"rlimits": {"core": 0}, **(confine(env) if confine is not None else {})}


def _file(content: Mapping[str, Any] | str, mode: str, back_fd: int | None = None) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    back = {"back_fd": back_fd} if mode == "file" and back_fd is not None else {}
    return {"content": text, "mode": "memfd" if mode == "auto" else mode, **back}


def _catalog_flags(installed: Startable) -> list[str]:
    """Both where a tap knows both: some list --catalog and read --properties alone (pipelinewise-tap-s3-csv 3.0.1)."""
    known = [f"--{word}" for word in ("catalog", "properties") if word in installed.capabilities]
    if known:
        return known
    raise errors.ConfigError(
        "catalog.invalid",
        f"{installed.name} takes no catalog, so nothing can be selected or left out",
        hint="leave the selection out",
        context={"plugin": installed.name},
    )


def _takes_state(installed: Startable) -> bool:
    return "state" in installed.capabilities or not installed.capabilities


def _interrupt_log(installed: Startable) -> list[str]:
    """Only for plugins built with the SDK (or unknown ones): elsewhere the same words could come from the data."""
    unknown = not installed.capabilities and "settings" not in installed.manifest
    return [SDK_INTERRUPTED] if "sdk_version" in installed.manifest or unknown else []


def home_of(executable: Path) -> Path | None:
    """The environment of a bare executable: the folder above its bin/, when that is an environment."""
    home = executable.parent.parent
    return home if executable.parent.name == "bin" and (home / "pyvenv.cfg").is_file() else None
