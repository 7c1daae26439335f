"""The states that Meltano keeps: in its system database, in a folder, or in a bucket (S3, Google, Azure). Read only.

A state there is two JSON texts, what the last whole run left and what partial ones added since; the second is merged
onto the first, as Meltano 4.4.1 does (core/state_store/base.py). Every digit of a number is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dativo import errors
from dativo.config.meltano import system
from dativo.state import bookmark as bookmarks
from dativo.state.location import Location

if TYPE_CHECKING:
    from dativo.config.meltano.project import MeltanoProject

FILE = "state.json"
SYSTEM = "systemdb"
BUCKETS = {"s3": "s3", "gs": "gs", "azure": "az"}
"""A scheme of Meltano's, and what the object store calls it."""
MAX_BYTES = 64 << 20


def state(project: MeltanoProject, state_id: str) -> str | None:
    """The Singer state that the next run of Meltano would begin with; None for none. Nothing is changed."""
    uri = str(project.setting("state_backend.uri", SYSTEM))
    of_system = uri == SYSTEM
    parts = system.states(project.system_uri).get(state_id) if of_system else _split(_kept(project, uri, state_id))
    return None if parts is None else merged(*parts)


def states(project: MeltanoProject) -> dict[str, str]:
    """Every state by its id. Raises `meltano.unsupported` for a bucket, whose states are asked for one by one."""
    uri = str(project.setting("state_backend.uri", SYSTEM))
    if uri == SYSTEM:
        found = system.states(project.system_uri)
    elif urlsplit(uri).scheme in ("file", ""):
        folder = _folder(uri)
        names = [one.name for one in sorted(folder.iterdir()) if one.is_dir()] if folder.is_dir() else []
        read = {name: _split(_kept(project, uri, name)) for name in names}
        found = {name: parts for name, parts in read.items() if parts is not None}
    else:
        raise errors.ConfigError("meltano.unsupported", "the states of a bucket are not listed", hint="name the jobs")
    whole = {name: merged(*parts) for name, parts in found.items()}
    return {name: text for name, text in whole.items() if text is not None}


def merged(completed: str | None, partial: str | None) -> str | None:
    """The Singer state of both parts; None where there is none."""
    whole = _merge(_object(partial), _object(completed))
    found = whole.get("singer_state")
    return bookmarks.exact_text(found) if isinstance(found, Mapping) and found else None


def _object(text: str | None) -> dict[str, Any]:
    found = bookmarks.parse(text) if text else {}
    return dict(found) if isinstance(found, dict) else {}


def _merge(new: Mapping[str, Any], onto: dict[str, Any]) -> dict[str, Any]:
    for key, value in new.items():
        below = onto.get(key)
        onto[key] = _merge(value, below if isinstance(below, dict) else {}) if isinstance(value, dict) else value
    return onto


def _split(text: str | None) -> tuple[str | None, str | None] | None:
    """The parts of a state file."""
    if text is None:
        return None
    text = bookmarks.exact_text(text)
    parts = {one.key: text[one.value : one.end] for one in bookmarks.members(text) or []}
    return parts.get("completed"), parts.get("partial")


def _kept(project: MeltanoProject, uri: str, state_id: str) -> str | None:
    """A state file's text."""
    scheme = urlsplit(uri).scheme
    if scheme in ("file", ""):
        return _of_folder(_folder(uri), state_id)
    if scheme in BUCKETS:
        return _of_bucket(project, uri, scheme, state_id)
    raise errors.ConfigError(
        "meltano.unsupported",
        f"Meltano's state backend is of a kind that is not read: {scheme}",
        hint="take the state over by hand: meltano state get ID | dativo state import - --job ID, "
        "or begin without: dativo state set ID '{}'",
    )


def _folder(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _of_folder(folder: Path, state_id: str) -> str | None:
    if "/" in state_id or state_id.startswith("."):
        return None
    path = folder / state_id / FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            raise errors.ConfigError("state.invalid", f"{path} is larger than {MAX_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise errors.EnvironmentFault("state.store", f"Meltano's state {path} cannot be read") from problem


def _of_bucket(project: MeltanoProject, uri: str, scheme: str, state_id: str) -> str | None:

    from dativo.state.objects import ObjectStore

    parts = urlsplit(uri)
    options = _options(project, scheme, parts.username, parts.password)
    where = f"{BUCKETS[scheme]}://{parts.hostname or ''}/{parts.path.strip('/')}"
    return ObjectStore(Location("objects", None, where, options), to_read=True).text(f"{state_id}/{FILE}")


def _options(project: MeltanoProject, scheme: str, user: str | None, password: str | None) -> dict[str, str]:
    """The object store's options from Meltano's settings; what is not set is found where its library looks."""
    if scheme == "s3":
        found = {
            "aws_access_key_id": project.setting("state_backend.s3.aws_access_key_id", user and unquote(user)),
            "aws_secret_access_key": project.setting(
                "state_backend.s3.aws_secret_access_key", password and unquote(password)
            ),
            "endpoint": project.setting("state_backend.s3.endpoint_url"),
        }
    elif scheme == "gs":
        path = project.setting("state_backend.gcs.application_credentials_path")
        found = {
            "google_service_account": path or project.setting("state_backend.gcs.application_credentials"),
            "google_service_account_key": project.setting("state_backend.gcs.application_credentials_json"),
        }
        emulator = project.process.get("STORAGE_EMULATOR_HOST")  # Google's own library goes there, without credentials
        if emulator:
            found = {"google_base_url": emulator, "google_skip_signature": "true"}
    else:
        found = _azure(project)
    return {key: str(value) for key, value in found.items() if value}


def _azure(project: MeltanoProject) -> dict[str, str | None]:
    """An account by its address, whose credentials are the machine's; else by a connection string."""
    url = project.setting("state_backend.azure.storage_account_url")
    if url:
        host = urlsplit(str(url)).hostname or ""
        return {"azure_storage_account_name": host.partition(".")[0], "azure_storage_endpoint": str(url).rstrip("/")}
    text = project.setting("state_backend.azure.connection_string", project.variable("AZURE_STORAGE_CONNECTION_STRING"))
    if not text:
        raise errors.ConfigError(
            "meltano.invalid",
            "the state backend azure:// has no account",
            hint="set state_backend.azure.connection_string or .storage_account_url, as Meltano needs it too",
        )
    parts = dict(one.split("=", 1) for one in str(text).split(";") if "=" in one)
    if parts.get("UseDevelopmentStorage", "").lower() == "true":
        return {"azure_storage_use_emulator": "true"}
    account, suffix = parts.get("AccountName", ""), parts.get("EndpointSuffix", "core.windows.net")
    made = f"{parts.get('DefaultEndpointsProtocol', 'https')}://{account}.blob.{suffix}"
    return {
        "azure_storage_account_name": account,
        "azure_storage_account_key": parts.get("AccountKey"),
        "azure_storage_sas_key": parts.get("SharedAccessSignature"),
        "azure_storage_endpoint": parts.get("BlobEndpoint", made).rstrip("/"),
    }
