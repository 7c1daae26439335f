"""`credentials:` of a recipe or a job: which setting each of them becomes, as a reference to where the secret is kept.

The earlier one took `from_env` for `api_key`, the keys of a `file_template` for settings (its `engine_config.py`); its
databases looked for `PGUSER`, `MYSQL_USER` and their like (`postgres_extractor.py`, `mysql_extractor.py`). A file is
read here only if it lies below the folder, and then for the names of its keys: no value of it is copied (I13).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.migrate import reading
from dativo.migrate.earlier import recipes
from dativo.migrate.earlier.files import Folder
from dativo.migrate.reading import UnreadableError
from dativo.migrate.settings import plain
from dativo.secrets import dotenv, names, reference

SAFE_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FILE = "credentials.file_template"
PLACES = ("from_env", "file_template")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ADDRESS = re.compile(r"(^|_)(url|uri|dsn|connection_string|connection)$", re.IGNORECASE)
_OF_FILES = {
    "postgres": {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "password",
                 "database": "dbname"},
    "mysql": {"MYSQL_HOST": "host", "MYSQL_PORT": "port", "MYSQL_DATABASE": "database", "MYSQL_DB": "database",
              "MYSQL_USER": "user", "MYSQL_PASSWORD": "password"},
}  # fmt: skip
_PLAIN = ("host", "port", "dbname", "database", "user", "password")
_GOOGLE = "credentials.service_account_info"
"""Of Airbyte's Google sources, beside `auth_type`."""
_LOOKED_FOR = {"postgres": ("PGUSER", "PGPASSWORD"), "mysql": ("MYSQL_USER", "MYSQL_PASSWORD")}


@dataclass(frozen=True)
class Kept:
    """One setting that is a reference now. `key` leads into objects with dots."""

    said: str
    """What of the credentials it was: from_env or file_template."""
    key: str
    reference: str
    why: str


