"""`secret://vault/MOUNT/PATH#KEY`: HashiCorp Vault's KV store, version 1 or 2, by token or AppRole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.secrets import faults
from dativo.secrets.backend import Backend, replaced

TRIES = 5
"""How often a write is tried again because another key of the same secret was changed meanwhile."""


class Vault(Backend):
    """Compare-and-set is Vault's own (`cas` of KV version 2): it holds between machines too."""

    scheme = "vault"
    _client: Any = None

    def content(self, name: str) -> Any:
        """The secret's keys."""
        return self._versioned(name)[0]

    def can_write(self, name: str) -> bool:
        """KV version 1 has no compare-and-set."""
        return self._version(self._place(name)[0]) == 2

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Write a new version on top of the one that was compared, and no other."""
        client = self.client  # names the SDK that is missing, before its exceptions are asked for
        from hvac.exceptions import InvalidRequest

        mount, path = self._place(name)
        what = self.called(name)
        for _ in range(TRIES):
            self.forget(name)
            data, version = self._versioned(name)
            fresh = replaced(data, key, old, new, what)
            try:
                with self._told(what):
                    client.secrets.kv.v2.create_or_update_secret(
                        path=path, secret=fresh, cas=version, mount_point=mount
                    )
            except InvalidRequest as problem:
                if "check-and-set" not in str(problem):
                    raise faults.failed(what, "Vault does not take the new value") from None
            else:
                return
        raise faults.changed(what)

    @property
    def client(self) -> Any:
        """The client, logged in once."""
        if self._client is None:
            self._client = self._logged_in()
        return self._client

    def _versioned(self, name: str) -> tuple[dict[str, Any], int]:
        mount, path = self._place(name)
        client = self.client
        from hvac.exceptions import InvalidPath

        what = self.called(name)
        try:
            with self._told(what):
                if self._version(mount) == 1:
                    found = client.secrets.kv.v1.read_secret(path=path, mount_point=mount)
                    return dict(found["data"]), 0
                found = client.secrets.kv.v2.read_secret_version(
                    path=path, mount_point=mount, raise_on_deleted_version=True
                )
        except InvalidPath:
            raise faults.unknown(what, f"there is nothing at {path} in {mount}") from None
        return dict(found["data"]["data"]), int(found["data"]["metadata"]["version"])

    def _place(self, name: str) -> tuple[str, str]:
        """The mount, which may have slashes if it is configured, and the path in it."""
        mount = (self.around.text("mount") or "").strip("/")
        if mount and name.startswith(f"{mount}/"):
            return mount, name[len(mount) + 1 :]
        mount, slash, path = name.partition("/")
        if not slash:
            raise faults.unknown(self.called(name), "it names no path", "write secret://vault/MOUNT/PATH#KEY")
        return mount, path

    def _version(self, mount: str) -> int:
        """The version of the KV store at a mount: as configured, else as Vault tells; most are 2."""
        given = self.around.text("version")
        if given:
            return int(given)
        if mount not in self._mounts:
            self._mounts[mount] = 2
            with contextlib.suppress(errors.EnvironmentFault, KeyError, TypeError, ValueError), self._told(mount):
                told = self.client.adapter.get(f"/v1/sys/internal/ui/mounts/{mount}")
                self._mounts[mount] = int((told["data"].get("options") or {}).get("version", 1))
        return self._mounts[mount]

    @property
    def _mounts(self) -> dict[str, int]:
        return self.__dict__.setdefault("_known_mounts", {})  # type: ignore[no-any-return]

    def _logged_in(self) -> Any:
        try:
            import hvac
        except ImportError:
            raise faults.no_sdk("vault", "hvac") from None
        around = self.around
        address = around.text("address", "VAULT_ADDR")
        if not address:
            raise faults.unset("vault", "address", "VAULT_ADDR")
        auth = dict(around.settings.get("auth") or {})
        ca = around.text("ca", "VAULT_CACERT")
        client = hvac.Client(
            url=address,
            namespace=around.text("namespace", "VAULT_NAMESPACE"),
            verify=str(around.root / ca) if ca else True,
            timeout=around.timeout,
        )
        if auth.get("method") == "approle":
            role, secret = auth.get("role_id"), auth.get("secret_id")
            if not role or not secret:
                raise faults.unset("vault", "auth.role_id" if not role else "auth.secret_id")
            with self._told("the AppRole login"):
                client.auth.approle.login(role, secret, mount_point=auth.get("mount") or "approle")
            return client
        client.token = auth.get("token") or around.variable("VAULT_TOKEN") or _token_file()
        if not client.token:
            raise faults.unset("vault", "auth.token", "VAULT_TOKEN")
        return client

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Vault's refusals as ours; what it says besides is not repeated."""
        from hvac import exceptions
        from requests import exceptions as transport

        address = self.around.text("address", "VAULT_ADDR")
        try:
            yield
        except (exceptions.InvalidPath, exceptions.InvalidRequest):
            if what == "the AppRole login":
                raise faults.failed("vault", f"{what} was refused", "check role_id and secret_id") from None
            raise
        except exceptions.Forbidden:
            raise faults.failed(what, "Vault forbids it (403)", "give the token a policy that allows it") from None
        except exceptions.Unauthorized:
            raise faults.failed(what, "Vault does not know the token (401)", "log in again") from None
        except exceptions.VaultError as problem:
            raise faults.failed(what, f"Vault cannot answer ({type(problem).__name__})") from None
        except transport.RequestException as problem:
            raise faults.failed(what, f"{address} cannot be reached ({type(problem).__name__})") from None


def _token_file() -> str | None:
    """Where `vault login` keeps the token."""
    try:
        return (Path.home() / ".vault-token").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError, RuntimeError):
        return None
