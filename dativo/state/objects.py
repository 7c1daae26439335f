"""The state store as objects in a bucket (S3, Google Cloud Storage, Azure Blob Storage): one a job.

An object is replaced only if it is still the one that was read: a PUT with If-Match (If-None-Match for a new one), or
what the cloud has in its place. The service decides that in one step, so a stale holder's write is refused there (I5),
and it has stored the object when it answers (I2). Leases are measured with the machines' clocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from dativo import errors
from dativo.state.documents import ENDING, Changed, DocumentStore
from dativo.state.location import Location

TIMEOUT = "30s"
RETRIES = {"max_retries": 4, "retry_timeout": timedelta(seconds=40)}


class ObjectStore(DocumentStore):
    """A prefix of a bucket."""

    def __init__(self, at: Location, *, to_read: bool = False) -> None:
        super().__init__()
        self.place = at.shown
        self._to_read = to_read
        self._sdk = _sdk()
        with self._translated():
            self._bucket = self._sdk.store.from_url(
                at.url,
                config=dict(at.options),
                client_options={"timeout": TIMEOUT, **_plain(at.options)},
                retry_config=RETRIES,
            )

    @classmethod
    def opened(cls, at: Location, *, to_read: bool = False) -> ObjectStore:
        """Nothing is made; that the bucket can be read is found out at once."""
        store = cls(at, to_read=to_read)
        with store._translated():
            store._get(f"about{ENDING}")
        return store

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (Changed, errors.DativoError):
            raise
        except (FileNotFoundError, self._sdk.exceptions.BaseError) as problem:
            raise self._fault(problem) from None  # its text may hold what opens the bucket
        except (ValueError, TypeError, OSError) as problem:
            raise errors.EnvironmentFault(
                "state.store", f"the state store {self.place} cannot be used: {problem}"
            ) from None

    def _fault(self, problem: BaseException) -> errors.DativoError:
        known = self._sdk.exceptions
        if isinstance(problem, known.UnknownConfigurationKeyError):
            return errors.ConfigError("config.invalid", f"state.options: {_short(problem)}", hint="see obstore's names")
        if isinstance(problem, known.PermissionDeniedError | known.UnauthenticatedError):
            return errors.EnvironmentFault(
                "env.permission",
                f"the state store {self.place} refuses: {_short(problem)}",
                hint="it needs to list the prefix, and to read and write objects below it; check state.options",
            )
        return errors.EnvironmentFault(
            "state.store",
            f"the state store {self.place} cannot be reached: {_short(problem)}",
            hint="check state.url and state.options, and that the bucket is there",
        )

    def _get(self, name: str) -> tuple[bytes, Any] | None:
        try:
            found = self._sdk.get(self._bucket, name)
        except FileNotFoundError as problem:
            if "NoSuchBucket" in str(problem):
                raise
            return None
        return bytes(found.bytes()), _version(found.meta)

    def _set(self, name: str, content: bytes, version: Any) -> Any:
        known = self._sdk.exceptions
        try:
            done = self._sdk.put(self._bucket, name, content, mode="create" if version is None else version)
        except (known.AlreadyExistsError, known.PreconditionError):
            raise Changed from None
        except FileNotFoundError as problem:  # the object to replace is gone
            if "NoSuchBucket" in str(problem):
                raise
            raise Changed from None
        except known.NotSupportedError:
            raise errors.EnvironmentFault(
                "state.store",
                f"{self.place} cannot compare and set, so one writer a job cannot be promised there",
                hint="use a bucket whose service has conditional writes, or another store",
            ) from None
        except known.GenericError as problem:
            if "409" in str(problem):  # S3: a conditional request met another one
                raise Changed from None
            raise
        return _version(done)

    def text(self, name: str) -> str | None:
        """The text of any object below the prefix, of another tool's; None when it is not there."""
        with self._translated():
            found = self._get(name)
        return None if found is None else found[0].decode("utf-8", "replace")

    def _put(self, name: str, content: bytes) -> None:
        self._sdk.put(self._bucket, name, content)

    def _names(self) -> list[str]:
        found = self._sdk.list_with_delimiter(self._bucket)["objects"]
        return sorted(name for one in found if (name := str(one["path"])).endswith(ENDING))

    def describe(self) -> str:
        """How many documents there are."""
        with self._translated():
            return f"{len(self._names())} objects  {self.place}"


def _version(about: Any) -> dict[str, str]:
    return {key: about[key] for key in ("e_tag", "version") if about.get(key) is not None}


def _plain(options: dict[str, str]) -> dict[str, bool]:
    """An endpoint is asked without TLS only where its URL says so."""
    addresses = (str(one) for key, one in options.items() if key.endswith(("endpoint", "base_url")))
    plain = any(one.startswith("http://") for one in addresses)
    return {"allow_http": True} if plain else {}


def _short(problem: BaseException) -> str:
    """The first line of what the library says, which goes on with its own insides."""
    line = str(problem).strip().partition("\n")[0]
    return line if len(line) <= 300 else f"{line[:299]}…"


def _sdk() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        raise errors.EnvironmentFault(
            "state.store",
            "a state store in a bucket needs the package obstore",
            hint="install it beside dativo: pip install 'dativo[objects]'",
        ) from None
    return obstore
