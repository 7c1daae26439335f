"""Where a target puts a stream: the targets whose data can be read back, ours and others' from PyPI.

A target is known by its program and by what its manifest says, not by the name that the project gave it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.run.step import Step
from dativo.run.verify.singer_lines import Sent

KNOWN = (
    "target-duckdb (ours and jwills')",
    "target-jsonl (ours and andyh1203's)",
    "meltanolabs-target-postgres",
    "meltanolabs-target-csv",
)
_ENCODED = re.compile(rb"[^A-Za-z0-9._-]")
_LONGEST = 200


@dataclass(frozen=True)
class Landing:
    """How one target's data is read back. `program` names a script of `scripts/`."""

    program: str
    about: Mapping[str, Any]
    """What the script is told about the place."""
    place: Callable[[str], Mapping[str, Any]]
    """What the script is told about a stream."""
    upserts: bool
    """Whether a row of a stream with keys replaces the one before it. Else every row that was sent stays."""
    empty_is_null: bool = False


def of(step: Step) -> Landing:
    """How this target is read back; raises verify.unreadable for one that nobody taught us."""
    found = known(step)
    if found is None or step.plugin.env_dir is None:
        raise errors.ConfigError(
            "verify.unreadable",
            f"what {step.name} wrote cannot be read back: this target is not known well enough",
            hint=f"leave `verify: after` out for this job, or use one of {', '.join(KNOWN)}",
            context={"plugin": step.name},
        )
    return found


def known(step: Step) -> Landing | None:
    """How this target is read back, None for a target that is not in the table."""
    sdk = "sdk_version" in step.plugin.manifest
    table: dict[tuple[str, bool, bool], Callable[[Mapping[str, Any]], Landing | None]] = {
        ("target-duckdb", True, False): _our_duckdb,
        ("target-duckdb", False, False): _jwills_duckdb,
        ("target-jsonl", True, False): _our_jsonl,
        ("target-jsonl", False, False): _jsonl,
        ("target-postgres", False, True): _meltanolabs_postgres,
        ("target-csv", False, True): _meltanolabs_csv,
    }
    found = table.get((step.plugin.executable.name, step.can("bookmark"), sdk))
    if found is None:
        return None
    properties = step.plugin.settings_schema.get("properties") or {}
    defaults = {name: one["default"] for name, one in properties.items() if isinstance(one, dict) and "default" in one}
    return found({**defaults, **{name: value for name, value in step.config.items() if value is not None}})


def _our_duckdb(config: Mapping[str, Any]) -> Landing:
    pattern, schema = config.get("table_name", "{stream}"), config.get("schema", "main")

    def place(stream: str) -> Mapping[str, Any]:
        return {"schema": schema, "table": pattern.replace("{stream}", stream)}

    return Landing("of_duckdb", {"path": config.get("path")}, place, config.get("mode") in (None, "upsert"))


def _jwills_duckdb(config: Mapping[str, Any]) -> Landing | None:
    path = str(config.get("path") or config.get("filepath") or "")
    if re.match(r"(md|motherduck):", path):
        return None
    mapping, default = config.get("schema_mapping") or {}, str(config.get("default_target_schema") or "").strip()

    def place(stream: str) -> Mapping[str, Any]:
        parts = stream.split("-")
        source = parts[0] if len(parts) == 2 else parts[1] if len(parts) > 2 else None
        table = stream if len(parts) == 1 else parts[1] if len(parts) == 2 else "_".join(parts[2:])
        schema = (mapping.get(source) or {}).get("target_schema") if source in mapping else default
        return {"schema": schema or "", "table": table.replace(".", "_").replace("-", "_").lower()}

    return Landing("of_duckdb", {"path": path}, place, upserts=True)


def _our_jsonl(config: Mapping[str, Any]) -> Landing:
    def place(stream: str) -> Mapping[str, Any]:
        name = stream.encode()
        safe = _ENCODED.sub(lambda found: b"%%%02X" % found[0][0], name)
        safe = b"%2E" + safe[1:] if name.startswith(b".") else safe or b"%"
        if len(safe) > _LONGEST:  # the end of such a name is a hash: its beginning tells enough
            return {"file": re.escape(safe[: _LONGEST - 33].decode()) + r"~[0-9a-f]{32}\.jsonl"}
        return {"file": re.escape(safe.decode() + ".jsonl")}

    return Landing("of_files", {"form": "jsonl", "folder": config.get("path", "")}, place, upserts=False)


def _jsonl(config: Mapping[str, Any]) -> Landing | None:
    if config.get("custom_name"):
        return None  # all streams in one file, and nothing in a line says of which it is
    stamp = r"-\d{8}T\d{6}" if config.get("do_timestamp_file", True) else ""

    def place(stream: str) -> Mapping[str, Any]:
        return {"file": re.escape(stream) + stamp + r"\.jsonl"}

    folder = config.get("destination_path", "")
    return Landing("of_files", {"form": "jsonl", "folder": folder}, place, upserts=False)


def _meltanolabs_csv(config: Mapping[str, Any]) -> Landing | None:
    scheme = str(config.get("file_naming_scheme", "{stream_name}.csv"))
    if "/" in scheme or config.get("escape_character") or str(config.get("encoding", "utf-8")).lower() != "utf-8":
        return None

    def place(stream: str) -> Mapping[str, Any]:
        parts = re.split(r"(\{stream_name\}|\{datestamp\}|\{timestamp\})", scheme)
        words = {"{stream_name}": re.escape(stream), "{datestamp}": ".+", "{timestamp}": ".+"}
        return {"file": "".join(words.get(part, re.escape(part)) for part in parts)}

    folder = config.get("output_path") or config.get("destination_path") or config.get("output_path_prefix") or ""
    return Landing("of_files", {"form": "csv", "folder": folder}, place, upserts=False, empty_is_null=True)


def _meltanolabs_postgres(config: Mapping[str, Any]) -> Landing | None:
    if (config.get("ssh_tunnel") or {}).get("enable"):
        return None
    authority = config.get("ssl_certificate_authority") if config.get("ssl_enable") else None
    address = {
        "host": config.get("host"),
        "port": config.get("port"),
        "user": config.get("user"),
        "password": config.get("password"),
        "dbname": config.get("database"),
        "sslmode": config.get("ssl_mode") if config.get("ssl_enable") else None,
        "sslrootcert": authority if authority and "BEGIN CERTIFICATE" not in authority else None,
    }
    if config.get("sqlalchemy_url"):
        address = {"url": re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", config["sqlalchemy_url"])}
    default = config.get("default_target_schema")

    def place(stream: str) -> Mapping[str, Any]:
        parts = stream.split("-")
        schema = default or (parts[-2] if len(parts) in (2, 3) else None)
        return {"schema": schema, "table": parts[-1]}

    return Landing("of_postgres", {"address": address}, place, upserts=True)


def replaces(step: Step, sent: Sent | None = None) -> bool:
    """Whether rows that a target is given twice are there once: it is known to upsert, and the stream has keys."""
    found = known(step)
    return found is not None and found.upserts and (sent is None or bool(sent.keys))
