"""`dativo inspect`: what a plugin may do, in words, with a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.plugins.installed import Installed
    from dativo.run.adapting import Dialect
    from dativo.run.grants import Grants


@click.command(
    name="inspect",
    help="""\b
  dativo inspect tap-postgres
  dativo inspect tap-postgres --json
  dativo inspect tap-csv --meltano > extract/tap-csv.meltano.yml

Show what a plugin may read, write, reach and use when it runs with the settings it has here, and how exposed that
leaves this machine: 0 is nothing, 10 is a program that runs with all your rights. Also which library it speaks Singer
with, which drafts of JSON Schema it knows, and what Dativo may change in a SCHEMA for it.
""",
)
@click.argument("plugin")
@click.option("--meltano", is_flag=True, help="Print it as a custom plugin for a meltano.yml.")
@options.env_option
@options.json_option
@options.verbosity_options
def command(*, plugin: str, meltano: bool, env: str | None) -> None:
    """Show it."""
    from dativo.config.project import Project
    from dativo.plugins.installed import installed
    from dativo.run.adapting import dialect

    project = Project.find(env=env)
    found = installed(project, plugin)
    if meltano:
        data = _for_meltano(project, found)
        report.result(data, lambda: _yaml(data).splitlines())
        return
    grants = grants_of(project, found)
    given = _given(project, found)
    spoken = dialect(found)
    report.result(_data(found, grants, given, spoken), lambda: _lines(found, grants, given, spoken))


def _for_meltano(project: Project, plugin: Installed) -> dict[str, Any]:
    """The custom plugin definition: a package of an index or repository, else the program that is installed here."""
    from dativo.engines.meltano import definition
    from dativo.plugins import lockfile

    locked = lockfile.headers(project.lock_file).plugins[plugin.name]
    pip_url = {"pypi": f"{locked.distribution}=={locked.version}", "git": locked.requirement}.get(locked.source)
    executable = locked.executable if pip_url else str(plugin.executable)
    return definition(plugin.name, plugin.kind, plugin.manifest, pip_url=pip_url, executable=executable)


def _yaml(data: dict[str, Any]) -> str:
    import io

    from dativo.config.document import new_yaml

    stream = io.StringIO()
    yaml = new_yaml()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(data, stream)
    return stream.getvalue()


def grants_of(project: Project, plugin: Installed) -> Grants:
    """The grants that a run would get with the settings of dativo.yml."""
    from dativo.run.grants import granted
    from dativo.run.settings import Given, resolve

    spec = project.plugin(plugin.name)
    config = resolve(plugin.name, plugin.settings_schema, spec.config, Given())
    return granted(project, plugin, spec, config)


def words(plugin: Installed, grants: Grants) -> Iterator[str]:
    """What it may do, a line each, then what it asks for and does not get because a setting is missing."""
    from dativo.run import exposure

    yield from report.columns(exposure.rows(grants))
    waiting = unset(plugin, grants)
    if waiting:
        yield f"  {'and':<11} {', '.join(waiting)}, when set"


def unset(plugin: Installed, grants: Grants) -> list[str]:
    """The templates of the manifest that stand for nothing yet."""
    from dativo.run.reach import CONFIG

    if CONFIG in grants.origins.values():
        return []
    wanted = plugin.permissions
    network = wanted.network if isinstance(wanted.network, tuple) else ()
    asked = [("read", wanted.read), ("write", wanted.write), ("reach", network)]
    return [f"{kind} {text}" for kind, texts in asked for text in texts if "{config:" in text]


def _given(project: Project, plugin: Installed) -> list[dict[str, Any]]:
    from dativo.run.settings import properties
    from dativo.secrets.names import is_secret

    described = properties(plugin.settings_schema)
    config = project.declared(plugin.name).get("config") or {}
    return [{"setting": key, "secret": is_secret(key, described.get(key) or {})} for key in config]


def _data(plugin: Installed, grants: Grants, given: list[dict[str, Any]], spoken: Dialect) -> dict[str, Any]:
    from dativo.run import exposure

    bounds = grants.bounds
    return {
        "name": plugin.name,
        "version": plugin.version,
        "variant": plugin.variant,
        "engine": plugin.engine,
        "digest": plugin.digest,
        "sandbox": grants.profile,
        "approved": plugin.permissions.digest() == plugin.approved,
        "asks": plugin.permissions.block(),
        "read": list(grants.read),
        "write": list(grants.write),
        "network": grants.network if isinstance(grants.network, str) else list(grants.network),
        "unix": list(grants.unix),
        "env": list(grants.env),
        "origins": dict(grants.origins),
        "limits": {key: {"value": value, "origin": bounds.origins.get(key)} for key, value in bounds.values.items()},
        "given": given,
        "dialect": asdict(spoken),
        "exposure": exposure.score(grants),
        "unconfined": exposure.score(grants, "off"),
    }


def _lines(plugin: Installed, grants: Grants, given: list[dict[str, Any]], spoken: Dialect) -> Iterator[str]:
    from dativo.engines import airbyte_destination
    from dativo.observe.summary import CHANGES
    from dativo.run import exposure

    whose = f" ({plugin.variant})" if plugin.variant else ""
    digest = plugin.digest[: len("sha256:") + 4]
    yield f"  {plugin.name} {plugin.version}{whose} · {plugin.engine} · locked {digest}… · sandbox {grants.profile}"
    names = [f"{one['setting']} (secret)" if one["secret"] else one["setting"] for one in given]
    rows = exposure.rows(grants)
    rows.append(["is given", ", ".join(names) or "no settings yet"])
    waiting = unset(plugin, grants)
    if waiting:
        rows.append(["when set", f"may {' and '.join(waiting)}"])
    rows.append(["speaks", f"{'Airbyte' if plugin.engine == 'airbyte' else 'Singer'}, with {spoken.words()}"])
    if plugin.engine == "airbyte" and plugin.kind == "target":
        rows.append(["loads", f"by {', '.join(airbyte_destination.offered(plugin.capabilities))}"])
    elif plugin.kind != "tap":
        changed = ", ".join(CHANGES[rule] for rule in spoken.rules) or "nothing: it takes any SCHEMA as it comes"
        rows.append(["adapted", f"in a SCHEMA, where needed: {changed}" if spoken.rules else changed])
    confined, free = exposure.score(grants), exposure.score(grants, "off")
    rows.append(["exposure", f"{confined} of 10 ({plugin.name} unconfined: {free})"])
    yield from report.columns(rows)
    if plugin.permissions.digest() != plugin.approved:
        yield f"  its manifest is not the approved one: it does not run until dativo allow {plugin.name} --approve"
