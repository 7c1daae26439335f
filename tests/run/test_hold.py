from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dativo import errors
from dativo.run.hold import Hold, by_hand
from dativo.run.part import Part
from dativo.state.store import Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


def after_a_run(path, text, job="j"):
    with Hold.take(path, job) as hold:
        hold.commit(text, 1, 1)
        hold.finish("done", None, {})


def test_a_commit_is_there_for_the_next_run(path):
    after_a_run(path, '{"n":1.10}')
    with Hold.take(path, "j") as hold:
        assert hold.text == '{"n":1.10}'
        assert hold.handed(full_refresh=False) == '{"n":1.10}'
        assert not hold.moved
        hold.commit('{ "n": 1.10 }', 1, 1)
        assert not hold.moved  # where it stood
        hold.commit('{"n":2}', 1, 1)
        assert hold.moved


def test_one_run_at_a_time(path):
    """I5"""
    with Hold.take(path, "j"):
        with pytest.raises(errors.BusyError) as caught:
            Hold.take(path, "j")
        assert caught.value.exit_code == 5
        with Hold.take(path, "other"):
            pass
    with Hold.take(path, "j"):
        pass


def test_a_stale_holder_commits_nothing(path):
    """I5"""
    with Hold.take(path, "j") as hold:
        with Store.open(path) as store:
            store.release(hold._lease)
            store.acquire("j")
        with pytest.raises(errors.BusyError) as caught:
            hold.commit('{"n":1}', 1, 1)
        assert caught.value.code == "job.lease_lost"
    with Store.open_to_read(path) as store:
        assert store.bookmark("j") is None


def test_a_failure_is_recorded(path):
    with pytest.raises(errors.ConfigError), Hold.take(path, "j"):
        raise errors.ConfigError("catalog.none", "nothing is selected")
    with Store.open_to_read(path) as store:
        entry = store.log("j")[0]
    assert (entry.verdict, entry.reason) == ("interrupted", "catalog.none")


@pytest.mark.parametrize(
    ("local", "destination", "text"),
    [
        (None, None, None),
        ('{"n":1}', '{"n": 1}', '{"n":1}'),
        (None, '{"n":2}', '{"n":2}'),
        ('{"n":1}', '{"n":2}', '{"n":2}'),
        ('{"n":1}', None, "{}"),
        ('{"n":1}', "{}", "{}"),
    ],
)
def test_the_destination_knows_what_it_holds(path, local, destination, text):
    if local:
        after_a_run(path, local)
    with Hold.take(path, "j") as hold:
        said = hold.adopt(destination, "target-y")
        assert hold.text == text
        assert (said is None) == (text in (None, local))


@pytest.mark.parametrize("change", ["set", "clear"])
def test_a_change_by_hand_wins(path, change):
    """I4"""
    after_a_run(path, '{"n":5}')
    with Store.open(path) as store:
        if change == "set":
            store.set("j", '{"n":3}')
        else:
            store.clear("j")
    with Hold.take(path, "j") as hold:
        assert hold.adopt('{"n":5}', "target-y") is None
        assert hold.handed(full_refresh=False) == ('{"n":3}' if change == "set" else None)
        hold.commit('{"n":3}', 1, 1)  # confirmed by a run: from here on it is the run's
        hold.finish("done", None, {})
    with Store.open_to_read(path) as store:
        bookmark = store.bookmark("j")
    assert bookmark is not None
    assert bookmark.origin == "run"


def test_some_streams_only(path):
    after_a_run(path, '{"bookmarks":{"a":{"id":1},"b":{"id":2}}}')
    with Hold.take(path, "j") as hold:
        assert hold.handed(full_refresh=True) is None
        for part in (Part(("a",)), Part(("a", "new")), Part(("a", "b"), ("!b",))):
            hold.only(part)
            assert hold.handed(full_refresh=True) == '{"bookmarks":{"b":{"id":2}}}'
        for part in (Part((), ("a*",)), Part((), ("!b",))):
            hold.only(part)
            assert hold.handed(full_refresh=True) is None
        hold.commit('{"bookmarks":{"a":{"id":9}}}', 1, 1)
        assert hold.text is not None
        assert '"a":{"id":9}' in hold.text
        assert '"b": {"id":2}' in hold.text


def test_a_refresh_of_some_streams_begins_each_of_them_anew(path):
    """After the first stream was read, the old bookmark of the second may not stand: a retry would go on from there."""
    after_a_run(path, '{"bookmarks":{"a":{"id":1},"b":{"id":2},"c":{"id":3}}}')
    with Hold.take(path, "j") as hold:
        hold.only(Part((), ("!c",)))
        hold.handed(full_refresh=True)
        hold.commit('{"bookmarks":{"a":{"id":9}}}', 1, 1)
        assert json.loads(hold.handed(full_refresh=False) or "") == {"bookmarks": {"a": {"id": 9}, "c": {"id": 3}}}
        hold.commit('{"bookmarks":{"b":{"id":8}}}', 1, 1)
        assert json.loads(hold.text or "") == {"bookmarks": {"a": {"id": 9}, "b": {"id": 8}, "c": {"id": 3}}}


