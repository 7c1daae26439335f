"""`dativo tap-x …`: an installed plugin as a command. Its settings, as its manifest tells them, are flags."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report, runflags
from dativo.run import settings
from dativo.run.pipe import ToldElsewhere, leave_word
from dativo.run.settings import Given

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.plugins.installed import Installed
    from dativo.run.sides import Side

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic only in newer clicks

EXAMPLES = {
    "tap": "dativo {name} | dativo target-…",
    "mapper": "dativo tap-… | dativo {name} | dativo target-…",
    "target": "dativo tap-… | dativo {name}",
}


def plugin_command(name: str, words: Sequence[str] = ()) -> click.Command:
    """The command for a plugin, or the error that says why there is none. `words` follow its name on the line.

    Which flags there are depends on the engine, so that it is looked for before the line is parsed.
    """
    from dativo.config.project import Project
    from dativo.config.specs import bare
    from dativo.plugins.installed import installed
    from dativo.run import engine

    try:
        project = Project.find(env=_said(words, "--env") or os.environ.get("DATIVO_ENV"))
        return PluginCommand(installed(project, engine.one(project, name, _said(words, "--engine"))), project)
    except errors.DativoError as problem:
        leave_word(bare(name), problem)
        raise


def _said(words: Sequence[str], flag: str) -> str | None:
    """What an option says in words that are not parsed yet; the last one counts."""
    own = list(words[: words.index("--")] if "--" in words else words)
    found = [one.removeprefix(f"{flag}=") for one in own if one.startswith(f"{flag}=")]
    found += [after for one, after in pairwise(own) if one == flag]
    return found[-1] if found else None


class _Setting(_ParamType):
    """A setting's value as text, typed by the manifest's schema."""

    def __init__(self, prop: dict[str, Any]) -> None:
        kinds = settings.types(prop)
        self._prop = prop
        self.name = "json" if kinds == {"object"} else next(iter(sorted(kinds)), "value")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The typed value; whether it fits is checked with all settings together."""
        return settings.parse(self._prop, value) if isinstance(value, str) else value


