"""Attempts and breakers in the store."""

from __future__ import annotations

import sqlite3
import time

import pytest

from dativo.state import schema
from dativo.state.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "state.db") as opened:
        yield opened


def run_of(store, job="j"):
    lease = store.acquire(job)
    run = store.start_run(lease)
    store.release(lease)
    return run


def test_attempts_are_kept_in_order(store):
    run = run_of(store)
    store.start_attempt(run, 1)
    store.end_attempt(run, 1, "interrupted", cause="transient", reason="plugin.exited", message="boom", waited=0.5)
    store.start_attempt(run, 2)
    first, second = store.attempts(run)
    assert (first.verdict, first.cause, first.reason, first.message, first.waited) == (
        "interrupted", "transient", "plugin.exited", "boom", 0.5,
    )  # fmt: skip
    assert (second.number, second.ended, second.verdict) == (2, None, None)
    assert store.attempts(run_of(store)) == []


def test_retries_are_counted_by_job_and_time(store):
    for job in ("j", "j", "other"):
        run = run_of(store, job)
        store.start_attempt(run, 1)
        store.end_attempt(run, 1, "interrupted", waited=0)
        store.start_attempt(run, 2)
        store.end_attempt(run, 2, "done")
    assert (store.retries("j", 60), store.retries("other", 60), store.retries("none", 60)) == (2, 1, 0)
    assert store.retries("j", -60) == 0


@pytest.fixture
def at(monkeypatch):
    """Sets the clock."""
    return lambda now: monkeypatch.setattr(time, "time", lambda: float(now))


def test_a_breaker_opens_lets_one_try_and_closes(store, at):
    at(1000)
    assert store.enter_breaker("tap-x", 2, 60) is None
    at(1100)
    store.breaker_failed("tap-x", "plugin.exited", "boom")
    assert store.enter_breaker("tap-x", 2, 60) is None
    at(1110)
    store.breaker_failed("tap-x", "plugin.killed", "bang")
    at(1120)
    held = store.enter_breaker("tap-x", 2, 60)
    assert held is not None
    assert (held.failures, held.left, held.reason, held.message) == (2, 50, "plugin.killed", "bang")
    assert store.enter_breaker("tap-x", 5, 60) is None, "another job allows more"
    assert store.enter_breaker("tap-y", 2, 60) is None
    at(1170)
    assert store.enter_breaker("tap-x", 2, 60) is None, "half open: one may try"
    at(1171)
    assert store.enter_breaker("tap-x", 2, 60) is not None, "the others wait for what becomes of it"
    store.close_breaker("tap-x")
    assert store.enter_breaker("tap-x", 2, 60) is None


def test_a_clock_that_was_set_back_does_not_hold_a_breaker_open(store, at):
    at(1_000_000)
    store.breaker_failed("tap-x", "plugin.exited", "boom")
    at(1000)
    assert store.enter_breaker("tap-x", 1, 60) is None


def test_a_store_of_before_is_brought_up(tmp_path):
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path, isolation_level=None)
    schema.migrate(connection, schema.MIGRATIONS[:2])
    connection.close()
    with Store.open(path) as store:
        assert store.attempts("r") == []
