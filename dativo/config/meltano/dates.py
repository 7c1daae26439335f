"""A date of a setting: ISO 8601 as it is, or in the words that are common: `3 days ago`, `yesterday`.

Meltano 4.4.1 takes whatever the package dateparser understands, in many languages, counted from now in UTC and written
without a zone (core/utils `parse_date`). These words give what it gives; any other text is refused, not guessed at.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_AGO = re.compile(r"(\d{1,6}|an?) (second|minute|hour|day|week|month|year)s? ago", re.IGNORECASE)
_DAYS = {"now": 0, "today": 0, "yesterday": 1}
_MONTHS = {"month": 1, "year": 12}
WORDS = "3 days ago (seconds to years), yesterday, today or now"


def parsed(text: str, now: datetime | None = None) -> str:
    """The date that a text means. Raises ValueError for one that is none. `now` is UTC, without a zone."""
    if _ISO.fullmatch(text):
        return text
    moment = now or datetime.now(UTC).replace(tzinfo=None)
    try:
        found = _before(" ".join(text.split()), moment)
    except (OverflowError, ValueError):
        raise ValueError("is further back than there are years") from None
    if found is None:
        raise ValueError("is no date that is understood")
    return found.isoformat()


def in_words(text: str) -> bool:
    """Whether a text is a date that moves with the day."""
    return not _ISO.fullmatch(text)


def _before(text: str, moment: datetime) -> datetime | None:
    if text.lower() in _DAYS:
        return moment - timedelta(days=_DAYS[text.lower()])
    ago = _AGO.fullmatch(text)
    if ago is None:
        return None
    number, unit = 1 if ago[1].lower() in ("a", "an") else int(ago[1]), ago[2].lower()
    if unit not in _MONTHS:
        return moment - timedelta(**{f"{unit}s": number})
    month = moment.year * 12 + moment.month - 1 - number * _MONTHS[unit]
    year, month = month // 12, month % 12 + 1
    if year < 1:
        raise ValueError(year)
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
