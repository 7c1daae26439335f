"""What a command line says about a run, beside the plugins' own settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dativo.bus.plan import Grace, Limits, Policy
from dativo.dataclass import dataclass


@dataclass(frozen=True)
class RunOptions:
    """The run options of `dativo run` and of every plugin command. None: not said."""

    job: str | None = None
    tenant: str | None = None
    streams: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    catalog: Path | None = None
    state: Path | None = None
    full_refresh: bool = False
    junk: str | None = None
    check: str | None = None
    confirm: str | None = None
    on_bad_record: str | None = None
    encoding: str | None = None
    """auto, records or arrow; of `dativo run` only."""
    adapt: bool | None = None
    """False: a SCHEMA goes to the plugin that reads it as it came."""
    stream_name: str | None = None
    """A template for the names that the target knows streams by."""
    validate: bool | None = None
    """Whether records are checked against their SCHEMA; not said: yes, unless lines are only skimmed."""
    max_line: int | None = None
    sandbox: str | None = None
    """The profile that --sandbox names: the one way to loosen it from the command line."""
    retries: int | None = None
    """How often a failed attempt is made again; of `dativo run` only, as the next two."""
    continue_on_error: bool = False
    force: bool = False
    """Whether an open circuit breaker is closed."""
    parallel: int | None = None
    """How many taps may read at once."""
    memory: int | None = None
    """Bytes of all the job's processes beyond which no further tap is started."""
    verify: str | None = None
    """`after` or `never`."""
    grace: float | None = None
    """Seconds a target is given after EOF."""
    pass_env: tuple[str, ...] = ()
    wait: float = 0.0
    """Seconds to wait for a job that another run holds; infinity for as long as it takes."""
    record: str | None = None
    """Record the run: into this file, or, if it is empty, beside the state store."""
    dry_run: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def policy(
        self,
        job: Mapping[str, Any],
        *,
        batch: bool,
        edge: bool = True,
        bad: Mapping[str, Any] | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Policy:
        """The policy: the command line over the job's. BATCH passes only to a receiver that can load it; for another
        the rows of its files become records.

        `edge`: the last receiver is at the other end, so that records are checked here. `bad` and `changes` are the
        job's words about bad records and about SCHEMAs that change.
        """
        check = self.check or job.get("check", Policy.check)
        chosen = dict(bad or {})
        if self.on_bad_record is not None and self.on_bad_record != chosen.get("policy"):
            chosen = {"policy": self.on_bad_record}  # thresholds belong to the policy that they were written for
        validate = check == "json" if self.validate is None else self.validate
        return Policy(
            junk=self.junk or job.get("junk", Policy.junk),
            check=check,
            batch=job.get("batch") or ("forward" if batch else "expand"),
            confirm=self.confirm or job.get("confirm", Policy.confirm),
            validate="on" if validate and edge else "off",
            on_bad_record=chosen.get("policy", Policy.on_bad_record),
            bad_rows=chosen.get("rows"),
            bad_percent=chosen.get("percent"),
            schema_change={"default": "evolve", "streams": {}, **(changes or {})},
            activate="hold" if edge else "forward",
        )

    def limits(self, job: Mapping[str, Any]) -> Limits:
        """The bounds of the data plane: the command line over the job's."""
        known = {key: job[key] for key in ("pipe", "capture", "log_line") if key in job}
        line = self.max_line if self.max_line is not None else job.get("line")
        return Limits(**known, **({} if line is None else {"max_line": line}))

    def graces(self, job: Mapping[str, Any]) -> Grace:
        """The times a plugin is given."""
        known = dict(job)
        if self.grace is not None:
            known["eof"] = self.grace
        return Grace(**known)
