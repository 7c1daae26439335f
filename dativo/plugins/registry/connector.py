"""The connector that a plugin's or package's name tells: which system, in which direction.

Variants of a connector read or write the same system, whoever made them and whatever engine they have:
`tap-postgres`, `meltanolabs-tap-postgres` and `airbyte-source-postgres` all read postgres.
"""

from __future__ import annotations

import re

from dativo.dataclass import dataclass

_KINDS = {"tap": "tap", "source": "tap", "target": "target", "destination": "target"}
"""How the ecosystems call the two directions."""
_NAME = re.compile(r"(?:[a-z0-9._-]*?-)??(tap|source|target|destination)-(.+)")


@dataclass(frozen=True)
class Connector:
    """A system (`postgres`) and what is done with it (tap: read, target: write)."""

    kind: str
    system: str

    @property
    def name(self) -> str:
        """As Singer calls it: `tap-postgres`."""
        return f"{self.kind}-{self.system}"


def of_name(name: str) -> Connector | None:
    """The connector of a name; None of one that tells no direction, as a mapper's."""
    found = _NAME.fullmatch(name.lower().replace("_", "-"))
    return Connector(_KINDS[found[1]], found[2]) if found else None
