"""What passes and what stays, told from codes, signals, exit codes and words."""

from __future__ import annotations

import signal
import time
from email.utils import formatdate

import pytest

from dativo import errors
from dativo.plugins.manifest import checked
from dativo.run import patterns, symptoms
from dativo.run.causes import Evidence, brief, cause_of
from dativo.run.ratelimit import told_wait


def failed(code: str, **context: object) -> errors.DativoError:
    return errors.from_code(code, "it failed", context={"plugin": "tap-x", **context})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("bus.died", "transient"),
        ("plugin.hung", "transient"),
        ("env.locked", "transient"),
        ("delivery.interrupted", "transient"),
        ("limit.memory", "permanent"),
        ("limit.wall", "permanent"),
        ("data.bad_message", "permanent"),
        ("data.rejected", "permanent"),
        ("config.invalid", "permanent"),
        ("env.disk_full", "permanent"),
        ("sandbox.unavailable", "permanent"),
        ("plugin.network.denied", "permanent"),
        ("plugin.start_failed", "permanent"),
        ("plugin.stopped", "transient"),
        ("target.unconfirmed", "permanent"),
        ("secret.conflict", "permanent"),
        ("run.cancelled", "never"),
        ("job.lease_lost", "never"),
        ("bug", "never"),
    ],
)
def test_by_code(code: str, kind: str):
    assert cause_of(failed(code), Evidence(lines=["try again: connection reset"])).kind == kind


def test_every_code_is_judged():
    for code in errors.CATALOG:
        assert cause_of(failed(code)).kind in ("transient", "permanent", "never")


@pytest.mark.parametrize(
    ("number", "kind", "bound"),
    [
        (signal.SIGKILL, "transient", None),
        (signal.SIGTERM, "transient", None),
        (signal.SIGSEGV, "transient", 1),
        (signal.SIGABRT, "transient", 1),
        (signal.SIGSYS, "permanent", None),
        (signal.SIGXFSZ, "permanent", None),
    ],
)
def test_by_signal(number: int, kind: str, bound: int | None):
    found = cause_of(failed("plugin.killed"), Evidence(signal=number))
    assert (found.kind, found.bound) == (kind, bound)


@pytest.mark.parametrize(
    ("code", "ours", "kind", "bound"),
    [
        (1, False, "transient", None),
        (1, True, "transient", None),
        (2, False, "transient", None),
        (2, True, "permanent", None),
        (3, True, "permanent", None),
        (4, True, "permanent", None),
        (0, False, "transient", 1),
    ],
)
def test_by_exit_code(code: int, ours: bool, kind: str, bound: int | None):
    found = cause_of(failed("plugin.exited"), Evidence(lines=["boom"], code=code, ours=ours))
    assert (found.kind, found.bound) == (kind, bound)


def test_a_newer_plugins_own_code_is_judged_by_its_exit_code():
    assert cause_of(failed("delivery.interrupted", exit=4)).kind == "permanent"


def test_a_host_that_cannot_be_reached_may_be_back():
    evidence = Evidence(lines=["boom"], code=3, ours=True, unreachable=["db.internal"])
    assert cause_of(failed("plugin.exited"), evidence).kind == "transient"
    denied = Evidence(lines=["password authentication failed"], code=1, unreachable=["db.internal"])
    assert cause_of(failed("plugin.exited"), denied).kind == "permanent"


WORDS = [
    ("psycopg2.errors.DeadlockDetected: deadlock detected", "transient"),
    ("could not serialize access due to concurrent update", "transient"),
    ("server closed the connection unexpectedly", "transient"),
    ("FATAL: terminating connection due to administrator command", "transient"),
    ("FATAL:  sorry, too many clients already", "transient"),
    ("FATAL:  the database system is starting up", "transient"),
    ("FATAL:  the database system is in recovery mode", "transient"),
    ("pymysql.err.OperationalError: (2013, 'Lost connection to MySQL server during query')", "transient"),
    ("(2006, 'MySQL server has gone away')", "transient"),
    ("Lock wait timeout exceeded; try restarting transaction", "transient"),
    ("sqlite3.OperationalError: database is locked", "transient"),
    ("ConnectionRefusedError: [Errno 111] Connection refused", "transient"),
    ("ConnectionResetError: [Errno 104] Connection reset by peer", "transient"),
    ("requests.exceptions.ReadTimeout: Read timed out. (read timeout=30)", "transient"),
    ("Temporary failure in name resolution", "transient"),
    ("requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://x", "transient"),
    ("CRITICAL HTTP-error-code: 502, Error: Bad Gateway", "transient"),
    ("RateLimitError: 403 API rate limit exceeded", "transient"),
    ("singer_sdk.exceptions.FatalAPIError: 404 Client Error: Not Found for path: /v1/x", "permanent"),
    ("requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://x", "permanent"),
    ('FATAL:  password authentication failed for user "reader"', "permanent"),
    ("ERROR 1045 (28000): Access denied for user 'x'@'localhost'", "permanent"),
    ('psycopg2.errors.InsufficientPrivilege: permission denied for table "orders"', "permanent"),
    ('relation "orders" does not exist', "permanent"),
    ("FATAL: no pg_hba.conf entry for host", "permanent"),
    ("Config is missing required keys: ['token']", "permanent"),
    ("ModuleNotFoundError: No module named 'psycopg2'", "permanent"),
    ("KeyError: 'id'", None),
    ("INFO read 500 rows", None),
    ("INFO read 429 rows", None),
]