@dataclass
class Credentials:
    """Those of a source. `schema` are the settings of its plugin, {} if unknown; `config` what is set already."""

    said: Mapping[str, Any]
    folder: Folder
    into: Path
    tenant: Any
    schema: Mapping[str, Any]
    config: dict[str, Any]
    kept: list[Kept] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    """(what, why)."""

    def wire(self) -> None:
        """Put references into `config`; `kept` and `left` tell what became of each."""
        said = recipes.mapping(self.said.get("credentials"))
        if said.get("from_env"):
            self._of_variable(str(said["from_env"]))
        if said.get("file_template"):
            self._of_file(str(said["file_template"]), google=said.get("type") == "service_account")
        for one in self.kept:
            *above, last = one.key.split(".") if one.key == _GOOGLE else [one.key]
            inside = self.config
            for part in above:
                inside = inside.setdefault(part, {"auth_type": "Service"})
            inside[last] = one.reference

    @property
    def _known(self) -> dict[str, Any]:
        return recipes.mapping(self.schema.get("properties"))

    def _of_variable(self, name: str) -> None:
        what = "credentials.from_env"
        if not _NAME.fullmatch(name):
            self.left.append((what, "it is no name of a variable"))
            return
        key, why = self._setting(name)
        if key is None or key in self.config:
            self.left.append((what, why if key is None else f"{key} is set already"))
        else:
            self.kept.append(Kept("from_env", key, f"secret://env/{name}", why))

    def _setting(self, name: str) -> tuple[str | None, str]:
        """Which setting takes the one secret that a variable holds, and how that is known."""
        kind = str(self.said.get("type"))
        if kind == "postgres" and _ADDRESS.search(name):
            return "url", "by the variable's name it is an address"
        if kind in _OF_FILES:
            return "password", "the secret of a database"
        if not self._known or "api_key" in self._known:
            return "api_key", "as the earlier engine gave it; if the plugin calls it otherwise, rename it"
        secret = [key for key, about in self._known.items() if names.is_secret(key, recipes.mapping(about))]
        needed = [key for key in recipes.texts(self.schema.get("required")) if key in secret] or secret
        if not needed:
            return None, f"its plugin has no secret setting: if another one needs it, write secret://env/{name}"
        if len(needed) == 1:
            return needed[0], "the one secret that the plugin asks for"
        return None, f"which of {', '.join(needed)} is it? write secret://env/{name} there"

    def _of_file(self, template: str, *, google: bool) -> None:
        path = path_of(template, self.tenant)
        if path is None:
            self.left.append((_FILE, "the tenant's name cannot be part of a path"))
            return
        here, path = self.folder.found(path), plain(path)
        place = self._place(path, here)
        try:
            held = None if here is None else _keys(self.folder.root.resolve() / here)
        except UnreadableError as problem:
            self.left.append((_FILE, f"{here}: {problem}"))
            return
        private = f"chmod 600 {path if here is None else here}"
        before, pairs = len(self.left), self._pairs(path, place, held, google=google)
        used = {inner for _, inner in pairs}
        unused = [key for key in held or () if key not in used] if None not in used else []
        if len(self.left) == before and unused:
            self.left.append((_FILE, f"of its keys nothing takes {', '.join(unused)}, or the job sets the same"))
        elif len(self.left) == before and not pairs:
            self.left.append((_FILE, "the job itself sets all that it could give"))
        for key, inner in pairs:
            text = place + (f"#{inner}" if inner is not None else "")
            try:
                reference.parse(text)
            except errors.ConfigError:
                self.left.append((_FILE, f"{key}: no reference can name it"))
                continue
            why = f"read from the file when it runs, which must be its user's own: {private}"
            self.kept.append(Kept("file_template", key, text, why))

    def _pairs(
        self, path: str, place: str, held: tuple[str, ...] | None, *, google: bool
    ) -> list[tuple[str, str | None]]:
        """Setting and key of the file; None for the whole file. `held` are its keys, None where it is not here."""
        kind, engine = str(self.said.get("type")), recipes.engine_of(self.said)
        if engine == "airbyte" and google and (held is None or "private_key" in held):
            return [(_GOOGLE, None)]
        if kind in _OF_FILES:
            return list(_of_database(kind, held or _LOOKED_FOR[kind], self.config))
        if held is None:
            why = f"{path} is not here, so its keys are not known: write {place}#KEY where its plugin needs one"
            self.left.append((_FILE, why))
            return []
        unknown = [key for key in held if self._known and key not in self._known]
        if unknown:
            self.left.append((_FILE, f"its plugin has no setting {', '.join(unknown)}"))
        return [(key, key) for key in held if key not in self.config and key not in unknown]

    def _place(self, path: str, here: str | None) -> str:
        """The reference to a file: from the project where it lies in it, else by its absolute path."""
        root = self.folder.root.resolve()
        whole = Path(path) if here is None else root / here
        if not whole.is_absolute() and not path.startswith("${"):
            whole = Path(os.path.normpath(root / whole))
        base = self.into.resolve()
        return f"secret://file/{whole.relative_to(base) if whole.is_relative_to(base) else whole}"


def given(kind: str, said: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """What the credentials themselves hold, as settings that `config` lacks; and the keys of them that were used."""
    values = {key: one for key, one in recipes.mapping(said.get("credentials")).items() if key not in (*PLACES, "type")}
    if kind not in _OF_FILES:
        return {key: one for key, one in values.items() if key not in config}, set(values)
    pairs = list(_of_database(kind, tuple(values), config))
    return {setting: values[key] for setting, key in pairs if key}, {key for _, key in pairs if key}


def path_of(template: str, tenant: Any) -> str | None:
    """The file that a template means for a tenant; None where the tenant's name would lead elsewhere."""
    name = "default" if tenant is None else str(tenant)
    return template.replace("{tenant}", name) if "{tenant}" not in template or SAFE_TENANT.fullmatch(name) else None


def _of_database(kind: str, held: tuple[str, ...], config: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    settings = _OF_FILES[kind] | {key: key for key in _PLAIN if key not in _OF_FILES[kind]}
    taken = set(config)
    for key in held:
        setting = settings.get(key)
        if setting is not None and setting not in taken:
            taken.add(setting)
            yield setting, key


def _keys(path: Path) -> tuple[str, ...]:
    """The names that a file gives: of a JSON object, or of lines NAME=value. Its values are not kept."""
    if path.suffix == ".json":
        return tuple(reading.json_object(path))
    try:
        return tuple(dotenv.parse(reading.text(path)))
    except ValueError as problem:
        raise UnreadableError(f"line {problem}") from None
