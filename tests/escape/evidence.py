"""Whether an attack got through, judged from outside: an attack's own word counts only with a secret in it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.escape import watch
from tests.escape.attacks.attack import Attack
from tests.escape.attacks.calls import call
from tests.escape.victims import Scene

Report = dict[str, Any]
Check = Callable[[Scene, str, Report], Any]


def judge(scene: Scene, attack: Attack, report: Report) -> str | None:
    """What proves the breach, None when there was none. For an attack that holds its prey call it while it does."""
    if attack.secret:
        key = f"file:{attack.id}" if attack.secret == "file" else attack.secret
        return f"has {attack.secret}" if scene.secrets[key] in str(report.get("got", "")) else None
    if "held" in report:
        proof = prey(scene, attack, report["held"])
    elif attack.id in OUTSIDE:
        proof = patiently(lambda: OUTSIDE[attack.id](scene, attack.id, report), 0.5 if "got" in report else 0)
    else:
        proof = scene.town.heard(scene.tokens[attack.id], 0.3 if "got" in report else 0) and "was heard"
    return str(proof) if proof else None


def patiently(check: Callable[[], Any], patience: float) -> Any:
    """The first answer that is one: a signal, for one, takes a moment."""
    until = time.monotonic() + patience
    while not (found := check()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def prey(scene: Scene, attack: Attack, held: Report) -> Any:
    """What an attack that is still alive holds."""
    pid = held.get("outside")
    if pid is None:
        return None
    for name, check in HELD.items():
        if name in held:
            return check(scene, pid, held[name], held)
    return None


def descriptor(_: Scene, pid: int, fd: int, held: Report) -> Any:
    link = watch.opened(pid).get(str(fd), ("",))[0]
    return link == held["is"] and link


def a_socket(_: Scene, pid: int, fd: int, __: Report) -> Any:
    link = watch.opened(pid).get(str(fd), ("",))[0]
    return link.startswith("socket:") and link


def namespace(_: Scene, pid: int, __: Any, held: Report) -> Any:
    mine, driver = (os.readlink(f"/proc/{one}/ns/user") for one in (pid, held["driver"]))
    return mine != driver and mine


def mounted(_: Scene, pid: int, token: str, __: Report) -> Any:
    return token in Path(f"/proc/{pid}/mountinfo").read_text() and "is mounted"


def rooted(_: Scene, pid: int, __: Any, held: Report) -> Any:
    mine, driver = (os.readlink(f"/proc/{one}/root") for one in (pid, held["driver"]))
    return mine != driver and f"its root is {mine}"


def capable(_: Scene, pid: int, __: Any, ___: Report) -> Any:
    found = watch.status(pid, "CapEff")
    return int(found or "0", 16) and found


def root_id(_: Scene, pid: int, __: Any, ___: Report) -> Any:
    """0 out here, in the namespace where the machine's files belong to it."""
    return "0" in watch.status(pid, "Uid").split() and "uid 0"


def child_is_root(_: Scene, __: int, child: int, held: Report) -> Any:
    pid = watch.named(child, set(held["mine"]))
    return pid and watch.status(pid, "Uid").split()[1:2] == ["0"] and "effective uid 0"


def visit(scene: Scene, _: int, port: int, held: Report) -> Any:
    token = scene.tokens[held["id"]]
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as one:
            return one.recv(100).decode() == token and "has a visitor"
    except OSError:
        return None


def visit_udp(scene: Scene, _: int, port: int, held: Report) -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.5)
        try:
            one.sendto(b"hello", ("127.0.0.1", port))
            return one.recv(100).decode() == scene.tokens[held["id"]] and "has answered"
        except OSError:
            return None


def abstract(_: Scene, __: int, name: str, ___: Report) -> Any:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(1)
        try:
            one.connect("\0" + name)
        except OSError:
            return None
    return "is reachable"


def size(_: Scene, pid: int, __: Any, ___: Report) -> Any:
    used = watch.disk(pid)
    return used >= watch.BEYOND["disk"] and f"{used // watch.MIB} MiB"