@pytest.mark.parametrize(("line", "kind"), WORDS)
def test_by_words(line: str, kind: str | None):
    assert symptoms.kind([line]) == kind
    assert symptoms.kind(["Traceback", line, ""]) == kind


def test_the_last_line_that_means_something_decides():
    assert symptoms.kind(["connection refused", "password authentication failed"]) == "permanent"
    assert symptoms.kind(["permission denied", "deadlock detected", "bye"]) == "transient"


# -- a manifest's own words


def test_a_manifests_words_win():
    block = checked({"name": "tap-x", "errors": {"transient": ["shard (is )?moving", "(unreadable"], "permanent": 3}})
    assert block["errors"] == {"transient": ["shard (is )?moving"], "permanent": []}
    evidence = Evidence(lines=["access denied: SHARD IS MOVING"], code=1, declared=block["errors"])
    assert cause_of(failed("plugin.exited"), evidence).kind == "transient"
    assert cause_of(failed("limit.memory"), evidence).kind == "permanent"


def test_permanent_wins_on_one_line_and_the_last_line_over_all():
    block = {"transient": ["moving"], "permanent": ["ended"]}
    assert patterns.verdict(block, ["ended while moving"]) == "permanent"
    assert patterns.verdict(block, ["ended", "moving"]) == "transient"
    assert patterns.verdict(block, ["neither"]) is None
    assert patterns.verdict({}, ["moving"]) is None


def test_a_pattern_that_never_ends_means_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patterns, "PATIENCE", 0.1)
    before = signal.getsignal(signal.SIGALRM)
    assert patterns.verdict({"transient": ["(a+)+$"]}, ["a" * 60 + "b"]) is None
    assert signal.getsignal(signal.SIGALRM) == before


# -- how long to wait

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("429 Too Many Requests, Retry-After: 30", 30),
        ("headers: {'Retry-After': '7', 'Server': 'x'}", 7),
        ('{"retry-after": "1.5"}', 1.5),
        ("retry-after-ms: 1500", 1.5),
        (f"Retry-After: {formatdate(NOW + 90, usegmt=True)}", 90),
        (f"{{'Retry-After': '{formatdate(NOW + 5, usegmt=True)}'}}", 5),
        (f"Retry-After: {formatdate(NOW - 5, usegmt=True)}", 0),
        ("Rate limit exceeded, retry after 30 seconds", 30),
        ("rate limit reached. Please try again in 2 minutes.", 120),
        ("throttled: waiting for 250ms", 0.25),
        (f"429 Client Error, X-RateLimit-Reset: {NOW + 60:.0f}", 60),
        (f"429 Client Error, x-ratelimit-reset: {(NOW + 60) * 1000:.0f}", 60),
        ("status 429, RateLimit-Reset: 12", 12),
        ("backing off: retry after 3 seconds", None),
        ("Retry-After: soon", None),
        ("429 Too Many Requests", None),
    ],
)
def test_waits_that_are_told(line: str, seconds: float | None):
    assert told_wait([line], NOW) == (None if seconds is None else pytest.approx(seconds))


def test_the_limit_and_the_wait_may_stand_on_two_lines():
    assert told_wait(["INFO X-RateLimit-Reset: 9", "CRITICAL HTTP-error-code: 429"], NOW) == 9
    found = cause_of(failed("plugin.exited"), Evidence(lines=["Retry-After: 4", "status code 429"], code=1))
    assert (found.kind, found.wait) == ("transient", 4)
    assert told_wait([f"Retry-After: {formatdate(time.time() + 30, usegmt=True)}"]) == pytest.approx(30, abs=2)


def test_a_cause_is_one_short_line():
    assert brief("a\n  b") == "a b"
    assert len(brief("x" * 1000)) == 160
