"""What a plugin changed in its config file goes back by compare-and-set; a single-use token is one run's at a time."""

import json

import pytest

from dativo import errors
from dativo.secrets import writeback
from dativo.secrets.redact import REDACTOR
from dativo.secrets.writeback import Locks, WriteBack


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "oauth.json"
    path.touch(mode=0o600)
    path.write_text('{"refresh_token": "first-token", "client": "me"}')
    return path


@pytest.fixture
def given(resolver, tmp_path, token):
    """What a tap was given, and its way back."""
    found = resolver(variable={"KEY": "of-the-environment"}.get)
    config = {
        "refresh_token": "secret://file/oauth.json#refresh_token",
        "key": "secret://env/KEY",
        "host": "h",
        "access_token": "inline-token",
    }
    opened = found.resolve(config, "tap-x")

    def keep(**changes):
        back = json.dumps({**opened.config, **changes}).encode()
        return WriteBack(found, "tap-x", Locks(tmp_path / "state")).keep(opened.config, opened.origins, back)

    keep.resolver, keep.opened = found, opened
    return keep


def stored(token):
    return json.loads(token.read_text())["refresh_token"]


def test_a_refreshed_token_is_stored(given, token):
    kept = given(refresh_token="second-token")
    assert kept.notes == []
    assert kept.config["refresh_token"] == "second-token"
    assert stored(token) == "second-token"
    assert REDACTOR.text("second-token") == "***"


def test_nothing_changed_nothing_done(given, token):
    before = token.stat()
    kept = given()
    assert (kept.notes, kept.config) == ([], None)
    assert token.stat().st_ino == before.st_ino


def test_of_two_runs_one_is_told(given, token):
    token.write_text('{"refresh_token": "of-another-run", "client": "me"}')
    kept = given(refresh_token="second-token")
    assert stored(token) == "of-another-run"
    [note] = kept.notes
    assert note.startswith("secret.conflict: tap-x refreshed refresh_token")
    assert "second-token" not in note


def test_what_cannot_be_kept_is_said(given, token, monkeypatch):
    monkeypatch.setattr(writeback, "PAUSE", 0)
    [note] = given(key="another-key").notes
    assert "env cannot keep" in note
    [note] = given(access_token="new-inline", expires=5).notes
    assert "changed access_token, expires in its config file, which is not kept" in note
    assert REDACTOR.text("new-inline") == "***"
    [note] = given(refresh_token=["no", "text"]).notes
    assert "no such value" in note
    token.chmod(0o644)
    [note] = given(refresh_token="second-token").notes
    assert note.startswith("secret.backend: ")
    assert "Get a new token" in note
    for told in (note,):
        assert "second-token" not in told


@pytest.mark.parametrize("back", [b"not json", b"[1]", b'{"refresh_token": "x"', b"\xff"])
def test_a_file_that_is_no_config(given, token, back, tmp_path):
    kept = WriteBack(given.resolver, "tap-x", Locks(tmp_path)).keep(given.opened.config, given.opened.origins, back)
    assert len(kept.notes) == 1
    assert stored(token) == "first-token"


def test_a_single_use_token_is_one_runs_at_a_time(given, tmp_path):
    mine, theirs = Locks(tmp_path / "state"), Locks(tmp_path / "state")
    mine.take(given.resolver, given.opened.origins, "tap-x")
    with pytest.raises(errors.BusyError) as caught:
        theirs.take(given.resolver, given.opened.origins, "tap-x")
    assert caught.value.code == "job.busy"
    assert "file/oauth.json#refresh_token" in caught.value.message
    mine.release()
    theirs.take(given.resolver, given.opened.origins, "tap-x")
    theirs.release()


def test_what_was_refreshed_once_is_locked_from_then_on(resolver, tmp_path, token):
    found = resolver()
    opened = found.resolve({"access": "secret://file/oauth.json#refresh_token"})
    first, second = Locks(tmp_path / "state"), Locks(tmp_path / "state")
    first.take(found, opened.origins, "tap-x")
    second.take(found, opened.origins, "tap-x")  # a password may be used by many
    WriteBack(found, "tap-x", first).keep(opened.config, opened.origins, b'{"access": "another-token"}')
    assert stored(token) == "another-token"
    first.release()
    first.take(found, opened.origins, "tap-x")
    with pytest.raises(errors.BusyError):
        second.take(found, opened.origins, "tap-x")
    first.release()
