"""The errors of every backend, in one wording. None of them holds a value (I13), nor a backend's own answer."""

from __future__ import annotations

from dativo import errors

PAGE = "see docs/concepts/secrets.md"


def unknown(what: str, why: str, hint: str | None = None) -> errors.ConfigError:
    """There is no such secret, or it has no such key. `what` names it."""
    return errors.ConfigError("secret.unknown", f"{what}: {why}", hint=hint)


def failed(what: str, why: str, hint: str | None = None) -> errors.EnvironmentFault:
    """The backend cannot be used."""
    return errors.EnvironmentFault("secret.backend", f"{what}: {why}", hint=hint or PAGE)


def unset(backend: str, setting: str, also: str = "") -> errors.EnvironmentFault:
    """A setting of the backend is needed."""
    return failed(
        f"secret://{backend}",
        f"secrets.{backend}.{setting} is not set",
        f"set it in dativo.yml{f', or {also} in the environment' if also else ''}",
    )


def no_sdk(backend: str, package: str) -> errors.EnvironmentFault:
    """The backend's SDK is not installed."""
    return failed(
        f"secret://{backend}", f"the Python package {package} is not installed", f"pip install 'dativo[{backend}]'"
    )


def changed(what: str) -> errors.RunError:
    """Compare-and-set found another value than the one it was told to replace."""
    return errors.RunError("secret.conflict", f"{what} was changed by somebody else")