class PluginCommand(runflags.RunCommand):
    """Flags from the manifest, then the options that every run has."""

    def __init__(self, plugin: Installed, project: Project | None = None) -> None:
        self.plugin, self.project = plugin, project
        self.settings: dict[str, str] = {}
        """Parameter name -> setting."""
        common = _common(plugin)
        taken = {flag for one in common for flag in (*one.opts, *one.secondary_opts)} | {"--help"}
        own = self._own(taken)
        description = plugin.manifest.get("description") or f"The {plugin.kind} {plugin.name}."
        example = EXAMPLES.get(plugin.kind, "dativo {name}").format(name=plugin.name)
        super().__init__(
            plugin.name,
            params=[*own, *common],
            help=f"\b\n  {example}\n\n{description}",
            callback=self._run,
            epilog="Settings may also stand in --config FILE or in dativo.yml.",
        )
        self._own_count = len(own)

    def _own(self, taken: set[str]) -> list[click.Option]:
        found = []
        for at, (key, prop) in enumerate(settings.properties(self.plugin.settings_schema).items()):
            flag = "--" + key.replace("_", "-")
            if flag in taken or not key.replace("_", "").replace("-", "").isalnum():
                continue  # reachable by --set
            taken.add(flag)
            parameter = f"setting_{at}"
            self.settings[parameter] = key
            found.append(_option(flag, parameter, prop))
        return found

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse; what is refused here is also said to the other end of a shell pipe."""
        if self.plugin.kind != "target":
            report.OUTPUT.errors_on = "stderr"
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as problem:
            leave_word(self.plugin.name, errors.ConfigError("usage", problem.format_message()))
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Settings first, then the options."""
        for title, params in (
            (f"Settings of {self.plugin.name}", self.params[: self._own_count]),
            ("Options", [*self.params[self._own_count :], self.get_help_option(ctx)]),
        ):
            rows = [row for one in params if one is not None and (row := one.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _run(self, **values: Any) -> int | None:
        if values.pop("about"):
            return _about(self.plugin, values.pop("form"))
        if values.pop("version"):
            print(f"{self.plugin.name} {self.plugin.version}")
            return 0
        discover = values.pop("discover", False)
        try:
            side = self._side(values)
        except errors.DativoError as problem:
            leave_word(self.plugin.name, problem)
            raise
        if discover:
            return _discover(side)
        try:
            return _start(side, self.plugin.kind)
        except ToldElsewhere as elsewhere:
            return elsewhere.exit_code

    def _side(self, values: dict[str, Any]) -> Side:
        from dativo.config.project import Project
        from dativo.run.sides import Side

        given = Given(
            flags=self._flags(values),
            sets=settings.words(values.pop("sets"), "--set"),
            files=list(values.pop("files")),
        )
        values.pop("engine")  # it chose this plugin
        env = values.pop("env")
        kept = self.project
        project = kept if kept is not None and kept.env == (env or None) else Project.find(env=env)
        return Side(project, self.plugin, runflags.run_options(values), given)

    def _flags(self, values: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for parameter, key in self.settings.items():
            value = values.pop(parameter)
            if value is None or value == ():
                continue
            found[key] = (value[0] if len(value) == 1 else _flat(value)) if isinstance(value, tuple) else value
        return found


def _flat(values: Sequence[Any]) -> list[Any]:
    """A repeated flag's values as one list; a JSON list given at once counts as its items."""
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _option(flag: str, parameter: str, prop: dict[str, Any]) -> click.Option:
    kinds = settings.types(prop)
    secret = bool(prop.get("secret"))
    text = " ".join(str(prop.get("description") or prop.get("title") or "").split())
    if "default" in prop and prop["default"] is not None and not secret:
        text = f"{text.rstrip('.')} [{_shown(prop['default'])}]" if text else f"[{_shown(prop['default'])}]"
    if kinds == {"boolean"}:
        return click.Option([f"{flag}/--no-{flag[2:]}", parameter], default=None, help=text, hidden=secret)
    many = "array" in kinds
    kind = _Setting(prop)
    metavar = "VALUE" if len(kinds) != 1 or many else kind.name.upper()
    return click.Option([flag, parameter], type=kind, multiple=many, metavar=metavar, help=text, hidden=secret)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _common(plugin: Installed) -> list[click.Option]:
    tap = plugin.kind == "tap"

    @click.option("--config", "files", multiple=True, metavar="FILE", help="Settings, as JSON; ENV: the environment.")
    @click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A setting that has no flag.")
    @click.option("--engine", metavar="ENGINE", help="Run the one of this engine: native, singer or airbyte.")
    @options.job_option
    @options.env_option
    @options.tenant_option
    @click.option("--about", is_flag=True, help="Show what the plugin says about itself.")
    @click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Of --about.")
    @click.option("--version", is_flag=True, help="Show the plugin's version.")
    @options.dry_run_option
    @options.json_option
    @options.verbosity_options
    def holder() -> None:
        """Carries the options."""

    found = list(reversed(getattr(holder, "__click_params__")))  # noqa: B009 - click keeps a decorator's options there
    if tap:
        found.append(click.Option(["--discover"], is_flag=True, help="Print the catalog and exit."))
    told = plugin.engine == "airbyte" and plugin.kind == "target"  # its streams, where its tap cannot be asked
    return [*runflags.options(tap=tap, catalog=tap or told), *found]


def _about(plugin: Installed, form: str) -> int:
    if form == "json":
        report.OUTPUT.json = True
    schema = plugin.settings_schema
    required = set(schema.get("required") or [])

    def lines() -> list[str]:
        rows = [
            [key, "required" if key in required else "", " ".join(str(prop.get("description") or "").split())]
            for key, prop in settings.properties(schema).items()
        ]
        head = f"{plugin.name} {plugin.version} · {plugin.kind} · {', '.join(sorted(plugin.capabilities))}"
        return [head, *(report.columns(rows) if rows else [])]

    report.result(plugin.manifest, lines)
    return 0


def _discover(side: Side) -> int:
    from dativo.run import probe
    from dativo.run.disclosure import disclosed

    with disclosed([side.step()]) as (step,):
        catalog = probe.discover(step.plugin, step.config, **step.surroundings())
    report.result(catalog, lambda: json.dumps(catalog, indent=2, ensure_ascii=False).splitlines(), exact=True)
    return 0


def _start(side: Side, kind: str) -> int | None:
    from dativo.cli.run import show, show_plan
    from dativo.run import sides

    if side.options.dry_run:
        show_plan(side.planned())
        return 0
    if kind == "target":
        show(sides.target(side), quiet=side.options.quiet)
        return 0
    return sides.mapper(side) if kind == "mapper" else sides.tap(side)
