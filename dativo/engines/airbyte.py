"""Airbyte connectors as taps and targets: spec, check, discover, read and write are about, test, discover and sync.

The protocol is that of airbyte-protocol-models 0.18 (PyPI): a source prints AirbyteMessages, one JSON object a line,
and a destination reads them. What a connector answers to spec, check and discover is read here; what it prints while
it reads or writes is translated by the data plane (SPEC.md, section 15).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dativo.dataclass import dataclass
from dativo.engines import airbyte_catalog, airbyte_destination, airbyte_image, airbyte_state, singer
from dativo.engines.airbyte_destination import Start
from dativo.engines.airbyte_generations import Loads
from dativo.engines.singer import Confine, Startable

NAME = "airbyte"
CAPABILITIES = ("catalog", "discover", "state")
KINDS = {"source": "tap", "destination": "target"}
MAX_DEPTH = 40
"""Deeper settings are left as they are."""


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
    begun: bool = False,
    loads: Loads | None = None,
    renamed: Callable[[str], str] | None = None,
) -> dict[str, Any]:
    """One connector of a run. `catalog` is the Singer catalog of the tap, with what is selected; `state` the bookmark
    that the tap is handed. `begun`: this run has made a bookmark. `loads` counts the generations of what it loads,
    `renamed` tells another name for a stream."""
    bare = singer.probe(installed, (), pass_env=pass_env, env=env, job=job, run=run, confine=confine, cwd=cwd)
    if role == "target":
        start = Start(catalog, _text(state), begun, loads or Loads(), renamed)
        loading = airbyte_destination.configured(start, installed.capabilities, installed.name)
        argv = [str(installed.executable), "write", "--config", "{file:config}", "--catalog", "{file:catalog}"]
        files = {"config": _memfd(config, back_fd), "catalog": _memfd(loading.catalog)}
        made = {**bare, "argv": argv, "files": files, "env": {**airbyte_destination.PROMPT, **bare["env"]}}
        made = _placed(made, installed, "write")
        return {**made, "role": role, "airbyte": {"streams": loading.streams}}
    given = json.loads(catalog) if isinstance(catalog, str) else dict(catalog or {})
    if "streams" not in given:
        given["streams"] = []
    configured = airbyte_catalog.configured(given, installed.name)
    bookmark = airbyte_state.read(state, installed.name)
    handed, base = airbyte_state.split(bookmark, configured.incremental, configured.names)
    files = {"config": _memfd(config, back_fd), "catalog": _memfd(configured.catalog)}
    argv = [str(installed.executable), "read", "--config", "{file:config}", "--catalog", "{file:catalog}"]
    if handed is not None:
        argv += ["--state", "{file:state}"]
        files["state"] = _memfd(handed)
    made = {**bare, "argv": argv, "files": files}
    return {
        **_placed(made, installed, "read"),
        "role": role,
        "airbyte": {"streams": configured.streams, "state": base},
    }


def probe(
    installed: Startable | Path,
    question: str,
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
    """`spec`, `check` or `discover`: one child alone; `Answers` reads its stdout."""
    bare = singer.probe(installed, (question,), pass_env=pass_env, env=env, job=job, run=run, confine=confine, cwd=cwd)
    if config is not None:
        argv = [*bare["argv"], "--config", "{file:config}"]
        bare = {**bare, "argv": argv, "files": {"config": _memfd(config)}}
    return bare if isinstance(installed, Path) else _placed(bare, installed, question)


def _placed(child: dict[str, Any], installed: Startable, question: str) -> dict[str, Any]:
    """The child as it is started: as it stands, or in a container where the connector is an image."""
    image = installed.manifest.get(airbyte_image.IMAGE)
    if not isinstance(image, str):
        return child
    words = [question, *(word for name in child["files"] for word in (f"--{name}", airbyte_image.path_of(name)))]
    return airbyte_image.contained(child, image, words)


def _text(state: Mapping[str, Any] | str | None) -> str | None:
    return state if isinstance(state, str) or state is None else json.dumps(state)


def _memfd(content: Any, back_fd: int | None = None) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    back = {} if back_fd is None else {"back_fd": back_fd}
    return {"content": text, "mode": "memfd", **back}


# -- answers


@dataclass(frozen=True)
class Trouble:
    """An error that a connector told of: `kind` is config_error, transient_error or system_error."""

    kind: str
    message: str
    traceback: tuple[str, ...] = ()
    """Its last lines."""


class Answers:
    """What a connector printed in answer to a question. Lines that are no messages are passed over: they are its
    log."""

    def __init__(self, stdout: bytes) -> None:
        self._messages = list(_messages(stdout))

    def _last(self, kind: str, member: str) -> dict[str, Any] | None:
        found = None
        for message in self._messages:
            if message.get("type") == kind and isinstance(message.get(member), dict):
                found = message[member]
        return found

    def spec(self) -> dict[str, Any] | None:
        """The ConnectorSpecification."""
        return self._last("SPEC", "spec")

    def catalog(self) -> dict[str, Any] | None:
        """The AirbyteCatalog."""
        found = self._last("CATALOG", "catalog")
        return found if found is not None and isinstance(found.get("streams"), list) else None

    def refusal(self) -> str | None:
        """Why a check failed; None if it did not, or was not answered."""
        status = self._last("CONNECTION_STATUS", "connectionStatus") or {}
        return str(status.get("message") or "it gives no reason") if status.get("status") == "FAILED" else None

    def accepted(self) -> bool:
        """Whether a check went well."""
        return (self._last("CONNECTION_STATUS", "connectionStatus") or {}).get("status") == "SUCCEEDED"

    def renewed(self) -> dict[str, Any] | None:
        """The config that it wants to have from now on."""
        control = self._last("CONTROL", "control") or {}
        inner = control.get("connectorConfig")
        config = inner.get("config") if isinstance(inner, dict) else None
        return config if isinstance(config, dict) else None

    def trouble(self) -> Trouble | None:
        """The first error that it told of."""
        for message in self._messages:
            trace = message.get("trace")
            if message.get("type") == "TRACE" and isinstance(trace, dict) and isinstance(trace.get("error"), dict):
                error = trace["error"]
                kind = error.get("failure_type")
                words = error.get("message") or error.get("internal_message") or "it gives no reason"
                known = kind if kind in ("config_error", "transient_error") else "system_error"
                stack = str(error.get("stack_trace") or "").splitlines()[-20:]
                return Trouble(known, str(words)[:2000], tuple(line[:2000] for line in stack))
        return None

    def words(self) -> list[str]:
        """What another plugin would say on stderr: its log, and the first error with the end of its traceback."""
        trouble = self.trouble()
        return [*self.logs(), *((*trouble.traceback, trouble.message) if trouble is not None else ())]

    def logs(self) -> Iterator[str]:
        """Its log lines."""
        for message in self._messages:
            log = message.get("log")
            if message.get("type") == "LOG" and isinstance(log, dict):
                yield f"{log.get('level', '')} {log.get('message', '')}".strip()


def _messages(stdout: bytes) -> Iterator[dict[str, Any]]:
    for line in stdout.split(b"\n"):
        if not line.lstrip().startswith(b"{"):
            continue
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            yield message


# -- the manifest


def manifest(spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A ConnectorSpecification as a manifest: its settings with the secrets marked, and what it can do."""
    schema = spec.get("connectionSpecification")
    settings = _marked(schema, 0) if isinstance(schema, dict) else {}
    settings.setdefault("properties", {})
    kind = KINDS.get(name.partition("-")[0]) or ("target" if airbyte_destination.modes(spec) else "tap")
    found: dict[str, Any] = {"name": name, "kind": kind, "settings": settings}
    found["capabilities"] = list(CAPABILITIES) if kind == "tap" else airbyte_destination.capabilities(spec)
    title = schema.get("title") if isinstance(schema, dict) else None
    if isinstance(title, str):
        found["description"] = title
    return found


def _marked(schema: Any, depth: int) -> Any:
    """The schema with `secret` where Airbyte says `airbyte_secret`."""
    if depth > MAX_DEPTH:
        return schema
    if isinstance(schema, list):
        return [_marked(one, depth + 1) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {key: _marked(value, depth + 1) for key, value in schema.items()}
    if schema.get("airbyte_secret") is True:
        shown["secret"] = True
    return shown


def discovered(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """An AirbyteCatalog as a Singer catalog: patterns, metadata and selection work on it as on any other."""
    return airbyte_catalog.discovered(catalog)
