"""A victim: a program of the user with a secret in its environment, arguments, memory, files, folder and name.

Started by `tests.escape.victims`, which gives it its secrets on stdin and reads where they are from its stdout.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    secrets = json.loads(sys.stdin.readline())
    memory = ctypes.create_string_buffer(secrets["memory"].encode(), 64)
    page = ctypes.create_string_buffer(4096)
    fd = os.memfd_create("keeper")
    os.write(fd, secrets["fd"].encode())
    os.lseek(fd, 0, os.SEEK_SET)
    folder = Path(secrets["home"], secrets["cwd"])
    folder.mkdir()
    (folder / "note").write_text(secrets["cwd-file"])
    os.chdir(folder)
    file = Path(secrets["home"], secrets["mapped"])
    file.write_bytes(bytes(4096))
    with file.open("r+b") as opened:
        mapped = mmap.mmap(opened.fileno(), 4096)
    ctypes.CDLL(None).prctl(15, secrets["comm"].encode()[:15], 0, 0, 0)
    signal.signal(signal.SIGURG, lambda *_: os.write(1, b"signalled\n") and None)
    told = {"fd": fd, "address": ctypes.addressof(memory), "page": ctypes.addressof(page)}
    os.write(1, json.dumps(told).encode() + b"\n")
    while mapped:
        signal.pause()


if __name__ == "__main__":
    main()
