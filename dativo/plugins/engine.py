"""Which of a connector's engines: the choice between the plugins that are locked here and are the same connector.

A connector (read postgres) has variants, and each an engine: ours are `native`, those of the Singer world `singer`,
those of Airbyte `airbyte`. `run` asks for the one that a job or a command line names; what is not
locked is never taken.
"""

from __future__ import annotations

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import lockfile
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.registry import connector
from dativo.plugins.registry import index as registry
from dativo.plugins.registry.connector import Connector
from dativo.plugins.registry.index import Index


class Lacking(errors.ConfigError):
    """`plugin.engine`. `known`: a registry has the engine, so that it can be added."""

    def __init__(self, message: str, hint: str, *, known: bool) -> None:
        super().__init__("plugin.engine", message, hint=hint)
        self.known = known


def connector_of(plugin: LockedPlugin) -> Connector | None:
    """What a locked plugin connects, whatever it is called here; None where no name tells."""
    return connector.of_name(plugin.distribution or plugin.name) or connector.of_name(plugin.name)


def chosen(project: Project, name: str, engine: str) -> str:
    """The locked plugin that is what `name` is, with this engine: `name` itself where it has it.

    `name` need not be locked itself. Raises `Lacking`, which names what to add, or the engines that there are.
    """
    lock = lockfile.headers(project.lock_file).plugins
    plugin = lock.get(name)
    if plugin is not None and plugin.engine == engine:
        return name
    wanted = connector_of(plugin) if plugin is not None else connector.of_name(name)
    fits = [one for one in lock.values() if wanted is not None and one.engine == engine and connector_of(one) == wanted]
    if len(fits) == 1:
        return fits[0].name
    if fits:
        listed = " and ".join(sorted(one.name for one in fits))
        message = f"{name} as {engine} may be {listed} here"
        raise errors.ConfigError("plugin.engine", message, hint="name the one that is meant, without an engine")
    names = registry.everything()
    entry = names.of(plugin) if plugin is not None else None
    if entry is not None and engine in entry.engines:  # one package that can be run as several
        return name
    raise _lacking(names, plugin, wanted.name if wanted else name, name, engine)


def _lacking(names: Index, plugin: LockedPlugin | None, known_as: str, name: str, engine: str) -> Lacking:
    known = names.by_engine(names.alike(known_as) or names.choices(known_as))
    if engine in known:
        here = f"is {plugin.engine} here" if plugin is not None else "is not installed"
        listed = registry.engines_shown(known_as, {engine: known[engine]})
        hint = f"it can be had as {listed}: dativo add {known_as} --engine {engine}"
        return Lacking(f"{name} {here}, and no {engine} one is installed", hint, known=True)
    if known:
        return Lacking(
            f"{name} has no engine {engine}", f"it has {registry.engines_shown(known_as, known)}", known=False
        )
    own = f"it is {plugin.engine}, and no registry knows another" if plugin is not None else "no registry knows it"
    return Lacking(f"{name} has no engine {engine}", own, known=False)
