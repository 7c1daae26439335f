"""`secret://file/PATH#KEY`: a private file, as text, or one key of JSON, YAML or dotenv; encrypted by sops or age too.

A plain file must be the user's own and closed to everybody else (0600 or 0400). An encrypted one may lie anywhere, also
in version control; the age identity that opens it is held to the same rule as a plain file.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dativo.secrets import dotenv, faults, program
from dativo.secrets.backend import Backend, pick, replaced


class File(Backend):
    """Files of this machine; compare-and-set under a lock, by renaming a finished file over the old one."""

    scheme = "file"

    def canonical(self, name: str) -> str:
        """Where a name really leads: below the project relative to it, else absolute; links followed."""
        real, root = self._path(name).resolve(), self.around.root.resolve()
        return str(real.relative_to(root)) if real.is_relative_to(root) else str(real)

    def read(self, name: str, key: str | None) -> Any:
        """The whole text, or one key; YAML and dotenv are parsed only when a key is asked for."""
        return super().read(name, None) if key is None else pick(self._keys(name), key, self.called(name))

    def content(self, name: str) -> str:
        """The file's text, decrypted if it is encrypted."""
        path = self._path(name)
        opened = self._encrypted(path)
        text = opened(path) if opened else program.text(private(path, self.called(name)), self.called(name))
        if not text:
            raise faults.unknown(self.called(name), "the file is empty")
        return text

    def can_write(self, name: str) -> bool:
        """Encrypted files are for those who can encrypt."""
        return self._encrypted(self._path(name)) is None

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Replace a value: whoever has the lock reads, compares and renames."""
        path, what = self._path(name).resolve(), self.called(name)
        with _locked(path, what):
            self.forget(name)
            text = program.text(private(path, what), what)
            kind = _kind(path)
            if key is None or kind == "json":
                fresh = str(replaced(text, key, old, new, what))
            else:
                if pick(_parsed(text, kind, what), key, what) != old:
                    raise faults.changed(what)
                fresh = dotenv.replaced(text, key, str(new)) if kind == "dotenv" else _in_yaml(text, key, new)
            ends = "" if fresh.endswith("\n") else "\n"
            _write(path, fresh + ends, what)

    def _path(self, name: str) -> Path:
        return self.around.root / name

    def _keys(self, name: str) -> Any:
        return _parsed(super().read(name, None), _kind(self._path(name)), self.called(name))

    # -- encrypted ones

    def _encrypted(self, path: Path) -> Callable[[Path], str] | None:
        if path.suffix == ".age":
            return self._age
        return self._sops if ".sops." in path.name or ".enc." in path.name else None

    def _identity(self) -> Path | None:
        given = self.around.text("identity")
        return self.around.root / Path(given).expanduser() if given else None

    def _age(self, path: Path) -> str:
        what = f"file/{path.name}"
        found, identity = program.find("age", what), self._identity()
        if identity is None:
            raise faults.unset("file", "identity")
        private(identity, "secrets.file.identity")
        return self._decrypted([found, "--decrypt", "--identity", str(identity)], path, what, {})

    def _sops(self, path: Path) -> str:
        what = f"file/{path.name}"
        identity = self._identity()
        env = {"SOPS_AGE_KEY_FILE": str(identity)} if identity else {}
        return self._decrypted([program.find("sops", what), "--decrypt"], path, what, env)

    def _decrypted(self, argv: list[str], path: Path, what: str, env: dict[str, str]) -> str:
        if not path.is_file():
            raise faults.unknown(what, "there is no such file")
        # An absolute path cannot be taken for an option.
        done = program.run(
            [*argv, str(path.absolute())], what=what, timeout=self.around.timeout, cwd=self.around.root, env=env
        )
        if done.code != 0:
            said = done.stderr.strip().splitlines()
            raise faults.failed(what, f"{Path(argv[0]).name} could not open it{f': {said[0][:160]}' if said else ''}")
        return program.text(done.stdout, what)


def private(path: Path, what: str) -> bytes:
    """The bytes of a file that nobody but its owner, who runs us, may read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise faults.unknown(what, "there is no such file") from None
    except OSError as problem:
        raise faults.failed(what, f"it cannot be read: {problem.strerror}") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise faults.failed(what, "it is no file")
        if found.st_uid != os.geteuid():
            raise faults.failed(what, "it belongs to another user", "make the user who runs dativo its owner")
        if stat.S_IMODE(found.st_mode) not in (0o600, 0o400):
            mode = f"{stat.S_IMODE(found.st_mode):04o}"
            raise faults.failed(what, f"its mode is {mode}, so others could use it", f"chmod 600 {path}")
        if found.st_size > program.LARGEST:
            raise faults.failed(what, f"more than {program.LARGEST:,} bytes is no secret")
        return os.read(fd, program.LARGEST)
    finally:
        os.close(fd)


def _kind(path: Path) -> str:
    name = path.name.removesuffix(".age")
    if name.endswith((".yml", ".yaml")):
        return "yaml"
    return "dotenv" if name.endswith(".env") or name.startswith(".env") else "json"


def _parsed(text: str, kind: str, what: str) -> Any:
    """The keys of a text; JSON is left for `pick` to parse."""
    if kind == "dotenv":
        try:
            return dotenv.parse(text)
        except ValueError as problem:
            raise faults.failed(what, f"line {problem}") from None
    if kind == "json":
        return text
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        # Everything stays text: 0123 and 2024-01-01 are as good a password as any.
        data = YAML(typ="base", pure=True).load(text)
    except (YAMLError, RecursionError):
        raise faults.failed(what, "it is not YAML") from None
    if not isinstance(data, dict):
        raise faults.unknown(what, "it holds no keys")
    return data


def _in_yaml(text: str, key: str, new: Any) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    data = yaml.load(text)
    at, parts = data, [key] if key in data else key.split(".")
    for part in parts[:-1]:
        at = at[part]
    at[parts[-1]] = new
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


@contextlib.contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    """The lock is on the folder: the file itself is replaced."""
    try:
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as problem:
        raise faults.failed(what, f"its folder cannot be opened: {problem.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _write(path: Path, text: str, what: str) -> None:
    try:
        fd, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made 0600
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(fd)
            os.replace(fresh, path)  # noqa: PTH105 - beside mkstemp
        except BaseException:
            os.unlink(fresh)  # noqa: PTH108
            raise
    except OSError as problem:
        raise faults.failed(what, f"it cannot be written: {problem.strerror}") from None
