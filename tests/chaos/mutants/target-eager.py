"""A target that prints each STATE when it reads it, and gives the real target nothing before the end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

LATE = 60
"""Seconds: whoever wants to end this before anything is stored has the time."""


def main() -> int:
    """Keep, promise, and deliver much later."""
    with tempfile.TemporaryFile() as kept:
        for line in sys.stdin.buffer:
            kept.write(line)
            if line.startswith(b'{"type":"STATE","value":'):
                sys.stdout.buffer.write(line.rstrip()[len(b'{"type":"STATE","value":') : -1] + b"\n")
                sys.stdout.buffer.flush()
        time.sleep(LATE)
        kept.seek(0)
        return subprocess.run(sys.argv[1:], stdin=kept, check=False).returncode


sys.exit(main())
