"""New namespaces and mounts: the ways to become root of something and to put something else in a file's place."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from tests.escape.attacks.attack import ROOT, Scene, attack
from tests.escape.attacks.calls import call

NEWUSER, NEWNS = 0x10000000, 0x20000
needs = {"needs": "userns"}


def in_child(scene: Scene, child: int) -> object:
    """What a call that forks gave back: the child holds its prey, the parent waits."""
    if child:
        time.sleep(60)
        os._exit(0)
    return scene.hold({"userns": True})


@attack("kernel", "unshare", "makes itself root of a user namespace", **needs)
def _(scene: Scene) -> object:
    call("unshare", NEWUSER)
    return scene.hold({"userns": True})


@attack("kernel", "clone", "starts a process in a user namespace with clone", **needs)
def _(scene: Scene) -> object:
    return in_child(scene, call("clone", NEWUSER | signal.SIGCHLD, 0, 0, 0, 0))


@attack("kernel", "clone3", "starts a process in a user namespace with clone3, whose flags no filter can read", **needs)
def _(scene: Scene) -> object:
    arguments = (ctypes.c_uint64 * 11)(NEWUSER, 0, 0, 0, int(signal.SIGCHLD))
    return in_child(scene, call("clone3", arguments, ctypes.sizeof(arguments)))


@attack("kernel", "mount-over", "mounts something over the user's files in namespaces of its own", **needs)
def _(scene: Scene) -> object:
    user = os.getuid()
    call("unshare", NEWUSER | NEWNS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    call("mount", scene.token.encode(), scene["mountpoint"].encode(), b"tmpfs", 0, None)
    return scene.hold({"mounted": scene.token})


@attack("kernel", "fsopen", "prepares a mount with the newer interface", **needs)
def _(scene: Scene) -> object:
    call("unshare", NEWUSER | NEWNS)
    return scene.hold({"fd": call("fsopen", b"tmpfs", 0), "is": "anon_inode:[fscontext]"})


@attack("kernel", "mount", "mounts something over the user's files", users=ROOT)
def _(scene: Scene) -> object:
    call("mount", scene.token.encode(), scene["mountpoint"].encode(), b"tmpfs", 0, None)
    return scene.hold({"mounted": scene.token})


@attack("kernel", "chroot", "changes its root", users=ROOT)
def _(scene: Scene) -> object:
    call("chroot", os.environ["TMPDIR"].encode())
    return scene.hold({"root": True})
