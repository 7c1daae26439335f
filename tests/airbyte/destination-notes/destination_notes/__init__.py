"""A destination as most people would write it, on airbyte-cdk: rows go into tables of an SQLite file.

It commits at each STATE, and hands it back then. With `die_at` it dies at that row, once, with rows uncommitted.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from logging import Logger
from pathlib import Path
from typing import Any

from airbyte_cdk.destinations import Destination
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    ConfiguredAirbyteCatalog,
    ConnectorSpecification,
    DestinationSyncMode,
    Status,
    Type,
)

SETTINGS = {
    "type": "object",
    "title": "Notes",
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "description": "The SQLite file."},
        "token": {"type": "string", "airbyte_secret": True},
        "die_at": {"type": "integer"},
    },
}


class Notes(Destination):
    def spec(self, *args: Any, **kwargs: Any) -> ConnectorSpecification:
        return ConnectorSpecification(
            connectionSpecification=SETTINGS,
            supportsIncremental=True,
            supported_destination_sync_modes=list(DestinationSyncMode),
        )

    def check(self, logger: Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        if not Path(config["path"]).parent.is_dir():
            return AirbyteConnectionStatus(status=Status.FAILED, message="there is no such folder")
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def write(
        self,
        config: Mapping[str, Any],
        configured_catalog: ConfiguredAirbyteCatalog,
        input_messages: Iterable[AirbyteMessage],
    ) -> Iterable[AirbyteMessage]:
        database = sqlite3.connect(config["path"])
        keys = {}
        for one in configured_catalog.streams:
            table = _table(one.stream.namespace, one.stream.name)
            mode = one.destination_sync_mode
            key = [path[0] for path in one.primary_key or []] if mode is DestinationSyncMode.append_dedup else []
            keys[table] = key
            told = (table, mode.value, one.generation_id, one.minimum_generation_id, one.sync_id)
            database.execute("CREATE TABLE IF NOT EXISTS starts (name, mode, generation, minimum, sync)")
            database.execute("INSERT INTO starts VALUES (?, ?, ?, ?, ?)", told)
            database.execute(f'CREATE TABLE IF NOT EXISTS "{table}" (key TEXT UNIQUE, data TEXT, emitted_at INTEGER)')
            if mode is DestinationSyncMode.overwrite:
                database.execute(f'DELETE FROM "{table}"')
        database.commit()
        rows, died = 0, Path(config["path"] + ".died")
        for message in input_messages:
            if message.type is Type.RECORD and message.record is not None:
                rows += 1
                if rows == config.get("die_at") and not died.exists():
                    died.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                record = message.record
                table = _table(record.namespace, record.stream)
                key = json.dumps([record.data[name] for name in keys[table]]) if keys[table] else None
                row = (key, json.dumps(record.data), record.emitted_at)
                database.execute(f'INSERT OR REPLACE INTO "{table}" VALUES (?, ?, ?)', row)
            elif message.type is Type.STATE:
                database.commit()
                yield message
        database.commit()


def _table(namespace: str | None, name: str) -> str:
    return f"{namespace}.{name}" if namespace else name


def main() -> None:
    """The console script."""
    Notes().run(sys.argv[1:])
