"""target-duckdb: loads a Singer stream into a DuckDB file, data and bookmark in one transaction.

The flow is `cli > run > lines > decode > columns > table > load`: read lines, decode them without losing a digit, make
Arrow columns, evolve the table, insert or upsert, commit at a STATE boundary and only then echo that STATE.

Guards: I1 (a STATE is echoed only after the commit that holds every record before it), I2 (DuckDB's commit is fsynced),
I9 (a value that does not fit widens its column; a record that cannot be kept ends the run), I10 (memory is bounded by
`batch_rows` and `batch_bytes`), I12 (stream and column names are quoted identifiers and parameters, never SQL).
Nobody imports this package: it is started as a process. It never imports `dativo`.
"""

__version__ = "0.1.0"
