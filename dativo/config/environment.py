"""Every environment variable that Dativo reads or gives to plugins, defined once.

`docs/reference/environment.md` is generated from here; a test finds any DATIVO_ name in the code that is not listed.
"""

from __future__ import annotations

from typing import NamedTuple


class Variable(NamedTuple):
    """One environment variable: who uses it, what it does, what holds without it."""

    name: str
    group: str
    meaning: str
    default: str


READ = "read by Dativo"
GIVEN = "given to plugins"
FOREIGN = "read by Dativo, defined by others"

VARIABLES: tuple[Variable, ...] = (
    Variable(
        "DATIVO_HOME",
        READ,
        "Directory that holds everything of Dativo's outside projects: `data`, `cache`, `state`, `config` and `run`.",
        "the XDG directories",
    ),
    Variable("DATIVO_ENV", READ, "Environment of `dativo.yml` to use, as `--env`.", "none"),
    Variable("DATIVO_JOB", READ, "Name that the bookmark is kept under, as `--job`.", "the plugins' names"),
    Variable(
        "DATIVO_RETRIES", READ, "How often `dativo run` tries again, as `--retries`.", "the job's `retry:`, else 2"
    ),
    Variable(
        "DATIVO_PARALLEL", READ, "How many taps `dativo run` lets read at once, as `--parallel`.", "the job's, else 1"
    ),
    Variable("DATIVO_TENANT", READ, "Tenant whose secrets the job may name, as `--tenant`.", "the job's own"),
    Variable("DATIVO_BUS", READ, "Path of the `dativo-bus` executable.", "the one installed beside dativo"),
    Variable("DATIVO_UV", READ, "Path of the `uv` executable.", "the one of the Python package uv, else on PATH"),
    Variable("DATIVO_OSV", READ, "Address of the OSV server that `dativo audit` asks.", "`https://api.osv.dev`"),
    Variable(
        "DATIVO_POLICY",
        READ,
        "File with a `sandbox:` section that bounds what plugins may be granted on this machine.",
        "`/etc/dativo/policy.yml`, if it is there",
    ),
    Variable("DATIVO_DEBUG", READ, "`1` shows the inside of a crash on the terminal, as `-vv`.", "`0`"),
    Variable("DATIVO_TEST_TARGET", READ, "Target of the tests that `dativo replay --test` made.", "the one they name"),
    Variable("DATIVO_JOB", GIVEN, "Name of the job, for targets that store the bookmark with the data.", "`default`"),
    Variable("DATIVO_RUN", GIVEN, "Identifier of the run.", "unset outside a run"),
    Variable(
        "DATIVO_SPOOL", GIVEN, "Folder in which a tap that speaks Arrow seals files.", "unset: the tap sends RECORDs"
    ),
    Variable("DATIVO_SPOOL_BYTES", GIVEN, "How many bytes may lie in it.", "unset"),
    Variable("NO_COLOR", FOREIGN, "Any value turns colours off.", "colours on a terminal"),
    Variable("TERM", FOREIGN, "`dumb` turns colours off.", "the terminal's"),
    Variable("CI", FOREIGN, "Any value turns the live progress into plain lines.", "live progress on a terminal"),
    Variable("CARGO_TARGET_DIR", FOREIGN, "In a checkout: where the data plane was built.", "`native/target`"),
    Variable("XDG_DATA_HOME", FOREIGN, "Where plugin environments are kept (`dativo` inside it).", "`~/.local/share`"),
    Variable("XDG_CACHE_HOME", FOREIGN, "Where downloads are kept (`dativo` inside it).", "`~/.cache`"),
    Variable("XDG_STATE_HOME", FOREIGN, "Where bookmarks are kept (`dativo` inside it).", "`~/.local/state`"),
    Variable("XDG_CONFIG_HOME", FOREIGN, "Where the user's own project is (`dativo` inside it).", "`~/.config`"),
    Variable("XDG_RUNTIME_DIR", FOREIGN, "Where private run directories are made.", "a private folder in TMPDIR"),
)
