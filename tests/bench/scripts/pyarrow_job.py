"""pyarrow_job.py reader|orjson FILE: processor seconds from JSON lines to a table, or from its rows back to JSON."""

import json
import sys
import time

import orjson
import pyarrow
from pyarrow import json as reader

pyarrow.set_cpu_count(1)
pyarrow.set_io_thread_count(1)
way, file = sys.argv[1:]
options = reader.ReadOptions(use_threads=False, block_size=16 << 20)
start = time.process_time()
table = reader.read_json(file, read_options=options)
if way == "orjson":
    start, size = time.process_time(), 0
    for batch in table.to_batches():
        size += sum(len(orjson.dumps(row)) for row in batch.to_pylist())
sys.stdout.write(json.dumps({"seconds": time.process_time() - start, "rows": table.num_rows}))
