"""Tries files and addresses that its arguments name: FOLDER. Nothing of what it tries has to work."""

import contextlib
import os
import socket
import subprocess
import sys
import threading

folder = sys.argv[1]


def attempt(action, *arguments):
    with contextlib.suppress(OSError):
        action(*arguments)


for _ in range(3):
    attempt(open, f"{folder}/secret.txt")
attempt(open, "beside/../relative.txt")
attempt(open, f"{folder}/made.txt", "w")
attempt(os.rename, f"{folder}/old", f"{folder}/new")
attempt(os.stat, f"{folder}/looked")
attempt(os.mkdir, f"{folder}/folder")
directory = os.open("/", os.O_RDONLY)
attempt(lambda: os.open(folder.lstrip("/") + "/from-root", os.O_RDONLY, dir_fd=directory))
attempt(subprocess.run, [f"{folder}/program"])
thread = threading.Thread(target=attempt, args=(open, f"{folder}/by-thread"))
thread.start()
thread.join()
if os.fork() == 0:
    attempt(open, f"{folder}/by-child")
    os._exit(0)
os.wait()
for name, port in (("db.invalid", 5432), ("127.0.0.1", 9)):
    with contextlib.suppress(OSError):
        socket.create_connection((name, port), timeout=2).close()
print("done")
