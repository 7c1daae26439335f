#!/usr/bin/python3
"""An Airbyte source that does what its config says: `rows` honest rows, or `say`, lines as they stand, and an `end`.

`say` holds texts and [text, times]; `end` is an exit code or "kill". Each start appends a line to the file `starts`.
"""

import json
import os
import signal
import sys

USERS = {
    "name": "users",
    "json_schema": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}, "card": {"type": "string"}},
    },
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_cursor": True,
    "default_cursor_field": ["id"],
    "source_defined_primary_key": [["id"]],
}
SPEC = {
    "connectionSpecification": {
        "type": "object",
        "title": "Fault",
        "properties": {
            "rows": {"type": "integer"},
            "die_at": {"type": "integer"},
            "say": {"type": "array"},
            "end": {},
            "hang": {"type": "boolean"},
            "starts": {"type": "string"},
            "renew": {"type": "string"},
            "refuse": {"type": "string"},
            "token": {"type": "string", "airbyte_secret": True},
        },
    }
}


def tell(kind: str, **members: object) -> None:
    print(json.dumps({"type": kind, **members}), flush=True)


def option(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def load(name: str) -> object:
    path = option(name)
    if path is None:
        return None
    with open(path) as file:
        return json.load(file)


def status(name: str) -> None:
    told = {"stream_descriptor": {"name": "users"}, "status": name}
    tell("TRACE", trace={"type": "STREAM_STATUS", "emitted_at": 1.5, "stream_status": told})


def rows(config: dict, states: list) -> None:
    known = {one["stream"]["stream_descriptor"]["name"]: one["stream"]["stream_state"] for one in states}
    done = known.get("users", {}).get("id", 0)
    tell(
        "TRACE",
        trace={"type": "ESTIMATE", "estimate": {"type": "STREAM", "name": "users", "row_estimate": config["rows"]}},
    )
    status("STARTED")
    came = 0
    for number in range(done + 1, config["rows"] + 1):
        row = {"id": number, "name": f"n{number}", "card": "4111"}
        tell("RECORD", record={"stream": "users", "data": row, "emitted_at": 1795407331741})
        came += 1
        if number % 10 == 0 or number == config["rows"]:
            state = {"stream_descriptor": {"name": "users"}, "stream_state": {"id": number}}
            tell("STATE", state={"type": "STREAM", "stream": state, "sourceStats": {"recordCount": float(came)}})
            came = 0
        if number == config.get("die_at") and not states:
            os.kill(os.getpid(), signal.SIGKILL)
    status("COMPLETE")


def read(config: dict, states: list) -> None:
    if config.get("starts"):
        with open(config["starts"], "a") as file:
            catalog = load("--catalog")
            modes = {one["stream"]["name"]: one["sync_mode"] for one in catalog["streams"]}
            file.write(json.dumps({"states": states, "modes": modes, "token": config.get("token")}) + "\n")
    if config.get("renew"):
        renewed = {**config, "token": config["renew"]}
        control = {"type": "CONNECTOR_CONFIG", "emitted_at": 1, "connectorConfig": {"config": renewed}}
        tell("CONTROL", control=control)
    if "rows" in config:
        rows(config, states)
    for step in config.get("say", []):
        text, times = step if isinstance(step, list) else (step, 1)
        for _ in range(times):
            sys.stdout.write(text)
        sys.stdout.flush()
    while config.get("hang"):
        signal.pause()
    end = config.get("end", 0)
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(end)


config = load("--config") or {}
match sys.argv[1]:
    case "spec":
        tell("LOG", log={"level": "INFO", "message": "a line before the answer"})
        tell("SPEC", spec=SPEC)
    case "check":
        refused = config.get("refuse")
        told = {"status": "FAILED", "message": refused} if refused else {"status": "SUCCEEDED"}
        tell("CONNECTION_STATUS", connectionStatus=told)
    case "discover":
        print("a line that is no message")
        tell(
            "CATALOG",
            catalog={
                "streams": [
                    USERS,
                    {"name": "notes", "namespace": "shop", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                ]
            },
        )
    case "read":
        read(config, load("--state") or [])
