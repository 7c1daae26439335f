"""The window onto the indexes that a build is given."""

import socket
import struct
import threading
import time

from dativo.plugins.window import Window


def handlers():
    """The threads in which callers are answered."""
    return [one for one in threading.enumerate() if "process_request_thread" in one.name]


def test_a_build_that_hangs_up_leaves_no_traceback(capfd):
    """As the uv of a build that was killed does."""
    with Window([]) as window:
        host, port = window.address.split(":")
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\n")
            while not handlers():
                time.sleep(0.01)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing it is a reset
        while handlers():
            time.sleep(0.01)
    assert capfd.readouterr().err == ""
