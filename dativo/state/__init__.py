"""Bookmarks, their history, runs, and the lease that lets one run at a time write them.

Flow: `dativo.run` acquires the job's lease, starts a run, commits each bookmark that the data plane reports, ends the
run and releases the lease; `dativo state` reads and edits. `store` is what every store promises, `location` which one
a project names.
In a database: `sql` the statements, `sqlite` the default file with its tables in `schema` and what its errors mean in
`faults`, `postgres` a server with its tables in `tables`. As one document a job: `journal` the document, `documents`
compare-and-set, `files` a folder, `objects` a bucket.
What is kept: `bookmark` the exact JSON text, `record` jobs and history as they are read back, `attempts` how often a
run was tried, `breakers` failures in a row by plugin, `lease` who holds a job and whether that process lives. `moments`
finds a bookmark as it stood, `position` how far one stream has come.
Guards I1 (only `commit` moves a bookmark during a run), I2 (durable before `commit` returns), I4 (rewinds are `set` and
`clear`, kept in an append-only history), I5 (a lease with a fencing token, checked in the same atomic step as each
write), I13 (what opens a store is never shown).
`dativo.run` and `dativo.cli` may import it; `plugins`, `bus`, `engines` and `observe` are siblings and may not.
"""
