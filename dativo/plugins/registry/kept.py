"""The registries that the user added: what was accepted of each is kept, so it is found offline and cannot change (I7).

data_dir()/registries/NAME/ holds `registry.json` (where it is, when it was read, the digests), `index.json`, and for a
Hub `pages/TYPE--NAME--VARIANT.json`: a definition is read when it is first asked for, and pinned from then on. Nothing
is read again but by `update`, which tells what changed and takes it only when that was agreed to.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.paths import data_dir
from dativo.dataclass import dataclass
from dativo.plugins.registry import entry, hub, reader
from dativo.plugins.registry.entry import OWN, Entry, invalid
from dativo.plugins.registry.reader import MAX_INDEX, MAX_PAGE, Reader

DATIVO, HUB = "dativo", "meltano-hub"
"""The formats."""
_INDEXES = ("index.json", hub.INDEX, f"meltano/api/v1/{hub.INDEX}")


@dataclass(frozen=True)
class Kept:
    """One registry as it was accepted."""

    name: str
    place: str
    format: str
    root: str
    """Below the place: what stands before `plugins/…` in a Hub."""
    digest: str
    """SHA-256 of the index, its JSON with sorted keys."""
    read_at: str
    """When, UTC, RFC 3339."""
    added_at: str
    """When it was added: the order in which registries are asked."""
    commit: str | None = None
    pins: dict[str, str] = field(default_factory=dict)
    """Digests of the definitions that were read, by `TYPE--NAME--VARIANT`."""

    @cached_property
    def document(self) -> Any:
        """The accepted index. Raises `registry.changed` when the file is not what was accepted."""
        return _pinned(_folder(self.name) / "index.json", self.digest, self.name)

    @cached_property
    def plugins(self) -> dict[str, dict[str, Any]]:
        """Name -> `{"default", "variants"}`, and in a Hub `type`."""
        return _listing(self.document, self.format, self.name)

    def sound(self) -> bool:
        """Whether all that is kept is what was accepted."""
        try:
            _pinned(_folder(self.name) / "index.json", self.digest, self.name)
            for key, digest in self.pins.items():
                _pinned(_folder(self.name) / "pages" / f"{key}.json", digest, self.name)
        except errors.ConfigError:
            return False
        return True

    def entry(self, name: str, variant: str, *, offline: bool = False) -> Entry:
        """One entry; a definition of a Hub that was not read yet is read now, unless `offline`."""
        plugin = self.plugins[name]
        if self.format == DATIVO:
            return entry.read(plugin["variants"][variant], name, variant, self.name)
        key = f"{plugin['type']}--{name}--{variant}"
        path = _folder(self.name) / "pages" / f"{key}.json"
        if key in self.pins:
            return hub.read(_pinned(path, self.pins[key], self.name), plugin["type"], name, variant, self.name)
        if offline:
            raise reader.unreachable(self.name, f"{name} ({variant}) was not read yet, and this is offline")
        with reader.opened(self.name, self.place) as (place, _):
            page = _page(place, self, plugin["type"], name, variant)
        found = hub.read(page, plugin["type"], name, variant, self.name)
        with atomic.editing(_folder(self.name) / "registry.json"):
            pins = {**_load(_folder(self.name) / "registry.json").pins, key: _write(path, page)}
            self.pins.update(pins)
            _save(self)
        return found

    def entries(self) -> dict[tuple[str, str], Entry | None]:
        """By name and variant; None for what was not read yet or cannot be used."""
        found: dict[tuple[str, str], Entry | None] = {
            (name, variant): None for name, plugin in self.plugins.items() for variant in plugin["variants"]
        }
        return {**found, **{(one.name, one.variant): one for one in self.read_entries()}}

    def read_entries(self) -> Iterator[Entry]:
        """Every entry that needs no network."""
        for name, plugin in self.plugins.items():
            for variant in plugin["variants"]:
                if self.format == DATIVO or f"{plugin['type']}--{name}--{variant}" in self.pins:
                    with suppress(errors.ConfigError):  # told by whoever asks for this very one
                        yield self.entry(name, variant, offline=True)


@dataclass(frozen=True)
class Fresh:
    """A registry as it is now, in memory: not accepted yet. `pages` are definitions by `TYPE--NAME--VARIANT`."""

    kept: Kept
    document: Any
    pages: dict[str, Any]

    @property
    def count(self) -> int:
        """How many plugins it lists."""
        return len(_listing(self.document, self.kept.format, self.kept.name))

    def entries(self) -> dict[tuple[str, str], Entry | None]:
        """By name and variant; None for a definition of a Hub that was not read or cannot be used."""
        kept = self.kept
        found: dict[tuple[str, str], Entry | None] = {}
        if kept.format == DATIVO:
            for name, plugin in entry.listing(self.document, kept.name).items():
                for variant, data in plugin["variants"].items():
                    found[name, variant] = entry.read(data, name, variant, kept.name)
            return found
        for name, plugin in hub.listing(self.document, kept.name).items():
            for variant in plugin["variants"]:
                found[name, variant] = None
                key = f"{plugin['type']}--{name}--{variant}"
                if key in self.pages:
                    with suppress(errors.ConfigError):  # told by whoever asks for this very one
                        found[name, variant] = hub.read(self.pages[key], plugin["type"], name, variant, kept.name)
        return found

    def unusable(self) -> list[str]:
        """The definitions that were read and cannot be used, as `NAME (VARIANT)`."""
        if self.kept.format == DATIVO:
            return []
        listed = hub.listing(self.document, self.kept.name)
        found = self.entries()
        return [
            f"{name} ({variant})"
            for (name, variant), one in found.items()
            if one is None and f"{listed[name]['type']}--{name}--{variant}" in self.pages
        ]


def _listing(document: Any, found: str, registry: str) -> dict[str, dict[str, Any]]:
    return hub.listing(document, registry) if found == HUB else entry.listing(document, registry)


def every() -> list[Kept]:
    """All of them, in the order in which they were added. Damaged ones are `registry.invalid`."""
    found = [_load(path) for path in (data_dir() / "registries").glob("*/registry.json")]
    return sorted(found, key=lambda kept: (kept.added_at, kept.name))


def get(name: str) -> Kept:
    """One registry, or `registry.unknown`."""
    path = _folder(_checked_name(name)) / "registry.json"
    if not path.is_file():
        raise _unknown(name)
    return _load(path)


def _unknown(name: str) -> errors.ConfigError:
    known = ", ".join(path.parent.name for path in sorted((data_dir() / "registries").glob("*/registry.json")))
    hint = f"there is {known}" if known else None
    return errors.ConfigError("registry.unknown", f"there is no registry {name}", hint=hint)


def add(name: str, place: str, digest: str | None = None) -> Fresh:
    """Read a registry, check all that can be read of it, and keep it. `digest`: what its index must have."""
    if _checked_name(name) == OWN or _folder(name).exists():
        raise errors.ConfigError(
            "registry.taken",
            f"there is a registry {name} already",
            hint=f"another name, or: dativo registry remove {name}",
        )
    place = hub.root(reader.checked_place(place))
    try:
        fresh = _read(name, place, None)
    except errors.DativoError as problem:
        if problem.code in ("registry.invalid", "registry.unreachable"):
            problem.hint = "nothing was added: look at the address, or tell whoever keeps it"
        raise
    if digest is not None and digest.removeprefix("sha256:") != fresh.kept.digest.removeprefix("sha256:"):
        raise errors.ConfigError(
            "registry.changed",
            f"registry {name}: its index is {fresh.kept.digest}, not the one that was asked for",
            hint="ask whoever keeps it which one is right",
        )
    accept(fresh)
    return fresh


def read_again(name: str) -> Fresh:
    """A registry as it is now, with what was read of it before."""
    return _read(name, get(name).place, get(name))


def accept(fresh: Fresh) -> None:
    """Keep a registry as it was just read, in place of what was kept."""
    folder = _folder(fresh.kept.name)
    with atomic.editing(folder / "registry.json"):
        pages = folder / "pages"
        shutil.rmtree(pages, ignore_errors=True)
        for key, page in fresh.pages.items():
            _write(pages / f"{key}.json", page)
        _write(folder / "index.json", fresh.document)
        _save(fresh.kept)


def remove(name: str) -> None:
    """Forget a registry, also a damaged one. Plugins that were added from it stay: dativo.lock holds what they are."""
    if not _folder(_checked_name(name)).is_dir():
        raise _unknown(name)
    shutil.rmtree(_folder(name))


def differences(old: Mapping[tuple[str, str], Entry | None], new: Mapping[tuple[str, str], Entry | None]) -> list[str]:
    """What changed from one reading to the next, a line each; what was not read before is left out."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        name = f"{key[0]} ({key[1]})"
        if key not in new:
            lines.append(f"- {name}")
        elif key not in old:
            lines.append(f"+ {name}")
        elif (before := old[key]) and before != (after := new[key]):
            changed = _changed(before, after) if after else ["cannot be used any more"]
            lines += [f"~ {name}  {line}" for line in changed]
    return lines


