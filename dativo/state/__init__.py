"""Bookmarks, their history, runs, and the lease that lets one run at a time write them.

Flow: `dativo.run` acquires the job's lease, starts a run, commits each bookmark that the data plane reports, ends the
run and releases the lease; `dativo state` reads and edits. `store` is the SQLite file, `schema` its tables and
migrations, `record` what it remembers, `lease` who holds a job and whether that process lives, `bookmark` the exact
JSON text of a bookmark, `attempts` how often a run was tried and why, `breakers` failures in a row by plugin, `faults`
what SQLite's errors mean.
Guards I1 (only `commit` moves a bookmark during a run), I2 (WAL with synchronous=FULL: on disk before `commit`
returns), I4 (rewinds are `set` and `clear`, kept in an append-only history), I5 (a lease with a fencing token, checked
in the transaction that writes).
`dativo.run` and `dativo.cli` may import it; `plugins`, `bus`, `engines` and `observe` are siblings and may not.
"""