def segments(_: Scene, pid: int, __: Any, ___: Report) -> Any:
    """Segments belong to a namespace, not to a process."""
    used = watch.segments(pid)
    return used >= watch.BEYOND["memory"] and f"{used // watch.MIB} MiB"


def core(_: Scene, pid: int, path: str, __: Report) -> Any:
    return os.stat(f"/proc/{pid}/root{path}").st_size and "a core file"


def limit(_: Scene, pid: int, wanted: list[str], __: Report) -> Any:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    found = [line for line in lines if line.startswith(wanted[0])]
    return found and found[0].split()[-1] == wanted[1] and found[0]


HELD: dict[str, Callable[[Scene, int, Any, Report], Any]] = {
    "fd": descriptor,
    "socket": a_socket,
    "userns": namespace,
    "mounted": mounted,
    "root": rooted,
    "capabilities": capable,
    "root_id": root_id,
    "child": child_is_root,
    "visit": visit,
    "visit_udp": visit_udp,
    "abstract": abstract,
    "disk": size,
    "core": core,
    "segments": segments,
    "limit": limit,
    "descriptors": lambda s, pid, v, h: (n := len(watch.opened(pid))) >= watch.BEYOND["descriptors"] and f"{n} open",
    "personality": lambda s, pid, v, h: int(Path(f"/proc/{pid}/personality").read_text(), 16) & v and "personality",
    "tty": lambda s, pid, v, h: watch.fields(pid)[4:5] == [str(os.stat(s.terminal_path).st_rdev)] and "has the tty",
    "nice": lambda s, pid, v, h: watch.fields(pid)[16:17] == [str(v)] and f"niceness {v}",
    "policy": lambda s, pid, v, h: watch.fields(pid)[38:39] == [str(v)] and f"scheduling class {v}",
    "oom": lambda s, pid, v, h: Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == str(v) and f"score {v}",
}


def content(scene: Scene, name: str, _: Report) -> Any:
    """A victim's file is not what it was."""
    file = scene.files[name]
    if not file.exists():
        return "the file is gone"
    return scene.secrets[f"file:{name}"] not in file.read_text() and "the file has changed"


def appended(scene: Scene, name: str, _: Report) -> Any:
    return scene.tokens[name] in scene.files[name].read_text() and "the file has changed"


def mode(expected: int) -> Check:
    return lambda scene, name, _: scene.files[name].stat().st_mode & 0o777 != expected and "the mode has changed"


def planted(folder: str) -> Check:
    return lambda scene, name, _: Path(folder, scene.tokens[name]).exists() and f"is in {folder}"


def dead(scene: Scene, name: str, _: Report) -> Any:
    return scene.processes[name].poll() is not None and "the victim is dead"


def of_victim(look: Callable[[int], Any]) -> Check:
    return lambda scene, name, _: look(scene.processes[name].pid)


def keeper_memory(offset: int) -> Check:
    def check(scene: Scene, name: str, _: Report) -> Any:
        with open(f"/proc/{scene.keeper.pid}/mem", "rb", 0) as memory:
            memory.seek(scene.facts["keeper_page"] + offset)
            return scene.tokens[name].encode() in memory.read(64) and "its memory has changed"

    return check


def signalled(scene: Scene, _: str, __: Report) -> Any:
    assert scene.keeper.stdout
    os.set_blocking(scene.keeper.stdout.fileno(), False)
    return b"signalled" in (scene.keeper.stdout.read(1000) or b"") and "the victim was signalled"


def semaphore(scene: Scene, _: str, __: Report) -> Any:
    return call("semctl", scene.ipc["sem"], 0, 12, 0) == 0 and "the semaphore is taken"


def removed(scene: Scene, _: str, __: Report) -> Any:
    try:
        call("shmget", scene.facts["ipc_key"] + 1, 0, 0)
    except OSError:
        return "the segment is gone"
    return None


def key_planted(scene: Scene, name: str, _: Report) -> Any:
    try:
        return call("keyctl", 10, -3, b"user", scene.tokens[name].encode(), 0) and "the key is there"
    except OSError:
        return None


