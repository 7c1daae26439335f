"""Which generation a stream's rows are of, as newer Airbyte destinations are told at each start.

A generation begins when a stream is read anew, and its number is that of the run: `generation_id`. Where what is there
goes at that, `minimum_generation_id` is the same number: rows of older ones may be deleted, those of this one stay,
also when the destination is started again. Else it is 0. `sync_id` is the run's number. (`airbyte_protocol.yaml`,
ConfiguredAirbyteStream; how a platform counts them: its CatalogGenerationSetter.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from dativo.dataclass import dataclass

Told = dict[str, dict[str, Any]]
"""Stream -> `{"generation": 7, "minimum": 7, "name": …, "namespace": …}`, the last two as it is called there."""


@dataclass
class Loads:
    """The counts of one run, and how they are kept."""

    sync: int = 0
    """The run's number; 0 where nothing is loaded."""
    known: Told = field(default_factory=dict)
    """What was told last."""
    keep: Callable[[Told], None] = lambda _: None
    """Makes it durable: before the destination starts, so that no number is ever used for other rows again."""
    goes_on: bool = False
    """Whether no generation begins with this run, whatever it reads again (a backfill)."""
    begun: set[str] = field(default_factory=set)
    """Streams whose generation this run has begun: another attempt of it is of the same."""

    def of(self, stream: str, *, anew: bool, empties: bool) -> tuple[int, int]:
        """Generation and minimum of a stream that is about to be loaded. `empties`: rows of older ones are to go."""
        known = self.known.get(stream, {})
        number, least = int(known.get("generation", 0)), int(known.get("minimum", 0))
        if not anew or self.goes_on or stream in self.begun:
            return number, least
        self.begun.add(stream)
        number = max(self.sync, number + 1)
        return number, number if empties else 0

    def start(self, told: Told) -> None:
        """The destination is about to be told that."""
        if any(self.known.get(stream) != one for stream, one in told.items()):
            self.keep(told)
            self.known = {**self.known, **told}
