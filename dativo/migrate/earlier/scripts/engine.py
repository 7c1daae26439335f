"""What readers and writers of the earlier Dativo import, found under its old names, and how they are loaded.

A Python one is a class of a module beside this file; a Rust one is a shared library with a C interface.
"""

from __future__ import annotations

import ctypes
import datetime
import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

PLUGIN_SDK_VERSION = "1.0.0"


class PluginError(Exception):
    """Of a plugin."""


class PluginVersionError(PluginError):
    """Of a plugin's version."""


class Settings:
    """Keys as attributes; one that is not there is None."""

    def __init__(self, **keys: Any) -> None:
        self.__dict__.update(keys)

    def __getattr__(self, name: Any) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def model_dump(self) -> Any:
        """As a dict."""
        return {**self.__dict__}

    def dict(self) -> Any:
        """As a dict."""
        return self.model_dump()


class SourceConfig(Settings):
    """Of a reader."""


class TargetConfig(Settings):
    """Of a writer."""


class AssetDefinition(Settings):
    """The data contract: `name`, `schema` (a list of columns), and what else it says."""


class ConnectionTestResult:
    """Of `check_connection`."""

    def __init__(self, success: Any, message: Any, error_code: Any = None, details: Any = None) -> None:
        self.success, self.message, self.error_code, self.details = success, message, error_code, details or {}

    def to_dict(self) -> Any:
        """As a dict."""
        return {key: value for key, value in self.__dict__.items() if value not in (None, {})}


class DiscoveryResult:
    """Of `discover`."""

    def __init__(self, objects: Any, metadata: Any = None) -> None:
        self.objects, self.metadata = objects, metadata or {}

    def to_dict(self) -> Any:
        """As a dict."""
        return dict(self.__dict__)


class BaseReader:
    """A reader yields lists of records."""

    __version__ = PLUGIN_SDK_VERSION

    def __init__(self, source_config: Any) -> None:
        self.source_config = source_config

    def check_connection(self) -> Any:
        """Nothing is checked."""
        return ConnectionTestResult(True, "Connection test not implemented")

    def discover(self) -> Any:
        """Nothing is known."""
        return DiscoveryResult([])

    def extract(self, state_manager: Any = None) -> Any:
        """Yield lists of records."""
        raise PluginError("extract is not there")

    def get_total_records_estimate(self) -> Any:
        """Not known."""
        return None


class BaseWriter:
    """A writer writes lists of records and commits what it wrote."""

    __version__ = PLUGIN_SDK_VERSION

    def __init__(self, asset_definition: Any, target_config: Any, output_base: Any) -> None:
        self.asset_definition, self.target_config, self.output_base = asset_definition, target_config, output_base

    def check_connection(self) -> Any:
        """Nothing is checked."""
        return ConnectionTestResult(True, "Connection test not implemented")

    def write_batch(self, records: Any, file_counter: Any) -> Any:
        """Write, and tell which files were made."""
        raise PluginError("write_batch is not there")

    def commit_files(self, file_metadata: Any) -> Any:
        """Nothing is to be committed."""
        return {"status": "success", "files_added": len(file_metadata)}


