"""The files that BATCH messages name: Arrow IPC and parquet as tables, jsonl (plain or gzip) as rows.

Arrow and parquet stay columns from here to DuckDB. The rows of jsonl are decoded one by one, like RECORDs: pyarrow's
JSON reader guesses a column's type from the first block, takes a string that looks like a time for a time, and rounds
numbers that a double cannot hold, so it cannot give the table that the same rows give as RECORDs.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from dativo_protocol.messages import Batch, FileBatch
from target_duckdb import decode
from target_duckdb.errors import TargetError
from target_duckdb.settings import Settings

SLICE = 2000
PARQUET_ROWS = 32_768
Rows = list[tuple[dict[str, Any], int]]


@dataclass(frozen=True)
class Piece:
    """Some neighbouring rows of an Arrow or parquet file; `place` says where they are, for errors."""

    table: Any
    place: str


def refused(number: int, what: str) -> TargetError:
    """A BATCH that this target does not read."""
    return TargetError(
        "data.batch_refused",
        f"line {number}: {what}",
        "use arrow, parquet or jsonl files on file://, or turn batch_config off",
    )


def unreadable(place: str, error: object) -> TargetError:
    """A file that is not there, or is not what its BATCH says."""
    return TargetError(
        "data.bad_message", f"{place} cannot be read: {error}", "report it to the tap's author, and run it again"
    )


def pieces(message: Batch | FileBatch, number: int, settings: Settings) -> Iterator[Piece | Rows]:
    """All rows of the files in the manifest, in their order, bounded by batch_rows and batch_bytes (I10)."""
    if isinstance(message, FileBatch):
        raise refused(number, "a BATCH in PipelineWise's shape (filepath)")
    form, compression = message.format, message.compression
    for uri in message.manifest:
        path = local(uri, number)
        place = f"line {number}: {path}"
        try:
            if form == "arrow":
                yield from gathered(arrow(path), place, settings)
            elif form == "parquet":
                yield from gathered(parquet(path), place, settings)
            elif form == "jsonl" and compression in (None, "none", "gzip"):
                yield from jsonl(path, number)
            else:
                raise refused(number, f"a BATCH of {json.dumps(form)} files with compression {json.dumps(compression)}")
        except (OSError, EOFError, pa.ArrowException) as error:
            raise unreadable(place, error) from None


def local(uri: Any, number: int) -> Path:
    """The path of a file:// address, or an absolute path as it is."""
    if isinstance(uri, str) and uri.startswith("/"):
        return Path(uri)
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise refused(number, f"a BATCH file at {json.dumps(uri)}, which is no file:// address")
    return Path(unquote(parts.path))


def arrow(path: Path) -> Iterator[Any]:
    """The record batches of an Arrow IPC file, mapped into memory for as long as somebody holds one of them."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        for at in range(file.num_record_batches):
            yield file.get_batch(at)


def parquet(path: Path) -> Iterator[Any]:
    """The rows of a parquet file as record batches."""
    from pyarrow import parquet as reader

    with reader.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=PARQUET_ROWS)


def gathered(batches: Iterable[Any], place: str, settings: Settings) -> Iterator[Piece]:
    """Small record batches together, large ones in parts; none is trusted before its offsets and texts are checked."""
    held: list[Any] = []
    rows = size = 0
    for batch in batches:
        batch.validate(full=True)
        step = max(1, min(settings.batch_rows, batch.num_rows * settings.batch_bytes // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            rows, size = rows + part.num_rows, size + part.nbytes
            if held and (
                rows > settings.batch_rows or size > settings.batch_bytes or not part.schema.equals(held[0].schema)
            ):
                yield Piece(pa.Table.from_batches(held), place)
                held, rows, size = [], part.num_rows, part.nbytes
            held.append(part)
    if held:
        yield Piece(pa.Table.from_batches(held), place)


def jsonl(path: Path, number: int) -> Iterator[Rows]:
    """Bare records, one a line; gzip is recognised by its first bytes, whatever the message says."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        lines = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if zipped else raw
        rows: Rows = []
        for line in lines:
            if not line.strip():
                continue
            rows.append((decode.record(line, number), len(line)))
            if len(rows) >= SLICE:
                yield rows
                rows = []
        yield rows
