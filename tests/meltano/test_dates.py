"""Dates in words are what the real Meltano makes of them, counted from one moment."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime

import pytest

from dativo.config.meltano import dates

NOW = "2026-03-31T12:30:15.123456"
WORDS = (
    "3 days ago", "1 day ago", "a day ago", "an hour ago", "12 hours ago", "5 minutes ago", "90 seconds ago",
    "2 weeks ago", "1 month ago", "13 months ago", "25 months ago", "1 year ago", "3 YEARS  ago", "yesterday", "today",
    "now", "2026-01-31", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00",
)  # fmt: skip
REAL = """\
import json, sys
from datetime import datetime, timezone
from unittest import mock
from meltano.core import utils
moment = datetime.fromisoformat(sys.argv[1]).replace(tzinfo=timezone.utc)
with mock.patch.object(utils, "datetime") as clock:
    clock.now.return_value = moment
    print(json.dumps([utils.parse_date(text) for text in sys.argv[2:]]))
"""


@pytest.mark.plugins
@pytest.mark.timeout(600)
@pytest.mark.parametrize("now", [NOW, "2024-02-29T00:00:00"])
def test_words_mean_what_they_mean_to_meltano(now, meltano):
    command = [str(meltano.parent / "python"), "-c", REAL, now, *WORDS]
    real = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert [dates.parsed(text, datetime.fromisoformat(now)) for text in WORDS] == real


@pytest.mark.parametrize("text", ["", "soon", "3 days", "in 2 days", "vor 3 Tagen", "3000 years ago", "99999 years ago",
                                  "-3 days ago", "3 days ago; touch x", "31.12.2026", "9 days ago!"])  # fmt: skip
def test_other_words_are_refused(text):
    with pytest.raises(ValueError, match=r"is no date|is further back"):
        dates.parsed(text)


def test_a_project_with_such_a_date(folder):
    world = folder(
        "plugins:\n  extractors:\n    - name: tap-a\n      namespace: tap_a\n      pip_url: tap-a\n"
        "      settings: [{name: start_date, kind: date_iso8601}]\n      config: {start_date: 3 days ago}\n"
    )
    shown = world.dativo("config", "tap-a", "--json").expect().json
    (row,) = shown["settings"]
    assert datetime.fromisoformat(row["value"]) < datetime.now()
    world.edit("3 days ago", "in the spring")
    answer = world.dativo("config", "tap-a").expect(2)
    assert "start_date is no date that is understood" in answer.stderr
    assert "3 days ago" in answer.stderr
