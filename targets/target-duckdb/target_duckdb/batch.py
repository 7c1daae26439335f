"""BATCH messages: the rows of local jsonl (plain or gzip) and parquet files, taken like rows that came one by one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from dativo_protocol.messages import Batch, FileBatch
from target_duckdb import decode
from target_duckdb.errors import TargetError

SLICE = 2000
Rows = list[tuple[dict[str, Any], int]]


def refused(number: int, what: str) -> TargetError:
    """A BATCH that this target does not read."""
    return TargetError(
        "data.batch_refused",
        f"line {number}: {what}",
        "use jsonl or parquet files on file://, or turn batch_config off",
    )


def batch_rows(message: Batch | FileBatch, number: int) -> Iterator[Rows]:
    """The records of all files in the manifest, in slices, each with its size in bytes."""
    if isinstance(message, FileBatch):
        raise refused(number, "a BATCH in PipelineWise's shape (filepath)")
    form, compression = message.format, message.compression
    for uri in message.manifest:
        path = local(uri, number)
        try:
            if form == "jsonl" and compression in (None, "none", "gzip"):
                yield from jsonl(path, number)
            elif form == "parquet":
                yield from parquet(path, number)
            else:
                raise refused(number, f"a BATCH of {json.dumps(form)} files with compression {json.dumps(compression)}")
        except (OSError, EOFError) as error:
            raise TargetError("data.bad_message", f"line {number}: a BATCH file cannot be read: {error}") from None


def local(uri: Any, number: int) -> Path:
    """The path of a file:// address."""
    parts = urlsplit(uri) if isinstance(uri, str) else None
    if parts is None or parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise refused(number, f"a BATCH file at {json.dumps(uri)}, which is no file:// address")
    return Path(unquote(parts.path))


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


def parquet(path: Path, number: int) -> Iterator[Rows]:
    """Rows of a parquet file; dates and times as their text, so that they are typed as RECORDs would be."""
    import pyarrow as pa
    from pyarrow import parquet as reader

    try:
        file = reader.ParquetFile(path)
        for batch in file.iter_batches(batch_size=SLICE):
            arrays = [textual(column) for column in batch.columns]
            names = [str(name) for name in batch.schema.names]
            columns = [array.to_pylist() for array in arrays]
            size = batch.nbytes // max(batch.num_rows, 1)
            yield [(dict(zip(names, values, strict=True)), size) for values in zip(*columns, strict=True)]
    except pa.ArrowInvalid as error:
        raise TargetError("data.bad_message", f"line {number}: {path} is no parquet file: {error}") from None


def textual(column: Any) -> Any:
    """Temporal and binary columns as text."""
    import base64

    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        if pa.types.is_timestamp(kind) and kind.tz:
            return pa.array(
                [
                    text and f"{text}+00:00"
                    for text in column.cast(pa.timestamp(kind.unit)).cast(pa.string()).to_pylist()
                ]
            )
        return column.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()])
    return column
