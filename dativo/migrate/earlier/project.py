"""A folder of the earlier Dativo as a draft: for each of its jobs a tap, a target and a job here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.document import Document
from dativo.migrate import reading
from dativo.migrate.draft import Draft
from dativo.migrate.earlier import contract, recipes
from dativo.migrate.earlier.contract import Contract
from dativo.migrate.earlier.credentials import SAFE_TENANT
from dativo.migrate.earlier.ends import End, Ends
from dativo.migrate.earlier.files import Folder
from dativo.migrate.earlier.schedules import schedules
from dativo.migrate.reading import Keys, UnreadableError
from dativo.migrate.report import Report
from dativo.migrate.settings import plain

_RETRY = {"max_attempts": "attempts", "max_retries": "attempts", "initial_delay_seconds": "delay",
          "retry_delay_seconds": "delay", "max_delay_seconds": "max_delay"}  # fmt: skip
_LABEL = "a label: plugins and streams have names of their own"
_WHY = {
    "$schema": "a reference for editors",
    "environment": "a label of the job: environments of dativo.yml change settings, see --env",
    "logging": "secrets are always hidden, and -v and -q say how much is shown",
    "catalog": "nothing is pushed into a data catalog",
    "classification_overrides": "a statement about people and rules, which no run depends on",
    "finops": "a statement about people and rules, which no run depends on",
    "governance_overrides": "a statement about people and rules, which no run depends on",
    "source_connector": _LABEL,
    "target_connector": _LABEL,
    "asset": _LABEL,
}
_RECIPE = {
    "name": _LABEL,
    "roles": _LABEL,
    "description": _LABEL,
    "rate_limits": "plugins have limits of their own",
    "incremental": "its defaults hold only where a job asks for incremental",
    "catalog": _WHY["catalog"],
    "connection_template": "the earlier engine gave it to targets only",
}


def draft(folder: Path, into: Path, state_dir: Path | None) -> Draft:
    """The draft of a folder. `state_dir` is where the earlier Dativo kept states (`.local/state`)."""
    if not folder.is_dir():
        raise errors.ConfigError("import.invalid", f"{folder} is no folder", hint="name the folder of its jobs")
    report = Report()
    found = Folder.read(folder, report)
    if not found.jobs():
        raise errors.ConfigError(
            "import.invalid", f"{folder} holds no job of the earlier Dativo",
            hint="a job has tenant_id, source_connector_path, target_connector_path and asset_path",
        )  # fmt: skip
    return _Project(found, into.absolute(), state_dir or folder / ".local" / "state").draft()


class _Project:
    def __init__(self, folder: Folder, into: Path, state_dir: Path) -> None:
        self.folder, self.report, self.state_dir = folder, folder.report, state_dir
        self.ends = Ends(folder, into)
        self.plugins = self.ends.plugins
        self.jobs: dict[str, dict[str, Any]] = {}
        self.bookmarks: dict[str, str] = {}
        self.contracts: dict[str, Contract | None] = {}
        """What was read of an asset's file; None where it cannot be used."""
        self.told: set[str] = set()
        """Recipes that the report has spoken of."""
        self.named: dict[str, str] = {}
        """A job's file -> its name."""

    def draft(self) -> Draft:
        for name in self.folder.jobs():
            self._job(name)
        for name in self.folder.runners():
            schedules(self.folder, name, self.named, self.jobs)
        quiet = {*self.folder.jobs(), *self.folder.runners(), *self.folder.used}
        for name in self.folder.documents:
            if name not in quiet:
                self.report.left(name, "the file", "no job names it")
        project = {"plugins": self.plugins, "jobs": self.jobs} if self.jobs else {}
        return Draft(project, self.report, {**self.ends.files, **self.ends.settings.lines()}, self.bookmarks)

    # -- jobs

    def _job(self, file: str) -> None:
        keys = Keys(self.folder.documents[file], (), "")
        job = reading.called(Path(file).stem, taken=tuple(self.jobs))
        parts = {
            key: self.folder.document(keys.get(key))
            for key in ("source_connector_path", "target_connector_path", "asset_path")
        }
        for key, document in parts.items():
            if document is None:
                self.report.left(keys.where(key), key, "there is no such file below the folder, or it cannot be used")
        source_recipe, target_recipe, asset = parts.values()
        if source_recipe is None or target_recipe is None or asset is None:
            return
        made = self._contract(asset)
        if made is None:
            self.report.left(file, "the job", f"its contract cannot be used: see the lines about {asset.path}")
            return
        strict = keys.get("schema_validation_mode") != "warn"
        source, target = recipes.source(source_recipe, keys.data), recipes.target(target_recipe, keys.data)
        source["files"] = self._files(source.get("files"))
        for side in ("source", "target"):
            if keys.get(side) is not None and not isinstance(keys.data[side], dict):
                self.report.left(keys.where(side), side, "it is no mapping")
        self._recipe(Keys(source_recipe, (), ""), "source")
        self._recipe(Keys(target_recipe, (), ""), "target")
        ends = [
            self.ends.plugin(End("tap", keys, source, made, strict), job),
            self.ends.plugin(End("target", keys, target, made, strict), job),
        ]
        if None in ends:
            for one in ends:
                self.ends.take_back(one)
            self.report.left(file, "the job", "one of its ends has no plugin: see the lines about it")
            return
        self.named[file] = job
        self.jobs[job] = {"steps": ends}
        self.report.changed(file, "the job", f"jobs.{job}", f"run with: dativo run {job}")
        self._about(keys, job, strict=strict)
        self._state(keys, file, job, source, made)

    def _contract(self, asset: Document) -> Contract | None:
        """A contract, read and reported once, however many jobs use it."""
        name = str(asset.path)
        if name not in self.contracts:
            self.contracts[name] = contract.read(Keys(asset, (), ""), self.report)
        return self.contracts[name]

    def _files(self, given: Any) -> Any:
        """The source's files; one that was below /app inside a container lies in the folder."""
        if not isinstance(given, list):
            return given
        found = []
        for one in given:
            path = one.get("path") if isinstance(one, dict) else None
            inside = self.folder.found(path) if isinstance(path, str) and path.startswith("/") else None
            found.append({**one, "path": str(self.folder.root.resolve() / inside)} if inside else one)
        return found

    def _about(self, keys: Keys, job: str, *, strict: bool) -> None:
        """Everything of a job but its two ends."""
        spec = self.jobs[job]
        tenant = keys.get("tenant_id")
        if isinstance(tenant, str) and SAFE_TENANT.fullmatch(tenant):
            spec["tenant"] = tenant
            self.report.taken(keys.where("tenant_id"), "tenant_id", f"jobs.{job}.tenant")
        elif tenant is not None:
            self.report.left(keys.where("tenant_id"), "tenant_id", "it cannot be a tenant's name")
        if "schema_validation_mode" in keys.data:
            where, what = keys.where("schema_validation_mode"), "schema_validation_mode"
            if strict:
                spec["on_bad_record"] = "fail"
                self.report.taken(where, what, f"jobs.{job}.on_bad_record")
            else:
                spec["policy"] = {"check": "envelope"}
                why = "records are not checked: all of them pass, as they did with a warning"
                self.report.changed(where, what, f"jobs.{job}.policy.check", why)
        self._retry(keys, job)
        self._sandbox(keys, job)
        for key in keys.data:
            if key in _WHY:
                self.report.left(keys.where(key), key, _WHY[key])
            elif key not in keys.asked and key not in ("source", "target"):
                self.report.left(keys.where(key), key, "the earlier Dativo has no such key")
        for key in ("source_connector_path", "target_connector_path", "asset_path"):
            self.report.taken(keys.where(key), key, f"jobs.{job}")

    def _retry(self, keys: Keys, job: str) -> None:
        given = keys.get("retry_config")
        if not isinstance(given, dict):
            return
        inside, found = keys.below("retry_config", name="retry_config"), {}
        for key, value in given.items():
            where = inside.where(key)
            fine = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
            if key not in _RETRY or not fine:
                self.report.left(where, inside.what(key), "waits double, with jitter; causes are told from exit codes")
                continue
            found[_RETRY[key]] = int(value) + 1 if key == "max_retries" else value
            self.report.taken(where, inside.what(key), f"jobs.{job}.retry.{_RETRY[key]}")
        if found:
            self.jobs[job]["retry"] = found

    def _sandbox(self, keys: Keys, job: str) -> None:
        given = keys.get("plugins")
        if not isinstance(given, dict) or not isinstance(given.get("sandbox"), dict):
            return
        inside = keys.below("plugins", "sandbox", name="plugins.sandbox")
        own = [one for one in self.jobs[job]["steps"] if str(self.plugins[one].get("source")).startswith("./plugins/")]
        for key, value in inside.data.items():
            where, what = inside.where(key), inside.what(key)
            limit = {"memory_limit": "memory", "timeout": "wall"}.get(key)
            if not own and key != "enabled":
                self.report.left(where, what, "it was for readers and writers in code, and this job has none")
            elif key == "network_disabled" and value is True:
                for plugin in own:
                    self._of(job, plugin)["sandbox"] = {"network": "none"}
                self.report.taken(where, what, f"jobs.{job}.plugins.….sandbox.network")
            elif limit is not None:
                for plugin in own:
                    self._of(job, plugin).setdefault("limits", {})[limit] = (
                        plain(value) if isinstance(value, str) else value
                    )
                self.report.taken(where, what, f"jobs.{job}.plugins.….limits.{limit}")
            else:
                self.report.left(where, what, "the sandbox is always on; CPU is bounded by time (limits.cpu)")

    def _of(self, job: str, plugin: str) -> dict[str, Any]:
        """What a job says about one of its plugins."""
        found: dict[str, Any] = self.jobs[job].setdefault("plugins", {}).setdefault(plugin, {})
        return found

    def _recipe(self, keys: Keys, side: str) -> None:
        """What nobody asks of a connector's recipe; said once, however many jobs use it."""
        name = f"{keys.document.path}:{side}"
        for key in keys.data if name not in self.told else ():
            why = None if key == "connection_template" and side == "target" else _RECIPE.get(key)
            if key == "credentials" and side == "target":
                why = "the earlier engine gave it to sources only: a target's secrets are in its connection"
            if why is not None and keys.data[key]:
                self.report.left(keys.where(key), key, why)
        self.told.add(name)

    # -- the state

    def _state(self, keys: Keys, file: str, job: str, source: dict[str, Any], made: Contract) -> None:
        incremental = source.get("incremental")
        if not isinstance(incremental, dict) or not incremental:
            self.jobs[job]["full_refresh"] = True
            why = "the earlier engine read everything where a job does not ask for incremental"
            self.report.changed(file, "source.incremental", f"jobs.{job}.full_refresh", why)
            return
        tap = self.plugins[self.jobs[job]["steps"][0]]
        name = str(keys.data.get("tenant_id"))
        said = incremental.get("state_path")
        lists = [source.get(key) for key in ("objects", "files", "tables")]
        first = next((one[0] for one in lists if isinstance(one, list) and one), "default")
        thing = first.get("object", "default") if isinstance(first, dict) else first
        path = (reading.inside(self.folder.root, said) if isinstance(said, str)
                else reading.inside(self.state_dir, f"{name}/{source.get('type')}.{thing}.state.json"))  # fmt: skip
        if path is None or not reading.is_file(path):
            self.report.left(file, "its state", "there is none where it would be: the first run reads from the start")
            return
        if not str(tap.get("source")).startswith("./plugins/"):
            self.report.left(
                path.name, "its state", f"{tap.get('source')} keeps other states: the first run reads from the start"
            )
            return
        try:
            text = reading.state_text(path)
        except UnreadableError as problem:
            self.report.left(path.name, "its state", str(problem))
            return
        if text is not None:
            self.bookmarks[job] = (
                f'{{"bookmarks": {{{json.dumps(made.name, ensure_ascii=False)}: {{"state": {text}}}}}}}'
            )
            self.report.taken(path.name, "its state", f"the bookmark of {job}")
