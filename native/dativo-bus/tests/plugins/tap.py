"""A tap that misbehaves on request: the first argument names how."""

import json
import os
import signal
import subprocess
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else "ok"
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}}


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def record(number, value="x"):
    write({"type": "RECORD", "stream": "t", "record": {"id": number, "v": value}})


def state(number):
    write({"type": "STATE", "value": {"bookmarks": {"t": {"id": number}}}})


def drain(_signal, _frame):
    state(999)
    sys.exit(0)


print("tap starts", file=sys.stderr)
if MODE == "flood":  # more log than anybody reads
    for number in range(20000):
        print("line", number, "y" * 100, file=sys.stderr)
if MODE == "long-log":
    print("z" * 200_000, file=sys.stderr)
if MODE == "early-record":
    record(1)
write({"type": "SCHEMA", "stream": "t", "schema": SCHEMA, "key_properties": ["id"]})
for n in range(10):
    record(n)
state(9)
if MODE == "exit1":
    sys.exit(1)
if MODE == "exit0half":
    sys.exit(0)
if MODE == "kill9":
    sys.stdout.write('{"type": "RECORD", "stream": "t", "rec')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
if MODE == "cut":  # exits 0 in the middle of a line
    sys.stdout.write('{"type": "RECORD", "stream": "t", "record": {"id": {"a": 1}')
    sys.exit(0)
if MODE == "stopped":  # what singer-sdk does on SIGTERM
    print("Received SIGTERM, shutting down gracefully", file=sys.stderr)
    sys.exit(0)
if MODE == "huge":
    record(99, "y" * 60_000_000)
if MODE == "over":
    record(99, "y" * 70_000_000)
if MODE == "stdoutlog":
    print("INFO hello from tap on stdout", flush=True)
if MODE == "blank":
    print(flush=True)
if MODE == "junk":  # thousands of junk lines between good ones
    for n in range(10, 3010):
        print()
        record(n)
        print("INFO", n)
if MODE == "invalid":
    print('{"type": "RECORD", "stream": "t", "record": {"id": 1,}}', flush=True)
if MODE == "utf8":
    sys.stdout.buffer.write(b'{"type": "RECORD", "stream": "t", "record": {"v": "\xff"}}\n')
if MODE == "lower":
    print('{"type": "record", "stream": "t", "record": {"id": 1}}', flush=True)
if MODE == "batch":
    write({"type": "BATCH", "stream": "t", "encoding": {"format": "jsonl"}, "manifest": []})
if MODE == "nan":
    print('{"type": "RECORD", "stream": "t", "record": {"id": NaN}}', flush=True)
if MODE in {"slow", "slow-drain", "slow-deaf"}:
    if MODE == "slow-drain":
        signal.signal(signal.SIGTERM, drain)
    if MODE == "slow-deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for n in range(10, 1_000_000):
        record(n)
        state(n)
        time.sleep(0.01)
if MODE == "daemon":  # leaves a process behind, in a session of its own, without our pipes
    subprocess.Popen(
        ["sleep", "1000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
if MODE == "daemon-holds":  # the same, and it keeps our stdout open
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
if MODE == "many":
    for n in range(10, 50_000):
        sys.stdout.write(f'{{"type": "RECORD", "stream": "t", "record": {{"id": {n}, "v": "x"}}}}\n')
for n in range(10, 20):
    record(n)
if MODE == "no-last-state":
    sys.exit(0)
state(19)
if MODE == "no-newline":
    sys.stdout.write('{"type": "STATE", "value": {"bookmarks": {"t": {"id": 20}}}}')
    sys.stdout.flush()
if MODE == "closes-and-stays":
    os.close(1)
    time.sleep(1000)
