"""connectorx_job.py URI TABLE FILE: ConnectorX's Arrow batches into a Parquet file."""

import sys

import connectorx
import pyarrow.parquet

uri, table, file = sys.argv[1:]
batches = connectorx.read_sql(uri, f"select * from {table}", return_type="arrow_stream", batch_size=65_536)
with pyarrow.parquet.ParquetWriter(file, batches.schema, compression="zstd") as writer:
    for batch in batches:
        writer.write_batch(batch)
