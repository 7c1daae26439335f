"""Keys of a Meltano project that nothing is known of. Meltano takes them for extras and never looks at them again."""

from __future__ import annotations

from collections.abc import Iterator

from dativo.config.meltano.definitions import ATTRIBUTES, EXTRAS, RUNNABLE, SHOWN
from dativo.config.meltano.files import FILE, Files

TOP = (
    "version", "annotations", "default_environment", "send_anonymous_usage_stats", "disable_tracking", "project_id",
    "requires_meltano", "database_uri", "python", "state_backend", "venv", "environments", "include_paths", "plugins",
    "schedules", "env", "jobs", "database_max_retries", "database_retry_timeout", "project_readonly", "cli", "elt",
    "experimental", "ff", "hub_api_root", "hub_url", "hub_url_auth", "snowplow", "auto_install",
)  # fmt: skip


def unknown(files: Files) -> Iterator[str]:
    """`meltano.yml:12: plugins.extractors.tap-x.selct is not known`."""
    for key in files.data:
        if key not in TOP:
            yield f"{FILE}: {key} is not known; Meltano does not read it either"
    for kind in RUNNABLE:
        extras = {one.name.removeprefix("_") for one in EXTRAS[kind]}
        for entry, where in files.items("plugins", kind):
            for key in entry:
                if key not in (*ATTRIBUTES, *SHOWN) and key.partition(".")[0] not in extras:
                    yield f"{where}: {key} of {entry['name']} is not known; Meltano does not read it either"
