"""Who may name which secret: `secrets.tenants` maps a tenant to patterns over `backend/name` (I6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from dativo import errors
from dativo.dataclass import dataclass


@dataclass(frozen=True)
class Tenants:
    """The map, and whose job this is. Without a map every job may name every secret."""

    patterns: Mapping[str, Sequence[str]] | None = None
    tenant: str | None = None

    def check(self, backend: str, name: str, where: str) -> None:
        """Raise ConfigError secret.tenant unless this job may name the secret, given in its one spelling.

        `*` stands for any characters, slashes too.
        """
        where = where or "a secret:// reference"
        if self.patterns is None:
            return
        full = f"{backend}/{name}"
        if self.tenant is None:
            if any(_matches(patterns, full) for patterns in self.patterns.values()):
                raise errors.ConfigError(
                    "secret.tenant",
                    f"{where} names a secret of a tenant, and this job has none",
                    hint="give the job its tenant: tenant: NAME, or --tenant",
                )
            return
        mine = self.patterns.get(self.tenant)
        if mine is None:
            raise errors.ConfigError(
                "secret.tenant", f"{where}: there is no tenant {self.tenant} in secrets.tenants", hint="check its name"
            )
        if not _matches(mine, full):
            raise errors.ConfigError("secret.tenant", f"{where} names a secret that is not one of tenant {self.tenant}")


def _matches(patterns: Sequence[str], name: str) -> bool:
    # Key Vault does not tell capitals from small letters; its names come in small ones.
    return any(fnmatchcase(name, one.lower() if one.startswith("azure/") else one) for one in patterns)


def agreed(said: Mapping[str, str | None]) -> str | None:
    """The tenant that everybody names who names one: a job cannot leave the tenant that its project or caller set."""
    named = {place: name for place, name in said.items() if name}
    if len(set(named.values())) > 1:
        shown = ", ".join(f"{place}: {name}" for place, name in named.items())
        raise errors.ConfigError("secret.tenant", f"the tenant is not the same everywhere ({shown})")
    return next(iter(named.values()), None)
