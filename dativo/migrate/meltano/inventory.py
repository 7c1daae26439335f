"""What becomes of each key of meltano.yml that is no setting of a plugin and no job: a line of the report for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dativo.config.meltano.definitions import ATTRIBUTES, EXTRAS, RUNNABLE, SHOWN
from dativo.config.meltano.expansion import variable
from dativo.config.meltano.files import FILE, TYPES, Files
from dativo.migrate.report import Report

TAKEN_OF_PLUGIN = {
    "name": "", "config": ".config", "select": ".select", "metadata": ".metadata", "schema": ".schema",
    "select_filter": ".streams", "catalog": ".catalog", "python": ".python", "executable": ".executable",
}  # fmt: skip
CHANGED_OF_PLUGIN = {
    "pip_url": (".source", "requirements after the first are under `with`; installed by dativo sync"),
    "env": (".env", "with the variables of the project and the environment"),
    "settings": (".config", "defaults that they define are written out; the plugin itself describes its settings"),
    "inherit_from": ("", "what is inherited is written out"),
    "variant": (".source", "the package that it means is named"),
    "namespace": ("", "is part of variables' names only, which are replaced"),
    "mappings": ("", "each is a plugin of its own"),
}
LEFT_OF_PLUGIN = {
    "commands": "Dativo runs taps, mappers and targets, no other commands: meltano invoke",
    "requires": "no plugin depends on another here",
    "state": "give it to a run: dativo run … --state FILE",
    "use_cached_catalog": "a catalog is discovered for each run",
    "log_parser": "logs are read by themselves",
    "dialect": "only Meltano's transformers read it",
    "settings_group_validation": "the plugin itself says which settings it needs",
    "requires_meltano": "no version of Meltano is needed",
}
TOP = {
    "version": "is Meltano's version of the file",
    "project_id": "Dativo sends nothing anywhere",
    "send_anonymous_usage_stats": "Dativo sends nothing anywhere",
    "disable_tracking": "Dativo sends nothing anywhere",
    "snowplow": "Dativo sends nothing anywhere",
    "requires_meltano": "no version of Meltano is needed",
    "database_uri": "bookmarks are kept in .dativo; to keep them elsewhere: state: in dativo.yml",
    "database_max_retries": "there is no system database",
    "database_retry_timeout": "there is no system database",
    "state_backend": "bookmarks are kept in .dativo; to keep them elsewhere: state: in dativo.yml",
    "venv": "environments are made by uv",
    "project_readonly": "a run changes no file of the project",
    "cli": "logs are not configured in the project",
    "elt": "what is held between plugins is bounded by limits: in dativo.yml",
    "experimental": "is a switch of Meltano's",
    "ff": "is a switch of Meltano's; a variable that is not set is always an error here",
    "hub_api_root": "a Hub is added with dativo registry add",
    "hub_url": "a Hub is added with dativo registry add",
    "hub_url_auth": "a Hub is added with dativo registry add",
    "auto_install": "plugins are installed by dativo sync",
}
ANNOTATIONS = "annotations"


def top(files: Files, report: Report) -> None:
    """The keys of the project itself."""
    for document in files.documents:
        for key, value in document.data.items():
            where = document.where((key,))
            if key in TOP:
                report.left(where, key, TOP[key])
            elif key == "default_environment":
                report.changed(
                    where, key, f"environments.{value}", f"no environment is chosen by itself: --env {value}, or "
                    f"export DATIVO_ENV={value}"
                )  # fmt: skip
            elif key == "include_paths":
                report.changed(where, key, "dativo.yml", "what they include is written out")
            elif key == "python":
                report.changed(where, key, "plugins", "is written out for each plugin")
            elif key == "env":
                for name in value or {}:
                    report.changed(
                        document.where((key, name)), f"env.{name}", "plugins.*.env",
                        "is given to each plugin, and written out where $VAR named it",
                    )  # fmt: skip
            elif key == ANNOTATIONS:
                annotated(report, where, key, value)
            elif key not in ("plugins", "environments", "schedules", "jobs"):
                report.left(where, key, "is no key of Meltano's")


def plugins(files: Files, report: Report) -> None:
    """The keys of each plugin; those of kinds that are not Dativo's to run as a whole."""
    for kind in TYPES:
        for index, (entry, where) in enumerate(files.items("plugins", kind)):
            what = f"{kind}.{entry['name']}"
            if kind not in RUNNABLE:
                report.left(where, what, f"{kind} are not Dativo's to run; keep them with Meltano or a scheduler")
                continue
            for key in entry:
                _plugin_key(report, files.where(("plugins", kind), index, key), key, entry, kind)


