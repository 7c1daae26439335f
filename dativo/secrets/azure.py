"""`secret://azure/NAME#KEY`: Azure Key Vault, with the credentials that the Azure tools find.

NAME is a secret of `secrets.azure.vault`, a vault's name or its whole address.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from dativo.secrets import faults
from dativo.secrets.backend import Backend, replaced

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Azure(Backend):
    """Azure has no conditional write: what is written is compared just before, and between machines that is all."""

    scheme = "azure"
    _client: Any = None

    def content(self, name: str) -> str:
        """The secret's text."""
        what = self.called(name)
        with self._told(what):
            found = self.client.get_secret(name)
        if not found.value:
            raise faults.unknown(what, "it is empty")
        return str(found.value)

    def canonical(self, name: str) -> str:
        """Key Vault does not tell capitals from small letters."""
        return name.lower()

    def can_write(self, name: str) -> bool:
        """Compared, then written."""
        return True

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Read again, compare, write."""
        what = self.called(name)
        self.forget(name)
        fresh = str(replaced(self.content(name), key, old, new, what))
        with self._told(what):
            self.client.set_secret(name, fresh)

    @property
    def client(self) -> Any:
        """The client of this run."""
        if self._client is None:
            self._client = self._made()
        return self._client

    def _address(self) -> str:
        vault = self.around.text("vault")
        if not vault:
            raise faults.unset("azure", "vault")
        return vault if "://" in vault else f"https://{vault}.vault.azure.net"

    def _made(self) -> Any:
        try:
            from azure.identity import DefaultAzureCredential
            from azure.keyvault.secrets import SecretClient
        except ImportError:
            raise faults.no_sdk("azure", "azure-keyvault-secrets") from None
        address = self._address()
        if not address.startswith("https://"):
            raise faults.failed("secret://azure", "secrets.azure.vault is no https address, which its SDK insists on")
        emulated = urlsplit(address).hostname in LOOPBACK
        ca = self.around.text("ca")
        return SecretClient(
            vault_url=address,
            credential=_Nobody() if emulated else DefaultAzureCredential(),
            verify_challenge_resource=not emulated,
            connection_verify=str(self.around.root / ca) if ca else True,
            connection_timeout=self.around.timeout,
            read_timeout=self.around.timeout,
            retry_total=2,
        )

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        client = self.client  # names the SDK that is missing, before its exceptions are asked for
        del client
        from azure.core import exceptions

        try:
            yield
        except exceptions.ResourceNotFoundError:
            raise faults.unknown(what, "the key vault has none of that name") from None
        except exceptions.ClientAuthenticationError:
            raise faults.failed(what, "there are no Azure credentials that it accepts", "az login") from None
        except exceptions.HttpResponseError as problem:
            raise faults.failed(what, f"the key vault refused ({problem.status_code})") from None
        except exceptions.AzureError as problem:
            raise faults.failed(what, f"the key vault cannot be reached ({type(problem).__name__})") from None


class _Nobody:
    """Credentials for an emulator on this machine, which asks for none that mean anything."""

    def get_token(self, *_scopes: str, **_more: Any) -> Any:
        """A token that is nothing."""
        from azure.core.credentials import AccessToken

        return AccessToken("emulator", int(time.time()) + 3600)
