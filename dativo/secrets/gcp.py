"""`secret://gcp/NAME#KEY`: Google Cloud's Secret Manager, with the application default credentials.

NAME is a secret of `secrets.gcp.project`, or `projects/PROJECT/secrets/NAME`, either with `/versions/VERSION`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from dativo.secrets import faults
from dativo.secrets.backend import Backend, replaced

_NAME = re.compile(r"(?:projects/([^/]+)/secrets/)?([^/]+)(?:/versions/([^/]+))?")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Gcp(Backend):
    """Compare-and-set adds a version and looks at its number: a gap tells that somebody came between."""

    scheme = "gcp"
    _client: Any = None

    def content(self, name: str) -> str:
        """The text of a version, the latest unless the name says which."""
        return self._versioned(name)[0]

    def canonical(self, name: str) -> str:
        """The bare name in the configured project, in full elsewhere; without its version."""
        project, secret, _ = self._parts(name)
        return secret if project == self._project() else f"projects/{project}/secrets/{secret}"

    def can_write(self, name: str) -> bool:
        """A certain version never changes."""
        return self._parts(name)[2] == "latest"

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Add a version. When its number shows that another writer was faster, his value is put on top again."""
        what = self.called(name)
        project, secret, _ = self._parts(name)
        parent = f"projects/{project}/secrets/{secret}"
        self.forget(name)
        text, before = self._versioned(name)
        fresh = str(replaced(text, key, old, new, what))
        made = self._add(parent, fresh.encode(), what)
        if made != before + 1:
            theirs, _ = self._version(f"{parent}/versions/{made - 1}", what)
            self._add(parent, theirs.encode(), what)
            raise faults.changed(what)

    @property
    def client(self) -> Any:
        """The client of this run."""
        if self._client is None:
            self._client = self._made()
        return self._client

    def _add(self, parent: str, payload: bytes, what: str) -> int:
        with self._told(what):
            made = self.client.add_secret_version(
                request={"parent": parent, "payload": {"data": payload}}, timeout=self.around.timeout
            )
        return int(str(made.name).rpartition("/")[2])

    def _versioned(self, name: str) -> tuple[str, int]:
        project, secret, version = self._parts(name)
        return self._version(f"projects/{project}/secrets/{secret}/versions/{version}", self.called(name))

    def _version(self, full: str, what: str) -> tuple[str, int]:
        with self._told(what):
            found = self.client.access_secret_version(request={"name": full}, timeout=self.around.timeout)
        try:
            return found.payload.data.decode("utf-8"), int(str(found.name).rpartition("/")[2])
        except UnicodeDecodeError:
            raise faults.failed(what, "it is not UTF-8 text") from None

    def _parts(self, name: str) -> tuple[str, str, str]:
        found = _NAME.fullmatch(name)
        if not found:
            raise faults.unknown(
                self.called(name), "it is no name", "write secret://gcp/NAME or …/projects/P/secrets/NAME"
            )
        return found[1] or self._project(), found[2], found[3] or "latest"

    def _project(self) -> str:
        project = self.around.text("project", "GOOGLE_CLOUD_PROJECT")
        if not project:
            raise faults.unset("gcp", "project", "GOOGLE_CLOUD_PROJECT")
        return project

    def _made(self) -> Any:
        try:
            from google.auth.credentials import AnonymousCredentials
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import secretmanager
        except ImportError:
            raise faults.no_sdk("gcp", "google-cloud-secret-manager") from None
        endpoint = urlsplit(self.around.text("endpoint") or "")
        kind = secretmanager.SecretManagerServiceClient
        if endpoint.scheme == "http":  # an emulator: nobody to prove anything to
            if endpoint.hostname not in LOOPBACK:
                raise faults.failed("secret://gcp", "secrets.gcp.endpoint is http, which is for this machine only")
            nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
            transport = kind.get_transport_class("rest")(host=endpoint.netloc, credentials=nobody, url_scheme="http")
            return kind(transport=transport)
        try:
            return kind(client_options={"api_endpoint": endpoint.netloc} if endpoint.netloc else None)
        except GoogleAuthError as problem:
            raise faults.failed(
                "secret://gcp", f"there are no credentials ({type(problem).__name__})",
                "gcloud auth application-default login",
            ) from None  # fmt: skip

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        client = self.client  # names the SDK that is missing, before its exceptions are asked for
        del client
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            yield
        except exceptions.NotFound:
            raise faults.unknown(what, "Secret Manager has none of that name") from None
        except (exceptions.GoogleAPIError, GoogleAuthError) as problem:
            raise faults.failed(what, f"Secret Manager refused ({type(problem).__name__})") from None
        except RequestException as problem:
            raise faults.failed(what, f"Secret Manager cannot be reached ({type(problem).__name__})") from None
