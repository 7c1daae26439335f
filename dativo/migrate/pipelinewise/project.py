"""A PipelineWise project as a draft: a plugin for each tap and target, a job for each tap, its state as a bookmark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.document import Tagged
from dativo.migrate import reading, settings
from dativo.migrate.draft import Draft
from dativo.migrate.pipelinewise import files, taps, unread
from dativo.migrate.pipelinewise.tables import Tables
from dativo.migrate.reading import Keys, UnreadableError
from dativo.migrate.report import Report
from dativo.migrate.settings import Settings, plain

# What PipelineWise hands to every target beside its own settings (`generate_inheritable_config` of cli/config.py), with
# what holds where the tap's file says nothing; None: nothing is handed over then.
HANDED: dict[str, Any] = {
    "batch_size_rows": 20000,
    "batch_wait_limit_seconds": None,
    "parallelism": 0,
    "parallelism_max": 4,
    "hard_delete": True,
    "flush_all_streams": False,
    "primary_key_required": True,
    "default_target_schema": None,
    "default_target_schema_select_permissions": None,
    "data_flattening_max_level": None,
    "validate_records": False,
    "add_metadata_columns": False,
    "split_large_files": None,
    "split_file_chunk_size_mb": None,
    "split_file_max_chunks": None,
    "archive_load_files": None,
    "archive_load_files_s3_bucket": None,
    "archive_load_files_s3_prefix": None,
}
_CRON = re.compile(r"@[a-z]+|([0-9A-Za-z*/,?LW#-]+\s+){4,5}[0-9A-Za-z*/,?LW#-]+")


def draft(folder: Path, config_dir: Path | None, into: Path) -> Draft:
    """The draft of a folder of YAML files. `config_dir` is PipelineWise's own (`~/.pipelinewise`), for the states."""
    report = Report()
    found = files.read(folder, report)
    return _Project(report, config_dir, into).draft(found)


