"""Sources that change: a CSV file that grows, and tables with new and changed rows."""

from __future__ import annotations

import random
from collections import Counter
from typing import Protocol

from tests.chaos.jobs import BEGAN, PADDING, TABLES, Job, Row, row, write_rows


class Source(Protocol):
    """What a soak asks of a source."""

    while_read: bool
    """Whether it may change while a tap reads it: half a line that is being written is no row yet."""

    def change(self) -> None:
        """Something new, as a few rows."""

    def rows(self) -> dict[str, Counter[Row]]:
        """All that is in it now, by stream."""


class GrowingFile:
    """A CSV file that gets rows at its end."""

    while_read = False

    def __init__(self, job: Job, chance: random.Random) -> None:
        self._job, self._chance = job, chance

    def change(self) -> None:
        """Append."""
        more = self._job.rows + self._chance.randrange(1, 400)
        write_rows(self._job.rows_file, self._job.rows, more)
        self._job.rows = more

    def rows(self) -> dict[str, Counter[Row]]:
        """As they were written."""
        return {"rows": Counter(row(number) for number in range(self._job.rows))}


class ChangingTables:
    """Tables where rows are added and changed; each change is later than all before."""

    while_read = True

    def __init__(self, job: Job, chance: random.Random) -> None:
        self._server, self._chance = job.bench.postgres, chance
        self._next = self._tick = job.rows

    def change(self) -> None:
        """A few rows more in each table, and a few changed ones."""
        more, changed = self._chance.randrange(1, 40), self._chance.randrange(1, 20)
        for table in TABLES:
            self._server.sql(
                f"begin; insert into chaos.{table} select n, 'the name of ' || n || ' {PADDING}', n * 7,"
                f" timestamptz '{BEGAN.isoformat()}' + (n - {self._next} + {self._tick}) * interval '1 second'"
                f" from generate_series({self._next}, {self._next + more - 1}) n;"
                f" update chaos.{table} set value = value + 1, updated_at ="
                f" timestamptz '{BEGAN.isoformat()}' + {self._tick + more} * interval '1 second'"
                f" where id in (select id from chaos.{table} order by md5(id || '{self._tick}') limit {changed});"
                " commit"
            )
        self._next += more
        self._tick += more + 1

    def rows(self) -> dict[str, Counter[Row]]:
        """What a query says."""
        found = {}
        for table in TABLES:
            lines = self._server.sql(f"select id, name, value from chaos.{table}").splitlines()
            cells = [line.split("|") for line in lines]
            found[f"chaos-{table}"] = Counter((int(number), name, int(value)) for number, name, value in cells)
        return found
