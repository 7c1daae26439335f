"""A target that misbehaves on request: the first argument names how. It writes what it read to the second."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

MODE = sys.argv[1] if len(sys.argv) > 1 else "ok"
COPY = Path(sys.argv[2]) if len(sys.argv) > 2 else None
copied = []
count, last = 0, None


def say(value):
    print(json.dumps(value), flush=True)


def until_term():
    """Lines of stdin; SIGTERM ends the program, but only between two of them, as a careful target does."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    wake, notify = os.pipe()
    os.set_blocking(notify, False)
    signal.set_wakeup_fd(notify)
    rest = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if 0 not in ready:
            say(last)  # what it has committed
            sys.exit(143)
        block = os.read(0, 65536)
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


if MODE == "log":
    print("INFO hello from target stdout", flush=True)
if MODE == "num":
    print("42", flush=True)
if MODE == "unread":  # claims a STATE that it has not read yet
    say({"bookmarks": {"t": {"id": 19}}})
    time.sleep(1)  # the bus hears it long before the first read
if MODE == "foreign":
    say({"somebody": "else's"})
if MODE == "closes":
    os.close(0)
    time.sleep(1000)
if MODE == "stuck":
    time.sleep(1000)
if MODE == "daemon":
    subprocess.Popen(
        ["sleep", "1000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
if MODE == "daemon-holds":
    subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, start_new_session=True)
if MODE == "half":  # reads a bit, exits 0 without looking at the rest
    os.read(0, 100)
    sys.exit(0)
for line in until_term() if MODE == "commits" else sys.stdin:
    copied.append(line)
    message = json.loads(line)
    if message["type"] == "RECORD":
        count += 1
    if message["type"] == "STATE":
        last = message["value"]
        if MODE in {"each", "commits"}:
            say(last)
        if MODE == "same":
            say(last)
            say(last)
    if MODE == "die1" and count == 5:
        sys.exit(1)
    if MODE == "die0" and count == 5:
        sys.exit(0)
    if MODE == "kill9" and count == 5:
        os.kill(os.getpid(), signal.SIGKILL)
print("target records", count, file=sys.stderr)
if COPY:
    COPY.write_text("".join(copied))
if MODE == "hangs":
    time.sleep(1000)
if MODE == "list":
    print("[1,2]")
elif MODE == "empty":
    print("{}")
elif MODE == "reordered":
    print(json.dumps(last, indent=None, separators=(" , ", " : ")))
elif MODE not in {"silent", "die0"} and last is not None:
    say(last)