class _Project:
    def __init__(self, report: Report, config_dir: Path | None, into: Path) -> None:
        self.report, self.config_dir = report, config_dir
        self.settings = Settings(report, into)
        self.plugins: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.bookmarks: dict[str, str] = {}
        self.targets: dict[str, tuple[str, str]] = {}
        """Id -> (plugin, type)."""
        self.taps: dict[str, str] = {}
        """Id -> the id of its target."""

    def draft(self, found: files.Files) -> Draft:
        if found.main is not None:
            for key in found.main.data:
                self.report.left(found.main.where((key,)), key, "settings of PipelineWise itself and its alerts")
        for document in found.targets:
            self._whole(self._target, Keys(document, (), ""))
        for document in found.taps:
            self._whole(self._tap, Keys(document, (), ""))
        project = {"plugins": self.plugins, **({"jobs": self.jobs} if self.jobs else {})} if self.plugins else {}
        return Draft(project, self.report, self.settings.lines(), self.bookmarks)

    def _whole(self, read: Callable[[Keys], None], keys: Keys) -> None:
        """A file, wholly or not at all: one of another shape leaves its line in the report and nothing else."""
        parts: tuple[dict[str, Any], ...] = (
            self.plugins, self.jobs, self.bookmarks, self.targets, self.taps, self.settings.env,
        )  # fmt: skip
        before, size = [dict(part) for part in parts], len(self.report.entries)
        try:
            read(keys)
        except errors.ConfigError as problem:
            for part, old in zip(parts, before, strict=True):
                part.clear()
                part.update(old)
            del self.report.entries[size:]
            where, _, why = problem.message.partition(": ")
            self.report.left(where, "the file", f"it is refused: {why}")

    # -- targets

    def _target(self, keys: Keys) -> None:
        named, kind = self._named(keys), keys.get("type", str)
        if named is None or not kind:
            self.report.left(keys.where(), "the file", "it has no id and type")
            return
        if named in self.targets:
            self.report.left(
                keys.where("id"), f"target {named}", "another file has the same id: PipelineWise refuses it"
            )
            return
        plugin = self._plugin(keys, named, kind, "target-")
        self.targets[named] = (plugin, kind)
        self.plugins[plugin]["config"] = self._connection(keys, plugin, kind, {})
        unread.rest(keys, self.report, name="plugins have no description")

    # -- taps

    def _tap(self, keys: Keys) -> None:
        named, kind, wanted = self._named(keys), keys.get("type", str), keys.get("target", str)
        if named is None or not kind or not wanted:
            self.report.left(keys.where(), "the file", "it has no id, type and target")
            return
        if wanted not in self.targets:
            self.report.left(keys.where("target"), f"tap {named}", f"no file here defines its target {wanted}")
            return
        if named in self.taps:
            self.report.left(keys.where("id"), f"tap {named}", "another file has the same id: PipelineWise refuses it")
            return
        self.taps[named] = wanted
        job = reading.called(named, taken=tuple(self.jobs))
        target, target_kind = self.targets[wanted]
        plugin = self._plugin(keys, named, kind, "tap-")
        section = self.plugins[plugin]
        section["config"] = self._connection(keys, plugin, kind, taps.kind(kind).extras(keys.data))
        if (adds := taps.kind(kind).adds) is not None:
            self.report.left(keys.where(), f"tap {named}", f"PipelineWise adds {adds.replace('NAME', plugin)}")
        tables = Tables(keys, kind, self.report)
        section |= {key: value for key in ("select", "metadata") if (value := getattr(tables, key))}
        steps = [plugin, *self._transform(keys, named, tables.changes), target]
        self.jobs[job] = {
            **self._description(keys, job),
            "steps": steps,
            **self._schedule(keys, job),
            "plugins": {
                target: {"config": self._handed(keys, tables, f"jobs.{job}.plugins.{target}.config", target_kind)}
            },
        }
        self.report.changed(keys.where(), f"tap {named}", f"jobs.{job}", "run with: dativo run " + job)
        self.report.left(
            keys.where(), f"tap {named}: FastSync", "first loads and FULL_TABLE go through the bus like all others"
        )
        self._state(keys, wanted, named, job)
        unread.rest(keys, self.report)

    def _plugin(self, keys: Keys, named: str, kind: str, prefix: str) -> str:
        plugin = reading.called(named, prefix=prefix, taken=tuple(self.plugins))
        source = f"pipelinewise-{kind}"
        if reading.called(kind) != kind or not kind.startswith(prefix):
            self.report.left(
                keys.where("type"), "type", f"{kind!r} is no name of a {prefix[:-1]}: give plugins.{plugin}.source"
            )
            source = ""
        self.plugins[plugin] = {"source": source} if source else {"kind": prefix[:-1]}
        if source:
            self.report.changed(keys.where("type"), "type", f"plugins.{plugin}.source", f"the package {source}")
        return plugin

    def _description(self, keys: Keys, job: str) -> dict[str, str]:
        name = keys.get("name", str)
        if not name:
            return {}
        self.report.taken(keys.where("name"), "name", f"jobs.{job}.description")
        return {"description": plain(name)}

    def _schedule(self, keys: Keys, job: str) -> dict[str, str]:
        """When it ran, where an older PipelineWise wrote that down; the newer ones leave it to cron altogether."""
        said = keys.get("sync_period")
        if isinstance(said, str) and _CRON.fullmatch(said.strip()):
            self.report.scheduled(keys.where("sync_period"), "sync_period", job)
            return {"schedule": said.strip()}
        if "sync_period" in keys.data:
            self.report.left(keys.where("sync_period"), "sync_period", "it is no line of cron")
        return {}

    def _named(self, keys: Keys) -> str | None:
        return keys.get("id", str) or None

    def _connection(self, keys: Keys, plugin: str, kind: str, extras: dict[str, Any]) -> dict[str, Any]:
        given = keys.get("db_conn", dict) or {}
        inside = keys.below("db_conn", name="db_conn")
        schema = settings.known(f"pipelinewise-{kind}")
        config: dict[str, Any] = {}
        for key, value in {**given, **{one: value for one, value in extras.items() if one not in given}}.items():
            where = inside.where(key) if key in given else keys.where()
            if key in unread.NO_COUNTERPART:
                self.report.left(where, f"db_conn.{key}", unread.NO_COUNTERPART[key])
            elif isinstance(value, Tagged):
                config[key] = self._vaulted(where, f"db_conn.{key}", plugin, key)
            elif _holds_vault(value):
                why = f"it has !vault values inside: set plugins.{plugin}.config.{key} by hand"
                self.report.left(where, f"db_conn.{key}", why)
            else:
                what = "db_conn" if key in given else "what PipelineWise adds"
                config |= self.settings.config(plugin, {key: value}, where=where, what=what, schema=schema)
        return config

    def _vaulted(self, where: str, what: str, plugin: str, key: str) -> str:
        """A reference in the place of an encrypted value, which only its owner can read."""
        name = f"{plugin}_{key}".upper().replace("-", "_")
        self.report.changed(
            where, what, f"plugins.{plugin}.config.{key}",
            f"encrypted by ansible-vault: decrypt it, put it into .env as {name}, or name another secret:// reference",
        )  # fmt: skip
        return f"secret://env/{name}"

    def _transform(self, keys: Keys, named: str, changes: list[dict[str, Any]]) -> list[str]:
        if not changes:
            return []
        plugin = reading.called(f"transform-{named}", taken=tuple(self.plugins)).lower().replace("_", "-")
        self.plugins[plugin] = {
            "kind": "mapper",
            "source": "pipelinewise-transform-field",
            "executable": "transform-field",
            "config": {"transformations": _plain(changes)},
        }
        return [plugin]

    # -- what the target is told for this tap

    def _handed(self, keys: Keys, tables: Tables, became: str, target: str) -> dict[str, Any]:
        config: dict[str, Any] = {"tap_id": keys.data["id"]} if target == "target-snowflake" else {}
        for key, default in HANDED.items():
            value = keys.get(key)
            if key == "data_flattening_max_level" and value is None:
                value = taps.kind(tables.kind).flattening
            if isinstance(value, Tagged):
                self.report.left(keys.where(key), key, "an encrypted value where none is expected")
                continue
            if key in keys.data:
                self.report.taken(keys.where(key), key, f"{became}.{key}")
            found = default if value is None else value
            if found is not None:
                config[key] = plain(found) if isinstance(found, str) else found
        config["schema_mapping"] = _plain(tables.mapping)
        self.report.changed(
            keys.where(), "what PipelineWise hands to the target", became,
            "its defaults are written out, without temp_dir and query_tag: scratch space is the plugin's own",
        )  # fmt: skip
        return config

    def _state(self, keys: Keys, target: str, tap: str, job: str) -> None:
        if self.config_dir is None:
            self.report.left(
                keys.where(), f"tap {tap}: its state", "no --config-dir: the first run reads from the start"
            )
            return
        path = reading.inside(self.config_dir, f"{target}/{tap}/state.json")
        where = f"{target}/{tap}/state.json"
        if path is None:
            self.report.left(where, "the state", "its path leads out of the config directory")
            return
        if not reading.exists(path):
            self.report.left(where, "the state", "there is none: the first run reads from the start")
            return
        try:
            state = reading.state_text(path)
        except UnreadableError as problem:
            self.report.left(where, "the state", str(problem))
            return
        if state is None:
            self.report.left(where, "the state", "it is empty: the first run reads from the start")
            return
        self.bookmarks[job] = state
        self.report.taken(where, "the state", f"the bookmark of {job}")


def _holds_vault(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_vault(one) for one in value.values())
    return any(_holds_vault(one) for one in value) if isinstance(value, list) else isinstance(value, Tagged)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return plain(value) if isinstance(value, str) else value


def checked_folder(folder: Path) -> Path:
    """The folder, or import.invalid."""
    if not folder.is_dir():
        raise errors.ConfigError("import.invalid", f"{folder} is no folder", hint="name the folder of the YAML files")
    return folder
