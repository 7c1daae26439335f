"""A reference, `secret://BACKEND/NAME#KEY`: parsed strictly, found anywhere in a config, never read here.

There is one way to write each name: no `..`, no `%`, no empty part, so that what a pattern allows is what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass

SCHEME = "secret://"
BACKENDS = ("env", "file", "keyring", "vault", "aws", "gcp", "azure", "exec")
LONGEST = 1024
Path = tuple[str | int, ...]
"""Where in a config a value stands: keys of objects and places in lists."""

_REFUSED = re.compile(r"[%?*\[\]\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Reference:
    """One secret of one backend; `key` chooses a part of it."""

    backend: str
    name: str
    key: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.backend}/{self.name}" + (f"#{self.key}" if self.key is not None else "")

    @property
    def short(self) -> str:
        """As it is called in messages: without the scheme."""
        return str(self).removeprefix(SCHEME)


def is_reference(value: Any) -> bool:
    """Whether a value is meant as a reference, well formed or not."""
    return isinstance(value, str) and value.strip()[: len(SCHEME)].lower() == SCHEME


def parse(text: str, where: str = "") -> Reference:
    """The reference that a text is, or ConfigError secret.invalid. `where` names the setting."""
    if len(text) > LONGEST:
        raise _invalid(where, "is longer than any name")
    if not text.startswith(SCHEME):
        raise _invalid(where, "does not begin with secret:// in small letters")
    if text != text.strip():
        raise _invalid(where, "has blank space around it")
    body, hash_sign, key = text.removeprefix(SCHEME).partition("#")
    backend, slash, name = body.partition("/")
    if backend not in BACKENDS:
        import difflib

        near = difflib.get_close_matches(backend, BACKENDS, n=1)
        hint = f"did you mean secret://{near[0]}/…?" if near else f"the backends are {', '.join(BACKENDS)}"
        raise _invalid(where, f"names the backend {backend!r}, which there is not", hint)
    if not slash or not name:
        raise _invalid(where, f"names nothing in {backend}", f"write secret://{backend}/NAME")
    if hash_sign and not key:
        raise _invalid(where, "ends with # and no key")
    if found := _REFUSED.search(name + key):
        raise _invalid(where, f"holds the character {found[0]!r}, which no reference may")
    # Only a file's name may begin with a slash: it is then an absolute path.
    parts = (name[1:] if backend == "file" and name.startswith("/") else name).split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise _invalid(where, "has an empty part, `.` or `..` in its name")
    return Reference(backend, name, key if hash_sign else None)


def found(value: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in a config that is meant as a reference, with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from found(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from found(item, (*at, index))
    elif is_reference(value):
        yield at, value


def without(value: Any) -> Any:
    """A config without its references: what is known before anything is read."""
    if isinstance(value, dict):
        return {key: without(item) for key, item in value.items() if not is_reference(item)}
    if isinstance(value, list):
        return [without(item) for item in value if not is_reference(item)]
    return value


def named(at: Path) -> str:
    """A place as people write it: `auth.tokens.0`."""
    return ".".join(map(str, at))


def _invalid(where: str, what: str, hint: str | None = None) -> errors.ConfigError:
    # The text itself is not quoted: somebody may have put a value where a name belongs (I13).
    return errors.ConfigError("secret.invalid", f"{where or 'a secret:// reference'} {what}", hint=hint)
