"""dlt_job.py SOURCE DESTINATION FORMAT FOLDER: a dlt pipeline as its documentation has it.

SOURCE is postgresql://…#table (read through ConnectorX) or the path of a CSV file, DESTINATION a postgresql://…#dataset
or a folder.
"""

import sys
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_csv
from dlt.sources.sql_database import sql_table

source, destination, kind, folder = sys.argv[1:]
uri, _, table = source.partition("#")
if table:
    uri = uri.replace("postgresql://", "postgresql+psycopg2://")
    rows = sql_table(uri, table=table, schema="public", backend="connectorx", backend_kwargs={"return_type": "arrow"})
else:
    file = Path(source)
    rows = (filesystem(f"file://{file.parent}", file_glob=file.name) | read_csv()).with_name("orders")

place, _, dataset = destination.partition("#")
to = dlt.destinations.postgres(place) if dataset else dlt.destinations.filesystem(f"file://{place}")
pipeline = dlt.pipeline("bench", destination=to, dataset_name=dataset or "out", pipelines_dir=folder)
pipeline.run(rows, write_disposition="replace", loader_file_format=kind).raise_on_failed_jobs()
