"""Which of a tap's streams a run reads, where it does not read all of them: those named, and those of a filter."""

from __future__ import annotations

from dativo.dataclass import dataclass


@dataclass(frozen=True)
class Part:
    """Streams by name (`--stream`) and by pattern (`streams:`, with `!` before one that is left out).

    False where there is neither: all streams are read then.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.patterns)

    def __contains__(self, stream: str) -> bool:
        return (not self.names or stream in self.names) and self.passes(stream)

    def passes(self, stream: str) -> bool:
        """Whether a stream passes the filter: some pattern names it, and none with `!` does."""
        from dativo_protocol.catalog import matches

        wanted = [one for one in self.patterns if not one.startswith("!")]
        named = not wanted or any(matches(one, stream) for one in wanted)
        return named and not any(matches(one[1:], stream) for one in self.patterns if one.startswith("!"))


ALL = Part()
