#!/usr/bin/python3
"""An Airbyte destination that does what its config says: it keeps each message it reads as a line of `file`.

`echo`: `all` (the default: each STATE comes back), `last` (once, at the end), `none`, `wrong`, `early` (a state that it
was not given), `bare` (as PyAirbyte prints it). `say` holds lines that it prints at its start, a line as a text or as a
list of [text, times], `die_at` the number of the record at which it kills itself, once, `refuses` an id that it dies of
each time, `trouble` a failure_type that it tells of behind the first record, with `end` its exit code.
"""

import json
import os
import signal
import sys

SPEC = {
    "supportsIncremental": True,
    "supported_destination_sync_modes": ["append", "overwrite", "append_dedup"],
    "connectionSpecification": {
        "type": "object",
        "title": "Fault",
        "properties": {
            "file": {"type": "string"},
            "echo": {"type": "string"},
            "say": {"type": "array"},
            "die_at": {"type": "integer"},
            "refuses": {"type": "integer"},
            "trouble": {"type": "string"},
            "end": {"type": "integer"},
            "renew": {"type": "string"},
            "refuse": {"type": "string"},
            "token": {"type": "string", "airbyte_secret": True},
        },
    },
}


def say(message):
    text = message if isinstance(message, str) else json.dumps(message)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.buffer.flush()


def error(kind):
    told = {"message": "the harbour is closed", "internal_message": "Harbour(7)", "failure_type": kind}
    say({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": told}})


def echoed(state, echo):
    if echo == "wrong":
        state = json.loads(json.dumps(state))
        state["stream"]["stream_state"] = {"singer": '{"bookmarks": {"boats": {"id": 1000000}}}'}
    say(state if echo == "bare" else {"type": "STATE", "state": state})


def write(config, catalog):
    echo, held, rows = config.get("echo", "all"), [], 0
    for one in config.get("say", []):
        say(one if isinstance(one, str) else "".join(text * times for text, times in one))
    if "renew" in config:
        fresh = {**config, "token": config["renew"]}
        control = {"type": "CONNECTOR_CONFIG", "emitted_at": 1, "connectorConfig": {"config": fresh}}
        say({"type": "CONTROL", "control": control})
    if echo == "early":
        said = {"stream_descriptor": {"name": "boats"}, "stream_state": {"singer": "{}"}}
        say({"type": "STATE", "state": {"type": "STREAM", "stream": said}})
    with open(config["file"], "a") as file:
        file.write(json.dumps({"start": {one["stream"]["name"]: one for one in catalog["streams"]}}) + "\n")
        for line in sys.stdin:
            message = json.loads(line)
            rows += message["type"] == "RECORD"
            died = config["file"] + ".died"
            if message["type"] == "RECORD" and rows == config.get("die_at") and not os.path.exists(died):
                open(died, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if message["type"] == "RECORD" and message["record"]["data"].get("id") == config.get("refuses", -1):
                sys.exit("ValueError: this one does not fit")
            if message["type"] == "RECORD" and "trouble" in config:
                error(config["trouble"])
                sys.exit(config.get("end", 1))
            held.append(line)
            if message["type"] == "STATE":
                file.write("".join(held))
                file.flush()
                held = []
                if echo in ("all", "wrong", "bare"):
                    echoed(message["state"], echo)
                last = message["state"]
        file.write("".join(held))
    if echo == "last":
        echoed(last, echo)


def read(path):
    with open(path) as file:
        return json.load(file)


def main(question, **files):
    config = read(files["config"]) if "config" in files else {}
    if question == "spec":
        say({"type": "SPEC", "spec": SPEC})
    elif question == "check":
        refused = {"status": "FAILED", "message": config["refuse"]} if "refuse" in config else {"status": "SUCCEEDED"}
        say({"type": "CONNECTION_STATUS", "connectionStatus": refused})
    else:
        write(config, read(files["catalog"]))


if __name__ == "__main__":
    words = sys.argv[2:]
    main(sys.argv[1], **{name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2])})