def _changed(old: Entry, new: Entry) -> list[str]:
    lines = []
    for key in ("package", "executable", "engines", "python", "kind", "maturity", "licence"):
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            lines.append(f"{key}: {_shown(before)} → {_shown(after)}")
    for key, was, now in (
        ("requires", set(old.requires), set(new.requires)),
        ("capabilities", set(old.capabilities), set(new.capabilities)),
        ("secrets", set(old.secrets()), set(new.secrets())),
        ("settings", set(old.settings.get("properties") or {}), set(new.settings.get("properties") or {})),
        ("reaches", set(old.hosts()), set(new.hosts())),
    ):
        if was != now:
            signed = [*(f"+{one}" for one in sorted(now - was)), *(f"-{one}" for one in sorted(was - now))]
            lines.append(f"{key}: {' '.join(signed)}")
    if old.description != new.description:
        lines.append("description")
    return lines or ["what its settings are described with"]


def _shown(value: str | tuple[str, ...] | None) -> str:
    return ", ".join(value) if isinstance(value, tuple) else value or "none"


# -- reading


def _read(name: str, place: str, before: Kept | None) -> Fresh:
    with reader.opened(name, place) as (source, commit):
        document, found, root = _index(source, name, place)
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        kept = Kept(name, place, found, root, _digest(document), now, before.added_at if before else now, commit)
        pages = {}
        if found == HUB:
            for plugin, listed in hub.listing(document, name).items():
                for variant in listed["variants"]:
                    key = f"{listed['type']}--{plugin}--{variant}"
                    if source.local or (before and key in before.pins):
                        pages[key] = _page(source, kept, listed["type"], plugin, variant)
    fresh = Fresh(replace(kept, pins={key: _digest(page) for key, page in pages.items()}), document, pages)
    fresh.entries()  # an index of ours is refused as a whole when one entry of it cannot be used
    return fresh


