"""The keys of PipelineWise's files that nothing stands for, each with the reason and what to do instead."""

from __future__ import annotations

from dativo.migrate.reading import Keys
from dativo.migrate.report import Report

NO_COUNTERPART = {
    "owner": "nobody is told about runs: your scheduler does that",
    "send_alert": "alerts are your scheduler's: `dativo run` ends with an exit code that says what happened",
    "slack_alert_channel": "alerts are your scheduler's: `dativo run` ends with an exit code that says what happened",
    "stream_buffer_size": "the bus has bounds of its own: see `spill:` of a job",
    "fastsync_parallelism": "there is no FastSync: first loads go through the bus like all others",
    "default_target_schema_select_permission": "PipelineWise reads …_permissions only, whatever its samples say",
}
UNKNOWN = "PipelineWise's files have no such key, or it is newer than this importer"


def rest(keys: Keys, report: Report, **why: str) -> None:
    """Put what nobody asked for, and what `why` has a word about, into the report."""
    for key in keys.data:
        reason = why.get(key) or NO_COUNTERPART.get(key) or (None if key in keys.asked else UNKNOWN)
        if reason is not None:
            report.left(keys.where(key), keys.what(key), reason)
