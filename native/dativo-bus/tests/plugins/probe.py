"""Tells what a child got, as JSON: for the tests of its confinement."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
mask = os.umask(0)
print(
    json.dumps(
        {
            "argv": sys.argv[1:],
            "env": dict(os.environ),
            "cwd": os.getcwd(),
            "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd")),
            "pipes": [os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in (0, 1, 2)],
            "stdin": sys.stdin.read(),
            "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
            "no_new_privs": status["NoNewPrivs"],
            "blocked": status["SigBlk"],
            "ignored": signal.getsignal(signal.SIGHUP) is signal.SIG_IGN,
            "umask": mask,
            "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "files": {arg: Path(arg).read_text() for arg in sys.argv[1:] if os.path.isfile(arg)},
            "modes": {arg: oct(os.stat(arg).st_mode & 0o777) for arg in sys.argv[1:] if os.path.exists(arg)},
        }
    )
)