def shm_changed(scene: Scene, name: str, _: Report) -> Any:
    return scene.tokens[name].encode() in Path("/dev/shm", scene.facts["shm"]).read_bytes() and "it has changed"


def echo(scene: Scene, _: str, report: Report) -> Any:
    """The kernel of this world has answered one more echo; each attack sends one."""
    if "got" not in report or watch.echoes() <= scene.echoes:
        return None
    scene.echoes += 1
    return "an echo came"


def address(scene: Scene, _: str, __: Report) -> Any:
    return scene.facts["new_address"] in Path("/proc/net/fib_trie").read_text() and "the address is there"


def got_equals(expected: Callable[[], str]) -> Check:
    return lambda scene, name, report: report.get("got") and report["got"] in expected() and "has it"


def kernel_log() -> str:
    buffer = ctypes.create_string_buffer(1 << 20)
    size = call("syslog", 3, buffer, 1 << 20)
    return buffer.raw[:size].decode("latin-1")


def ioprio(pid: int) -> Any:
    return call("ioprio_get", 1, pid) >> 13 == 3 and "idle I/O"


def hostname(scene: Scene, name: str, _: Report) -> Any:
    return socket.gethostname() == scene.tokens[name] and "the name has changed"


OUTSIDE: dict[str, Check] = {
    **dict.fromkeys(
        ("write-state", "truncate", "rename", "unlink", "exchange", "rename-over"),
        content,
    ),
    "read-shadow": got_equals(lambda: hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest()),
    "stat-secret": lambda s, name, r: r.get("got") == s.files[name].stat().st_size and "knows its size",
    "chmod": mode(0o600),
    "fchmod": mode(0o644),
    "chown": lambda s, name, r: s.files[name].stat().st_uid == 65534 and "the owner has changed",
    "utime": lambda s, name, r: s.files[name].stat().st_mtime == 1 and "the time has changed",
    "setxattr": lambda s, name, r: os.listxattr(s.files[name]) and "there is an attribute",
    "append-bashrc": lambda s, name, r: s.tokens[name] in (s.home / ".bashrc").read_text() and "the file has changed",
    "plant-pth": lambda s, name, r: Path(s.facts["site"], f"{s.tokens[name]}.pth").exists() and "the file is there",
    "overwrite-program": appended,
    "plant-tmp": planted("/tmp"),
    "plant-setuid": planted("/tmp"),
    "plant-shm": planted("/dev/shm"),
    "mknod": planted("/tmp"),
    "proc-mem-write": keeper_memory(0),
    "vm-writev": keeper_memory(256),
    **dict.fromkeys(("kill", "pidfd-signal", "sigqueue", "killpg"), dead),
    "signal-everyone": signalled,
    "stop": of_victim(lambda pid: watch.state(pid) == "T" and "the victim is stopped"),
    "prlimit": of_victim(lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) == (3, 3) and "its limit is 3"),
    "setpriority": of_victim(lambda pid: os.getpriority(os.PRIO_PROCESS, pid) == 19 and "niceness 19"),
    "affinity": of_victim(lambda pid: len(os.sched_getaffinity(pid)) == 1 and "one CPU"),
    "scheduler": of_victim(lambda pid: os.sched_getscheduler(pid) == os.SCHED_IDLE and "idle"),
    "ioprio": of_victim(ioprio),
    "oom-score": of_victim(lambda pid: Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n" and "score 1000"),
    "sysv-shm-remove": removed,
    "sysv-sem": semaphore,
    "shm-write": shm_changed,
    "key-plant": key_planted,
    "ping": echo,
    "raw-icmp": echo,
    "netlink-add": address,
    "kernel-log": got_equals(kernel_log),
    "kallsyms": got_equals(lambda: Path("/proc/kallsyms").read_text()),
    "sysctl": lambda s, name, r: Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == "63\n" and "it has changed",
    "hostname": hostname,
    "standard-files": lambda s, name, r: r.get("got"),
    "truncate-log": lambda s, name, r: "got" in r and "it could",
}
