"""Records to Arrow and back, per core, against pyarrow's JSON reader and orjson."""

from __future__ import annotations

from pathlib import Path

from tests.bench.figures import Section


def section(cache: Path, rounds: int) -> Section:
    """Filled when protocol/rust's examples are there."""
    return Section("Transcoding alone, per core")
