"""Every error a user can cause or meet, grouped by what the caller does next.

    DativoError
    ├── RunError          exit 1   the run failed; running it again may help
    ├── ConfigError       exit 2   change the command line, the project file or a plugin's settings
    ├── EnvironmentFault  exit 3   change the machine: disk, permissions, a missing program, an unlocked plugin
    ├── DataError         exit 4   the data broke the contract
    ├── BusyError         exit 5   another run holds the job
    ├── Partial           exit 6   some streams are done, others failed
    └── Cancelled         exit 128 + signal

`CATALOG` is the one definition of every code: its exit code, a title and the standing hint. `protocol/errors.toml` is
generated from it (`make docs`), and the data plane's reasons are checked against that file.
Anyone may import this module; it imports nothing of Dativo.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from dativo.dataclass import dataclass


@dataclass(frozen=True)
class Entry:
    """One line of the catalog: what a stable dotted code means and what its reader should change."""

    exit: int
    title: str
    hint: str


CATALOG: dict[str, Entry] = {
    # -- 1: run it again
    "delivery.interrupted": Entry(
        1, "the run ended before the counts agreed", "run it again: it goes on at the bookmark"
    ),
    "delivery.unbalanced": Entry(
        1, "what was handed to the target is not what was read", "report it; run it again: it goes on at the bookmark"
    ),
    "database.failed": Entry(1, "the database could not do what it was asked", "its message says why"),
    "database.unreachable": Entry(
        1, "the database cannot be reached", "check host and port, and that the server runs; then run it again"
    ),
    "plugin.exited": Entry(
        1, "a plugin ended with an error", "its last lines on stderr say why; run it again when fixed"
    ),
    "plugin.killed": Entry(1, "a plugin was killed by a signal", "run it again: it goes on at the bookmark"),
    "plugin.stopped": Entry(1, "a plugin was stopped half way although it exited 0", "run it again: it goes on there"),
    "plugin.early_end": Entry(1, "a plugin ended before its input did", "its stderr says why; run it again when fixed"),
    "plugin.hung": Entry(
        1, "a plugin did not end in the time it had", "raise grace.eof in the job, or look at its log"
    ),
    "target.unread": Entry(1, "the target ended with input unread", "its stderr says why; run it again when fixed"),
    "target.unconfirmed": Entry(
        1,
        "the target never confirmed the last STATE",
        "if this target never prints STATE, set policy confirm: never (--confirm never)",
    ),
    "pipe.upstream_died": Entry(1, "the tap's side of the pipe died", "its own message is above; run the line again"),
    "pipe.closed": Entry(
        1, "the reader of the pipe went away", "nothing to change if that was meant, as with `| head`"
    ),
    "limit.memory": Entry(1, "a plugin reached its memory limit", "raise limits.memory, or select less"),
    "limit.processes": Entry(1, "a plugin reached its limit of processes", "raise limits.processes"),
    "limit.cpu": Entry(1, "a plugin reached its CPU time", "raise limits.cpu"),
    "limit.wall": Entry(1, "a plugin reached its wall clock limit", "raise limits.wall; the next run goes on there"),
    "limit.idle": Entry(1, "a plugin wrote nothing for too long", "raise limits.idle, or look at its log"),
    "limit.files": Entry(1, "a plugin reached its limit of open files", "raise limits.files"),
    "limit.file_size": Entry(1, "a plugin reached the largest file it may write", "raise limits.file_size"),
    "limit.scratch": Entry(1, "a plugin filled its scratch space", "raise limits.scratch"),
    "job.breaker_open": Entry(
        1,
        "a plugin failed too often in a row: runs with it pause",
        "wait until the pause is over, or run it with --force when the cause is mended",
    ),
    "verify.mismatch": Entry(
        1,
        "the destination does not hold what was delivered",
        "look at the rows named above and at the target; the bookmark is where it was",
    ),
    "index.unreachable": Entry(
        1, "the package index cannot be reached", "check the network and the index; --offline uses what is in the cache"
    ),
    "audit.vulnerable": Entry(1, "packages have known vulnerabilities", "see `dativo outdated`, then `dativo upgrade`"),
    "secret.conflict": Entry(
        1, "a secret was changed by somebody else during the run", "run it again: it then has the newer value"
    ),
    "bug": Entry(1, "Dativo met something it did not expect", "report it with the crash report, which holds no values"),
    "bus.died": Entry(1, "the data plane ended without a verdict", "run it again; if it stays, run `dativo doctor`"),
    # -- 2: change what was typed or configured
    "usage": Entry(2, "the command line is not understood", "see --help"),
    "config.refused": Entry(
        2,
        "a plugin does not accept its settings",
        "fix the settings that its words name: dativo config PLUGIN --origin",
    ),
    "config.invalid": Entry(2, "a configuration file or value cannot be used", "fix the value named above"),
    "config.missing": Entry(2, "a required setting is missing", "give it as a flag, in --config or in dativo.yml"),
    "config.variable": Entry(2, "a ${VARIABLE} is not set", "export it, or write it into .env beside dativo.yml"),
    "config.unknown": Entry(2, "a setting is not known", "see `dativo config PLUGIN`"),
    "project.invalid": Entry(2, "dativo.yml cannot be used", "fix the line named above"),
    "project.missing": Entry(2, "there is no dativo.yml here", "make one: an empty dativo.yml is a project"),
    "job.unknown": Entry(2, "no such job", "see `jobs:` in dativo.yml"),
    "job.invalid": Entry(2, "the job cannot be used", "a job is a tap, any mappers and a target, in that order"),
    "plugin.unknown": Entry(2, "no such plugin", "install it with `dativo add`; `dativo list` shows what is installed"),
    "plugin.variant": Entry(2, "a plugin has no such variant", "`dativo info NAME` lists its variants"),
    "plugin.engine": Entry(2, "a connector has no such engine here", "`dativo info NAME` lists its engines"),
    "plugin.kind": Entry(2, "the plugin's kind is not known", "name it tap-…, target-… or map-…, or give --kind"),
    "plugin.python": Entry(2, "the plugin needs another Python", "install it with another Python: --python VERSION"),
    "plugin.conflict": Entry(
        2, "what is asked for cannot be installed together", "leave out or change a version, or what --with asks for"
    ),
    "index.denied": Entry(
        2,
        "the package index wants other credentials",
        "give them under index: in dativo.yml; see docs/guides/installs.md",
    ),
    "bundle.invalid": Entry(2, "the bundle cannot be used", "make it again with `dativo bundle`"),
    "plugin.taken": Entry(2, "the name is taken by another plugin", "give it another name: --as NAME"),
    "plugin.network.denied": Entry(
        2, "a plugin tried to reach a host that it may not", "allow it: dativo allow PLUGIN --network HOST:PORT"
    ),
    "plugin.file.denied": Entry(
        2, "a plugin tried to use a file that it may not", "allow it: dativo allow PLUGIN --read PATH (or --write)"
    ),
    "registry.unknown": Entry(2, "there is no such registry", "see `dativo registry list`"),
    "registry.taken": Entry(2, "the name is taken by another registry", "give it another name"),
    "registry.invalid": Entry(
        2, "a registry cannot be used", "report it to whoever keeps it, or leave it: dativo registry remove NAME"
    ),
    "registry.changed": Entry(
        2, "a registry is not what was accepted", "look at the changes, then: dativo registry update NAME --yes"
    ),
    "permissions.invalid": Entry(2, "a permission cannot be granted", "name a narrower path or host"),
    "permissions.more": Entry(
        2,
        "the plugin asks for more than was approved",
        "look at the difference, then approve it: dativo allow PLUGIN --approve",
    ),
    "secret.invalid": Entry(
        2, "a secret:// reference cannot be used", "write secret://BACKEND/NAME or secret://BACKEND/NAME#KEY"
    ),
    "secret.unknown": Entry(2, "there is no such secret", "check the name and the key in the backend"),
    "secret.tenant": Entry(2, "the secret belongs to another tenant", "name a secret of the job's own tenant"),
    "catalog.invalid": Entry(2, "the catalog cannot be used", "make a new one with `dativo discover`"),
    "catalog.none": Entry(2, "nothing is selected", "see `dativo select`"),
    "meltano.invalid": Entry(2, "a Meltano project cannot be used", "fix what is named above"),
    "meltano.unsupported": Entry(
        2, "part of a Meltano project is not Dativo's to run", "run that part with Meltano: docs/guides/meltano.md"
    ),
    "meltano.readonly": Entry(
        2,
        "a Meltano project is read, never changed",
        "change meltano.yml by hand or with meltano, or move over: dativo import meltano",
    ),
    "import.invalid": Entry(2, "another tool's project cannot be imported", "fix what is named above"),
    "import.taken": Entry(2, "an import would replace a file", "import into another folder (--into), or move the file"),
    "verify.unreadable": Entry(
        2, "the destination cannot be read back", "see docs/guides/verify.md for the targets that can"
    ),
    "tape.invalid": Entry(2, "the tape cannot be used", "a tape is what `dativo run … --record` makes"),
    "letters.unknown": Entry(2, "there are no such dead letters", "see `dativo dlq list`"),
    "state.invalid": Entry(2, "the state cannot be used", "it must be a JSON object, as `dativo state get` prints it"),
    "state.another_tap": Entry(
        2, "the bookmark was written by another tap", "read from the start, or keep a bookmark of its own: --job NAME"
    ),
    "state.unknown": Entry(2, "no such bookmark", "see `dativo state list`"),
    # -- 3: change the machine
    "bus.missing": Entry(3, "the data plane (dativo-bus) was not found", "install dativo-native, or set DATIVO_BUS"),
    "env.storage": Entry(
        1, "an object store cannot be reached", "check `storage`, and that its host is granted: see `dativo allow`"
    ),
    "env.uv_missing": Entry(3, "uv was not found", "install the package uv beside dativo"),
    "env.copy": Entry(3, "the copy of what is delivered cannot be written", "make its folder writable"),
    "env.disk_full": Entry(3, "the disk is full", "free some space and run it again: it goes on at the bookmark"),
    "env.read_only": Entry(3, "a place that must be written is read-only", "make it writable, or set DATIVO_HOME"),
    "env.permission": Entry(3, "a file may not be read or written", "change its owner or mode, or run as its owner"),
    "env.output": Entry(3, "the output could not be written", "look at where stdout goes"),
    "env.run_dir": Entry(3, "the private run directory cannot be made", "set XDG_RUNTIME_DIR to a private directory"),
    "env.kernel": Entry(3, "the kernel lacks something Dativo needs", "see `dativo doctor`"),
    "sandbox.unavailable": Entry(
        3, "this machine cannot keep what the sandbox profile promises", "see `dativo doctor` for what is missing"
    ),
    "secret.backend": Entry(3, "a secret backend cannot be used", "its message says why; see docs/concepts/secrets.md"),
    "env.engine": Entry(
        3,
        "a container could not be run",
        "see what the engine says; is Docker or Podman running? DOCKER_HOST names its socket",
    ),
    "env.locked": Entry(3, "another process has the destination open", "end that process, then run it again"),
    "env.duckdb": Entry(3, "the database engine cannot do its work", "its message says why"),
    "env.memory": Entry(
        3, "there is not enough memory", "lower batch_rows or raise memory_limit in the target's config"
    ),
    "registry.unreachable": Entry(
        3, "a registry cannot be read now", "what was read before still works; `dativo registry list` shows its place"
    ),
    "plugin.start_failed": Entry(3, "the plugin could not be started", "reinstall it: `dativo sync`"),
    "plugin.install_failed": Entry(3, "the plugin could not be installed", "the installer's last lines say why"),
    "plugin.not_installed": Entry(3, "the plugin is locked but not installed", "install it: `dativo sync`"),
    "plugin.tampered": Entry(3, "the installed plugin is not what was locked", "install it again: `dativo sync`"),
    "plugin.build_denied": Entry(
        3, "the build of a package tried something that it may not", "do not install it, or report it to its author"
    ),
    "bundle.unfit": Entry(3, "the bundle is for another machine", "make one on a machine like this: `dativo bundle`"),
    "lock.drift": Entry(3, "dativo.lock does not match", "run `dativo sync` without --frozen and commit the lock file"),
    "lock.invalid": Entry(3, "dativo.lock cannot be read", "restore it from version control"),
    "state.store": Entry(3, "the state store cannot be used", "see `dativo doctor`"),
    # -- 4: fix the data
    "data.invalid_json": Entry(
        4, "a message is not JSON", "report it to the plugin's author; the bookmark is unchanged"
    ),
    "data.invalid_utf8": Entry(4, "a message is not UTF-8", "set the source's encoding in the tap's config"),
    "data.line_too_long": Entry(4, "a message is longer than the cap", "raise limits.line (--max-line)"),
    "data.record_before_schema": Entry(4, "a record came before its SCHEMA", "report it to the plugin's author"),
    "data.bad_message": Entry(4, "a message is not a Singer message", "report it to the plugin's author"),
    "data.batch_refused": Entry(
        4,
        "the target cannot load BATCH messages, and the bus cannot read their files",
        "turn batch_config off in the tap",
    ),
    "data.batch_outside": Entry(
        4, "a BATCH names a file that its tap may not hand over", "the files must be in a folder that the tap may write"
    ),
    "data.junk": Entry(
        4, "a line is not a message", "the job's policy is junk: fail; set junk: drop to skip such lines"
    ),
    "data.bad_source": Entry(
        4, "the source's data cannot be read", "fix the file and line named above, or the tap's settings"
    ),
    "data.record_count": Entry(
        4,
        "the source counted other records than came",
        "the connector lost or doubled rows of its own: its bookmark is not moved; try another version of it",
    ),
    "data.schema": Entry(
        4,
        "a record breaks its SCHEMA",
        "policy is fail; to set such records aside: on_bad_record: quarantine (--on-bad-record quarantine) "
        "· to see them after such a run: dativo dlq show JOB",
    ),
    "data.unchecked": Entry(
        4,
        "records could not be checked against their SCHEMA",
        "the SCHEMA needs Python's jsonschema, and its process ended or hung; to go on without a check: --no-validate",
    ),
    "data.stream_name": Entry(
        4, "two streams would have one name at the target", "take another --stream-name, as '{schema}_{table}'"
    ),
    "data.schema_changed": Entry(
        4, "a SCHEMA changed where it may not", "if the change is meant, set schema_change: evolve for the stream"
    ),
    "data.delete_share": Entry(
        4,
        "a target was told to delete more of a table than it may",
        "if that is meant, raise the target's max_delete_share for this run (1: never ask)",
    ),
    "data.rejected": Entry(4, "the target refused a record", "its message says which and why"),
    # -- 5: wait
    "job.busy": Entry(5, "another run holds the job", "to wait for it: --wait"),
    "state.conflict": Entry(5, "other writers were always first at a job's state", "run it again in a while"),
    "job.lease_lost": Entry(5, "another run took the job over", "run it again: it goes on at the bookmark"),
    # -- 6: some of it is done
    "run.partial": Entry(6, "some streams are done, others failed", "mend the cause and run it again: all go on there"),
    # -- 128 + signal
    "run.cancelled": Entry(130, "the run was cancelled", "run it again: it goes on at the bookmark"),
    # -- notices: no exit code of their own
    "tape.ended": Entry(0, "the recording ended before the run did", "free some space; the run itself went on"),
    "state.uncovered": Entry(0, "records came after the last STATE", "the next run reads them again"),
    "state.unconfirmed": Entry(0, "the target printed no STATE", "the old bookmark stays; the next run reads again"),
    "state.foreign": Entry(0, "the target printed a STATE that was never sent", "the old bookmark stays"),
    "data.schema_kept": Entry(
        0, "a SCHEMA changed, and the target keeps the old one", "the job's schema_change says so"
    ),
    "data.schema_slow": Entry(
        0,
        "records of a stream are checked by Python's jsonschema",
        "report the SCHEMA to the plugin's author; it is slow",
    ),
    "data.schema_unusable": Entry(
        0, "records cannot be checked against their SCHEMA", "report it to the plugin's author; the records pass"
    ),
    "data.activate_held": Entry(
        0, "an ACTIVATE_VERSION was not sent", "older rows stay until a run of the stream ends well and whole"
    ),
    "data.nonstandard_number": Entry(
        0, "a record holds NaN or Infinity, which JSON lacks", "nothing, if the target takes it"
    ),
}


@dataclass(eq=False)
class DativoError(Exception):
    """Base of all. `code` is a key of CATALOG; `details` are extra lines; `context` goes into --json as it is."""

    code: str
    message: str
    hint: str | None = None
    details: tuple[str, ...] = ()
    context: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a code that nobody documented."""
        if self.code not in CATALOG:
            raise KeyError(self.code)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    @property
    def exit_code(self) -> int:
        """The process exit code of DESIGN.md's house rule 3."""
        return int(self.context.get("exit", CATALOG[self.code].exit))

    @property
    def remedy(self) -> str:
        """What to change: the specific hint where there is one, else the code's standing hint."""
        return self.hint if self.hint is not None else CATALOG[self.code].hint

    def as_dict(self) -> dict[str, Any]:
        """The one object that --json prints: code, message, hint, details, exit and the context's keys."""
        return {
            "plugin": None,
            "stream": None,
            "run": None,
            **self.context,
            "code": self.code,
            "message": self.message,
            "hint": self.remedy,
            "details": list(self.details),
            "exit": self.exit_code,
        }


class RunError(DativoError):
    """The run failed (exit 1). Running it again may help."""


class ConfigError(DativoError):
    """The user must change the command line or the configuration (exit 2)."""


class EnvironmentFault(DativoError):
    """The user must change the machine (exit 3)."""


class DataError(DativoError):
    """The data broke the contract (exit 4)."""


class BusyError(DativoError):
    """Another run holds the job (exit 5)."""


class Partial(DativoError):
    """Some streams are done and others failed (exit 6)."""


class Cancelled(DativoError):
    """A signal ended the run (exit 128 + signal, given as context["exit"])."""


_BY_EXIT: dict[int, type[DativoError]] = {
    1: RunError,
    2: ConfigError,
    3: EnvironmentFault,
    4: DataError,
    5: BusyError,
    6: Partial,
}


def from_code(code: str, message: str, **kwargs: Any) -> DativoError:
    """The error of the right group for a code, as reported by the data plane or by a plugin of ours."""
    entry = CATALOG.get(code)
    if entry is None:
        return RunError("delivery.interrupted", f"{message} ({code})", **kwargs)
    return _BY_EXIT.get(entry.exit, Cancelled)(code, message, **kwargs)