class IncrementalStateManager:
    """State in a JSON file; the tap around a reader carries it from run to run."""

    @staticmethod
    def read_state(state_path: Any) -> Any:
        """What is known; {} at first."""
        try:
            return json.loads(Path(state_path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    @staticmethod
    def write_state(state_path: Any, state: Any) -> Any:
        """Keep it."""
        path = Path(state_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(state), encoding="utf-8")

    @classmethod
    def _known(cls, kind: Any, name: Any, state_path: Any) -> Any:
        return cls.read_state(state_path).get(f"{kind}_{name}", {}).get("last_modified")

    @classmethod
    def _note(cls, kind: Any, name: Any, moment: Any, state_path: Any) -> Any:
        state = cls.read_state(state_path)
        key = "file_id" if kind == "file" else "spreadsheet_id"
        cls.write_state(state_path, {**state, f"{kind}_{name}": {"last_modified": moment, key: name}})

    @classmethod
    def should_skip_file(cls, file_id: Any, current_modified_time: Any, state_path: Any, lookback_days: Any = 0) -> Any:
        """Whether a file is no newer than when it was read."""
        known = cls._known("file", file_id, state_path)
        return bool(known) and current_modified_time <= known and lookback_days == 0

    @classmethod
    def update_file_state(cls, file_id: Any, modified_time: Any, state_path: Any) -> Any:
        """A file was read."""
        cls._note("file", file_id, modified_time, state_path)

    @classmethod
    def should_skip_spreadsheet(
        cls, spreadsheet_id: Any, current_modified_time: Any, state_path: Any, lookback_days: Any = 0
    ) -> Any:
        """Whether a spreadsheet is no newer than when it was read."""
        known = cls._known("spreadsheet", spreadsheet_id, state_path)
        return bool(known) and current_modified_time <= known and lookback_days == 0

    @classmethod
    def update_spreadsheet_state(cls, spreadsheet_id: Any, modified_time: Any, state_path: Any) -> Any:
        """A spreadsheet was read."""
        cls._note("spreadsheet", spreadsheet_id, modified_time, state_path)


# -- the contract


WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Contract:
    """Records as the earlier engine let them through: every column of its type, in strict mode no other column."""

    def __init__(self, columns: Any, strict: Any) -> None:
        self.columns, self.strict = columns, strict

    def records(self, batch: Any) -> Any:
        """The records; ValueError for one that breaks the contract in strict mode."""
        return [self._record(number, record) for number, record in enumerate(batch)]

    def _record(self, number: Any, record: Any) -> Any:
        made = {} if self.strict else dict(record)
        for column in self.columns:
            name = column["name"]
            value = record.get(name)
            if value is None:
                if column.get("required") and self.strict:
                    raise ValueError(f"record {number}: {name} is required")
                continue
            try:
                made[name] = self._typed(value, column.get("type", "string"))
            except (ValueError, TypeError, KeyError, AttributeError):
                if self.strict:
                    raise ValueError(f"record {number}: {name} is no {column.get('type')}") from None
        return made

    def _typed(self, value: Any, kind: Any) -> Any:
        if kind == "string":
            return str(value)
        if kind == "integer":
            return int(value) if not isinstance(value, bool) else value
        if kind in ("float", "double"):
            return float(value)
        if kind == "boolean":
            return WORDS[value.lower()] if isinstance(value, str) else bool(value)
        return self._moment(value) if kind in ("timestamp", "datetime", "date") else value

    @staticmethod
    def _moment(value: Any) -> Any:
        if isinstance(value, datetime.datetime):
            return value
        if isinstance(value, datetime.date):
            return datetime.datetime.combine(value, datetime.time.min)
        text = value[:-1] + "+00:00" if value.endswith("Z") else value
        return datetime.datetime.fromisoformat(text)


def plain(value: Any) -> Any:
    """A value that JSON lacks, as text: a time by ISO 8601, anything else as it prints."""
    return value.isoformat() if isinstance(value, (datetime.datetime, datetime.date, datetime.time)) else str(value)


# -- loading


def under_the_old_names() -> Any:
    """Make this module what `import dativo_ingest.…` finds."""
    here = sys.modules[__name__]
    package = types.ModuleType("dativo_ingest")
    package.__path__ = []
    sys.modules["dativo_ingest"] = package
    for name in ("plugins", "validator", "config", "exceptions"):
        sys.modules[f"dativo_ingest.{name}"] = here
        setattr(package, name, here)


def load(kind: Any, where: Any, library: Any = None) -> Any:
    """The class of a reader or writer: `module:Class` beside this file, or a function of a shared library."""
    under_the_old_names()
    module, _, name = where.rpartition(":")
    if library is not None:
        shared = Shared(library, name)
        return shared.reader if kind == "reader" else shared.writer
    sys.path.insert(0, str(Path(__file__).parent / "own"))
    return getattr(importlib.import_module(module), name)


class Shared:
    """A shared library: `create_…(config_json)`, `extract_batch` or `write_batch`, `free_…`, `free_string`."""

    def __init__(self, path: Any, create: Any) -> None:
        self.library, self.create = ctypes.CDLL(path), create

    def call(self, name: Any, *arguments: Any, result: Any = ctypes.c_void_p) -> Any:
        """Call a function with pointers and texts."""
        function = getattr(self.library, name)
        function.argtypes = [ctypes.c_char_p if isinstance(one, bytes) else ctypes.c_void_p for one in arguments]
        function.restype = result
        return function(*arguments)

    def text(self, pointer: Any) -> Any:
        """The text at a pointer, which is given back to the library."""
        try:
            return (ctypes.cast(pointer, ctypes.c_char_p).value or b"").decode("utf-8")
        finally:
            self.call("free_string", pointer, result=None)

    def made(self, config: Any) -> Any:
        """A new reader or writer."""
        pointer = self.call(self.create, json.dumps(config, default=plain).encode())
        if not pointer:
            raise PluginError(f"{self.create} refused its settings")
        return pointer

    def reader(self, source: Any) -> Any:
        """A reader of the library."""
        keys = ("connection", "credentials", "incremental", "engine")
        lists = {key: getattr(source, key) or [] for key in ("objects", "files")}
        config = {"type": source.type, **lists, **{key: getattr(source, key) or {} for key in keys}}
        return SharedReader(self, self.made(config))

    def writer(self, asset: Any, target: Any, output_base: Any) -> Any:
        """A writer of the library."""
        config = {"asset_name": asset.name, "schema": asset.schema or [], "output_base": output_base,
                  "target_type": target.type, "connection": target.connection or {},
                  "file_format": target.file_format, "engine": target.engine or {}}  # fmt: skip
        return SharedWriter(self, self.made(config))


class SharedReader:
    """One reader of a library."""

    def __init__(self, shared: Any, pointer: Any) -> None:
        self.shared, self.pointer = shared, pointer

    def extract(self, state_manager: Any = None) -> Any:
        """Yield lists of records until there are none."""
        try:
            while True:
                pointer = self.shared.call("extract_batch", self.pointer)
                batch = json.loads(self.shared.text(pointer)) if pointer else []
                if not batch:
                    return
                yield batch
        finally:
            self.shared.call("free_reader", self.pointer, result=None)


class SharedWriter:
    """One writer of a library. A batch that it gives no answer to was not written."""

    def __init__(self, shared: Any, pointer: Any) -> None:
        self.shared, self.pointer = shared, pointer

    def write_batch(self, records: Any, file_counter: Any) -> Any:
        """Write, and tell which files were made."""
        text = json.dumps({"records": records, "file_counter": file_counter}, default=plain)
        pointer = self.shared.call("write_batch", self.pointer, text.encode())
        if not pointer:
            raise PluginError("write_batch failed")
        return json.loads(self.shared.text(pointer))

    def commit_files(self, file_metadata: Any) -> Any:
        """Commit, where the library knows how."""
        if hasattr(self.shared.library, "commit_files"):
            pointer = self.shared.call("commit_files", self.pointer, json.dumps(file_metadata).encode())
            if not pointer:
                raise PluginError("commit_files failed")
            self.shared.text(pointer)
        self.shared.call("free_writer", self.pointer, result=None)
        return {"status": "success", "files_added": len(file_metadata)}
