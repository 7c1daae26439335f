"""What is wrong with a line: the one exception that reading the wire raises."""

from __future__ import annotations


class WireError(ValueError):
    """A line that breaks the contract. `code` is one of the `data.*` codes of `protocol/errors.toml`."""

    def __init__(
        self, code: str, message: str, *, stream: str | None = None, line: int | None = None, offset: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.stream = stream
        self.line = line
        self.offset = offset

    def at(self, line: int, offset: int) -> WireError:
        """The same fault, with the number of its line (from 1) and the offset of its first byte in the stream."""
        return WireError(self.code, self.message, stream=self.stream, line=line, offset=offset)

    def __str__(self) -> str:
        place = [f"line {self.line}, byte {self.offset}"] if self.line is not None else []
        place += [f"stream {self.stream!r}"] if self.stream is not None else []
        return f"{self.message} ({', '.join(place)})" if place else self.message
