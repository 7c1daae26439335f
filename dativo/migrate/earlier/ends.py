"""The two ends of a job of the earlier Dativo, each as a plugin: a connector's, or one around a class or library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dativo.dataclass import dataclass
from dativo.migrate import reading, settings
from dativo.migrate.earlier import connectors, credentials, recipes, wrapper
from dativo.migrate.earlier.connectors import Connector
from dativo.migrate.earlier.contract import Contract
from dativo.migrate.earlier.credentials import Credentials
from dativo.migrate.earlier.files import Folder
from dativo.migrate.earlier.wrapper import CannotError, Wrapped
from dativo.migrate.reading import Keys
from dativo.migrate.settings import Settings, plain

_GRANTED = "the earlier engine let it use every file: it is granted what its settings name"


@dataclass(frozen=True)
class End:
    """One end: `said` are its merged settings."""

    kind: str
    """tap or target."""
    keys: Keys
    said: dict[str, Any]
    contract: Contract
    strict: bool

    @property
    def side(self) -> str:
        """What the earlier format calls it."""
        return "source" if self.kind == "tap" else "target"

    @property
    def where(self) -> str:
        """Its line."""
        return self.keys.where(self.side)


class Ends:
    """Makes plugins, and keeps the files that were generated and the secrets that were met."""

    def __init__(self, folder: Folder, into: Path) -> None:
        self.folder, self.report, self.into = folder, folder.report, into
        self.settings = Settings(folder.report, into)
        self.plugins: dict[str, dict[str, Any]] = {}
        self.files: dict[str, str] = {}

    def plugin(self, end: End, job: str) -> str | None:
        """The name of the plugin that was made; None where there is none, which the report says."""
        plugin = reading.called(job, prefix=f"{end.kind}-", taken=tuple(self.plugins))
        key = "custom_reader" if end.kind == "tap" else "custom_writer"
        said = end.said.pop(key, None)
        if said is None:
            return self._connected(end, plugin)
        try:
            found = wrapper.wrapped(self.folder, end.kind, str(said), plugin, env=_variables(end.said))
        except CannotError as problem:
            self.report.left(end.where, f"{end.side}.{key}", str(problem))
            return None
        self._wrapped(end, found, f"{end.side}.{key}")
        return plugin

    def take_back(self, plugin: str | None) -> None:
        """Forget a plugin whose job came to nothing."""
        self.plugins.pop(str(plugin), None)
        for name in [one for one in self.files if one.startswith(f"plugins/{plugin}/")]:
            del self.files[name]

    # -- connectors

    def _connected(self, end: End, plugin: str) -> str | None:
        found = self._connector(end)
        if found is None:
            kind = end.said.get("type")
            why = f"no plugin stands for the type {kind} by the engine {recipes.engine_of(end.said)}"
            self.report.left(end.where, end.side, f"{why}: look for one with `dativo search {kind}`")
            return None
        section = self.plugins[plugin] = dict(found.origin)
        source = str(found.origin["source"])
        what = f"{end.side}: {end.said.get('type')}"
        self.report.changed(end.where, what, f"plugins.{plugin}.source", f"by {source}")
        schema = settings.known(source)
        config = self._absolute(
            self.settings.config(plugin, found.config, where=end.where, what=end.side, schema=schema)
        )
        self._credentials(end, plugin, config, schema)
        parts = (("config", config), ("select", found.select), ("metadata", found.metadata))
        section |= {key: value for key, value in parts if value}
        for note in found.notes:
            self.report.left(end.where, end.side, note)
        for key in found.unused(end.said):
            self.report.left(end.where, f"{end.side}.{key}", "its plugin has no such setting")
        return plugin

    @staticmethod
    def _connector(end: End) -> Connector | None:
        if end.kind == "tap":
            return connectors.of_source(end.said, end.contract, strict=end.strict)
        return connectors.of_target(end.said, end.contract)

    def _credentials(self, end: End, plugin: str, config: dict[str, Any], schema: Mapping[str, Any]) -> None:
        """What a recipe says of where secrets are kept, put into the settings that take them."""
        if end.kind == "target":
            return
        tenant = end.keys.data.get("tenant_id")
        found = Credentials(end.said, self.folder, self.into, tenant, schema, config)
        found.wire()
        for one in found.kept:
            became = f"plugins.{plugin}.config.{one.key}"
            self.report.changed(end.where, f"credentials.{one.said}", became, f"{one.reference}: {one.why}")
        for what, why in found.left:
            self.report.left(end.where, what, why)

    def _absolute(self, config: dict[str, Any]) -> dict[str, Any]:
        """Relative paths began in the folder of the earlier Dativo."""
        root = self.folder.root.resolve()
        return config if root == self.into.resolve() else settings.rebased(config, root)

    # -- classes and libraries

    def _wrapped(self, end: End, found: Wrapped, what: str) -> None:
        plugin = found.plugin
        self.files |= found.files
        section = self.plugins[plugin] = {"source": f"./plugins/{plugin}"}
        why = "a process of its own, in the sandbox: a project was generated around it"
        self.report.changed(end.where, what, f"plugins/{plugin}", why)
        given = {key: value for key, value in end.said.items() if value not in (None, {}, [])}
        inner = self.settings.config(plugin, given, where=end.where, what=end.side, below=f"{end.side}.")
        config: dict[str, Any] = {end.side: self._absolute(inner), "asset": _plain(end.contract.data())}
        if not end.strict:
            config["strict"] = False
        if found.library:
            config["library"] = found.library
        if end.kind == "target":
            config["output_base"] = self._output(end, plugin)
        section["config"] = config
        local = [one for one in settings.paths(inner, f"{end.side}.") if one != "source.files.path"]
        word = "read" if end.kind == "tap" else "write"
        granted = {word: [f"{{config:{one}}}" for one in local]} if local else {}
        if local:
            self.report.changed(end.where, ", ".join(local), f"plugins.{plugin}.sandbox.{word}", _GRANTED)
        kept = self._secrets_file(end)
        if kept is not None:
            granted.setdefault("read", []).append(kept)
            why = "its own code reads the file: it is granted"
            self.report.changed(end.where, "credentials.file_template", f"plugins.{plugin}.sandbox.read", why)
        if granted:
            section["sandbox"] = granted
        for name in found.requires:
            became = f"plugins/{plugin}/pyproject.toml"
            self.report.changed(end.where, f"{what}: import", became, f"it needs the package {name}")
        for name in found.env:
            why = "it is given this variable of the environment"
            self.report.changed(end.where, f"{what}: ${name}", f"plugins/{plugin}", why)

    def _secrets_file(self, end: End) -> str | None:
        """The file that the code is told to read its secrets from."""
        template = recipes.mapping(end.said.get("credentials")).get("file_template")
        path = credentials.path_of(template, end.keys.data.get("tenant_id")) if isinstance(template, str) else None
        if path is None:
            return None
        here = self.folder.found(path)
        return plain(path if here is None else str(self.folder.root.resolve() / here))

    def _output(self, end: End, plugin: str) -> str:
        """Where the earlier engine had its writers write: a bucket, by domain, data product and table."""
        connection = end.said.get("connection")
        connection = connection if isinstance(connection, Mapping) else {}
        storage = connection.get("s3") or connection.get("minio")
        bucket = storage.get("bucket") if isinstance(storage, Mapping) else None
        made = end.contract
        why = "as the earlier engine had it"
        if not bucket:
            why = "the bucket is ${S3_BUCKET}, as the earlier engine had it; a path of this machine does as well"
        self.report.changed(end.where, "output_base", f"plugins.{plugin}.config.output_base", why)
        base = plain(str(bucket)) if bucket else "${S3_BUCKET}"
        return f"s3://{base}/{plain(made.domain)}/{plain(made.product)}/{plain(made.table)}"


def _variables(said: Mapping[str, Any]) -> list[str]:
    """The variable that a class or library is told to read its secret from."""
    name = recipes.mapping(said.get("credentials")).get("from_env")
    return [name] if isinstance(name, str) and name.isidentifier() and name.isascii() else []


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return plain(value) if isinstance(value, str) else value