def test_only_a_bookmark_set_by_hand_serves_a_lonely_tap(path):
    assert by_hand(path, "j") is None
    after_a_run(path, '{"n":1}')
    assert by_hand(path, "j") is None
    with Store.open(path) as store:
        store.set("j", '{"n":7}')
    found = by_hand(path, "j")
    assert found is not None
    assert found.text == '{"n":7}'


def test_asked_again_a_change_at_the_destination_is_the_runs_own(path):
    """An attempt may die between the target's commit and the word of it."""
    after_a_run(path, '{"n":1}')
    with Hold.take(path, "j") as hold:
        assert hold.adopt('{"n":1}', "target-y") is None
        assert hold.adopt('{"n":1}', "target-y") is None
        assert not hold.committed
        assert hold.adopt('{"n":4}', "target-y") is not None
        assert hold.committed
        assert hold.text == '{"n":4}'


def test_a_change_by_hand_wins_until_the_run_has_moved_on(path):
    """I4"""
    after_a_run(path, '{"n":9}')
    with Store.open(path) as store:
        store.set("j", '{"n":3}')
    with Hold.take(path, "j") as hold:
        assert hold.adopt('{"n":9}', "target-y") is None
        assert hold.adopt('{"n":9}', "target-y") is None
        assert hold.text == '{"n":3}'
        assert hold.adopt('{"n":5}', "target-y") is not None
        assert hold.text == '{"n":5}'


def test_asked_again_the_other_streams_keep_their_part(path):
    after_a_run(path, '{"bookmarks":{"a":{"id":1},"b":{"id":2}}}')
    with Hold.take(path, "j") as hold:
        hold.adopt('{"bookmarks":{"a":{"id":1},"b":{"id":2}}}', "target-y")
        hold.only(Part(("a",)))
        hold.adopt('{"bookmarks":{"a":{"id":5}}}', "target-y")
        assert hold.text is not None
        assert '"b": {"id":2}' in hold.text
        assert '"a":{"id":5}' in hold.text


def test_what_this_run_committed_is_known(path):
    after_a_run(path, '{"n":1}')
    with Hold.take(path, "j") as hold:
        assert not hold.committed
        hold.commit('{"n":1}', 1, 1)
        assert hold.committed, "where it stood is committed too: a full refresh is not begun again"


def test_a_bookmark_that_is_insisted_on_wins_over_the_destination(path):
    after_a_run(path, '{"n":1}')
    with Hold.take(path, "j") as hold:
        hold.insist()
        hold.finish("interrupted", "verify.mismatch", {})
    with Hold.take(path, "j") as hold:
        assert (hold.adopt('{"n":5}', "target-y"), hold.text) == (None, '{"n":1}')
    with Hold.take(path, "fresh") as hold:
        hold.insist()
        hold.finish("interrupted", "verify.mismatch", {})
    with Hold.take(path, "fresh") as hold:
        assert (hold.adopt('{"n":5}', "target-y"), hold.handed(full_refresh=False)) == (None, None)


def test_a_bookmark_is_for_the_tap_that_wrote_it(path):
    program = (
        "import os, sys; from pathlib import Path; from dativo.run.hold import Hold\n"
        "hold = Hold.take(Path(sys.argv[1]), 'j', tap='tap-a (native)'); hold.belongs()\n"
        "hold.commit('{\"n\":1}', 1, 1); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -9
    with Hold.take(path, "j", tap="tap-a (native)") as hold:
        hold.belongs()
        hold.finish("done", None, {"records": 0})  # nothing moved: the bookmark is still of the run that was killed
    for words, names in (({}, ()), ({"full_refresh": True}, ("s",)), ({"given": True}, ("s",))):
        with (
            pytest.raises(errors.ConfigError, match=r"written by tap-a \(native\), and this is tap-b \(singer\)"),
            Hold.take(path, "j", tap="tap-b (singer)") as hold,
        ):
            hold.only(Part(names))
            hold.belongs(**words)
    for words in ({"full_refresh": True}, {"given": True}):
        with Hold.take(path, "j", tap="tap-b (singer)") as hold:
            hold.belongs(**words)
    with Hold.take(path, "j") as hold:
        hold.belongs()  # a foreign program on the left: nobody can know
    with Hold.take(path, "j", tap="tap-a (native)") as hold:
        hold.belongs()
    with Store.open(path) as store:
        store.set("j", '{"n":2}')
    with Hold.take(path, "j", tap="tap-b (singer)") as hold:
        hold.belongs()  # set by hand
        hold.commit('{"n":3}', 1, 1)
    with pytest.raises(errors.ConfigError) as caught, Hold.take(path, "j", tap="tap-a (native)") as hold:
        hold.belongs()
    assert caught.value.code == "state.another_tap"
