"""System calls by name, raw: an OSError when the kernel refuses."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

X86_64 = {
    "add_key": 248, "bpf": 321, "chroot": 161, "clone": 56, "clone3": 435, "fanotify_init": 300, "fanotify_mark": 301,
    "fsopen": 430, "inotify_add_watch": 254, "inotify_init1": 294, "io_uring_setup": 425, "ioprio_get": 252,
    "ioprio_set": 251, "keyctl": 250, "landlock_create_ruleset": 444, "memfd_create": 319, "mount": 165,
    "mq_open": 240, "mq_timedreceive": 243, "mq_timedsend": 242, "mq_unlink": 241, "msgget": 68, "msgrcv": 70,
    "msgsnd": 69, "name_to_handle_at": 303, "open_by_handle_at": 304, "perf_event_open": 298, "personality": 135,
    "pidfd_getfd": 438, "pidfd_open": 434, "pidfd_send_signal": 424, "prctl": 157, "prlimit64": 302,
    "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "renameat2": 316, "request_key": 249,
    "rt_sigqueueinfo": 129, "semctl": 66, "semget": 64, "semop": 65, "sendmmsg": 307, "sethostname": 170,
    "setns": 308, "setpriority": 141, "setxattr": 188, "shmat": 30, "shmctl": 31, "shmdt": 67, "shmget": 29,
    "syslog": 103, "umount2": 166, "unshare": 272, "userfaultfd": 323,
}  # fmt: skip
GENERIC = {
    "add_key": 217, "bpf": 280, "chroot": 51, "clone": 220, "clone3": 435, "fanotify_init": 262, "fanotify_mark": 263,
    "fsopen": 430, "inotify_add_watch": 27, "inotify_init1": 26, "io_uring_setup": 425, "ioprio_get": 31,
    "ioprio_set": 30, "keyctl": 219, "landlock_create_ruleset": 444, "memfd_create": 279, "mount": 40, "mq_open": 180,
    "mq_timedreceive": 183, "mq_timedsend": 182, "mq_unlink": 181, "msgget": 186, "msgrcv": 188, "msgsnd": 189,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "perf_event_open": 241, "personality": 92, "pidfd_getfd": 438,
    "pidfd_open": 434, "pidfd_send_signal": 424, "prctl": 167, "prlimit64": 261, "process_vm_readv": 270,
    "process_vm_writev": 271, "ptrace": 117, "renameat2": 276, "request_key": 218, "rt_sigqueueinfo": 138,
    "semctl": 191, "semget": 190, "semop": 193, "sendmmsg": 269, "sethostname": 161, "setns": 268, "setpriority": 140,
    "setxattr": 5, "shmat": 196, "shmctl": 195, "shmdt": 197, "shmget": 194, "syslog": 116, "umount2": 39,
    "unshare": 97, "userfaultfd": 282,
}  # fmt: skip
NUMBERS = X86_64 if platform.machine() == "x86_64" else GENERIC


def child(run: Callable[[], Any]) -> int:
    """A process that does that and ends, however it went; its id."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    return pid


def call(name: str, *arguments: Any) -> int:
    """`syscall(2)`. Integers go as longs, bytes as pointers, the rest as ctypes has it."""
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    ctypes.set_errno(0)
    result = int(LIBC.syscall(ctypes.c_long(NUMBERS[name]), *passed))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))