def _plugin_key(report: Report, where: str, key: str, entry: Mapping[str, Any], kind: str) -> None:
    what, value = f"{kind}.{entry['name']}.{key}", entry[key]
    became = f"plugins.{entry['name']}"
    if kind == "mappers" and entry.get("mappings"):
        became = ", ".join(f"plugins.{one['name']}" for one in entry["mappings"])
    if key == ANNOTATIONS:
        annotated(report, where, what, value, became)
    elif kind == "mappers" and entry.get("mappings") and key in ("name", "config"):
        report.changed(where, what, became, "each mapping is a plugin of its own, with its own config only")
    elif key in TAKEN_OF_PLUGIN or _plain(key, entry):
        report.taken(where, what, became + TAKEN_OF_PLUGIN.get(key, ".source"))
    elif key in CHANGED_OF_PLUGIN:
        at, why = CHANGED_OF_PLUGIN[key]
        report.changed(where, what, became + at, why)
    elif key == "load_schema":
        report.changed(where, what, "jobs", "stands in the jobs, in the settings of the target that name it")
    elif key in LEFT_OF_PLUGIN:
        report.left(where, what, LEFT_OF_PLUGIN[key])
    elif key in (*ATTRIBUTES, *SHOWN):
        report.left(where, what, "is for people, or for Meltano's own checks")
    elif key.partition(".")[0] in {one.name.removeprefix("_") for one in EXTRAS[kind]}:
        report.taken(where, what, became + "." + key.partition(".")[0])
    else:
        report.left(where, what, "is no key of Meltano's")


def _plain(key: str, entry: Mapping[str, Any]) -> bool:
    """A pip_url that is one requirement and nothing else, and the variant beside it."""
    pip_url = entry.get("pip_url")
    return key in ("pip_url", "variant") and isinstance(pip_url, str) and len(pip_url.split()) == 1


def environments(files: Files, report: Report) -> None:
    """The keys of each environment."""
    for index, (entry, _) in enumerate(files.items("environments")):
        became = f"environments.{entry['name']}"
        for key, value in entry.items():
            where, what = files.where(("environments",), index, key), f"environments.{entry['name']}.{key}"
            if key == "name":
                report.changed(where, what, f"{became}.state", "with bookmarks of its own, as in Meltano")
            elif key == "env":
                report.changed(where, what, f"{became}.plugins", "is given to each plugin, and written out")
            elif key == "state_id_suffix":
                report.changed(where, what, f"{became}.state", "the environment's bookmarks are a store of their own")
            elif key == "config":
                _environment_config(files, report, index, value or {}, became)
            elif key == ANNOTATIONS:
                annotated(report, where, what, value)
            else:
                report.left(where, what, "is no key of an environment")


def _environment_config(files: Files, report: Report, index: int, config: Mapping[str, Any], became: str) -> None:
    known = {(kind, entry["name"]) for kind in TYPES for entry, _ in files.items("plugins", kind)}
    name = became.partition(".")[2]
    for key, value in config.items():
        if key != "plugins" or not isinstance(value, Mapping):
            where = files.where(("environments",), index, "config", key)
            report.left(where, f"environments.{name}.config.{key}", "only plugins are configured in an environment")
            continue
        for kind, entries in value.items():
            for at, entry in enumerate(entries or []):
                where = files.where(("environments",), index, "config", "plugins", kind, at)
                said = entry.get("name") if isinstance(entry, Mapping) else entry
                what = f"environments.{name}.{kind}.{said}"
                if (kind, said) not in known:
                    report.left(where, what, "there is no such plugin")
                elif kind not in RUNNABLE:
                    report.left(where, what, f"{kind} are not Dativo's to run")
                else:
                    report.taken(where, what, f"{became}.plugins.{said}")


def annotated(report: Report, where: str, what: str, value: Any, became: str = "dativo.yml") -> None:
    """`dativo` is taken; what is for other tools is left to them."""
    for tool in value or {}:
        if tool == "dativo":
            report.taken(where, f"{what}.dativo", became)
        else:
            report.left(where, f"{what}.{tool}", "is for another tool")


def warn_of_variables(report: Report, prefixes: list[str]) -> None:
    """Settings are no longer read from variables by themselves. `prefixes` are what those of the plugins begin with."""
    named = list(dict.fromkeys(f"{variable(one)}_…" for one in prefixes))
    shown = ", ".join(named[:3]) + (" and so on" if len(named) > 3 else "")
    report.changed(
        FILE, "settings from the shell", "plugins.*.config",
        f"{shown}: read only where dativo.yml names them, as ${{NAME}}; or dativo run --config PLUGIN=ENV",
    )  # fmt: skip