def _index(source: Reader, name: str, place: str) -> tuple[Any, str, str]:
    """The index, its format, and what stands before `plugins/` where it is a Hub's."""
    for path in _candidates(place):
        raw = source.read(path, MAX_INDEX)
        if raw is None:
            continue
        found = reader.document(raw, name, path or "its index")
        if hub.is_index(found):
            return found, HUB, path.removesuffix(hub.INDEX) if path.endswith(hub.INDEX) else ""
        if isinstance(found, dict) and "format" in found:
            entry.listing(found, name)
            return found, DATIVO, ""
        raise invalid(name, f"{path or 'its index'} is neither an index of Dativo's nor one of Meltano Hub's")
    for root in ("", "meltano/api/v1/"):
        parts = {kind: source.read(f"{root}plugins/{kind}/index", MAX_INDEX) for kind in hub.KINDS}
        if any(part is not None for part in parts.values()):
            read = {k: reader.document(raw, name, f"plugins/{k}/index") for k, raw in parts.items() if raw is not None}
            return read, HUB, root
    if _candidates(place) == ("",):
        raise invalid(name, f"there is no {place.rsplit('/', 1)[-1]}")
    raise invalid(name, "there is no index: neither index.json nor plugins/index")


def _candidates(place: str) -> tuple[str, ...]:
    last = place.rsplit("/", 1)[-1]
    kind = reader.kind_of(place)
    return ("",) if last.endswith(".json") and kind != "git" else _INDEXES


def _page(source: Reader, kept: Kept, kind: str, name: str, variant: str) -> Any:
    path = kept.root + hub.page(kind, name, variant)
    raw = source.read(path, MAX_PAGE)
    if raw is None:
        raise invalid(kept.name, f"{name} ({variant}) is in its index, but {path} is not there")
    return reader.document(raw, kept.name, path)


# -- keeping


def _checked_name(name: str) -> str:
    from dativo.plugins.registry.entry import Checked

    try:
        return Checked(name).name(name, "name")
    except errors.ConfigError:
        raise errors.ConfigError(
            "usage", f"{name!r} cannot be a registry's name", hint="small letters, digits and dashes"
        ) from None


def _folder(name: str) -> Path:
    return data_dir() / "registries" / name


def _load(path: Path) -> Kept:
    try:
        data = json.loads(path.read_bytes())
        kept = Kept(**data)
    except (OSError, ValueError, TypeError) as problem:
        name = path.parent.name
        raise errors.ConfigError(
            "registry.invalid",
            f"registry {name}: what was kept of it is damaged",
            hint=f"dativo registry remove {name}",
        ) from problem
    return kept


def _save(kept: Kept) -> None:
    atomic.write(_folder(kept.name) / "registry.json", json.dumps(asdict(kept), indent=1) + "\n")


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _digest(document: Any) -> str:
    return "sha256:" + hashlib.sha256(_canonical(document)).hexdigest()


def _write(path: Path, document: Any) -> str:
    atomic.write(path, _canonical(document).decode())
    return _digest(document)


def _pinned(path: Path, digest: str, registry: str) -> Any:
    try:
        raw = path.read_bytes()
    except OSError:
        raw = b""
    if "sha256:" + hashlib.sha256(raw).hexdigest() != digest:
        raise errors.ConfigError(
            "registry.changed",
            f"registry {registry}: {path.name} is not what was accepted",
            hint=f"read it again: dativo registry update {registry}",
        )
    return json.loads(raw)
