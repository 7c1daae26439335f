"""Is what was delivered really there? The destination is read back and compared with what it was given.

Flow: `after` holds a run's bookmarks back until its check passed (`verify: after`); `whole` reads a source in full and
compares it with the destination (`dativo verify`). Both: `landing` knows where a target puts a stream, `readback` asks
for its rows with a script of `scripts/` in the target's own environment and sandbox, `singer_lines` takes in what was
sent, `canonical` makes values comparable, `comparison` compares in DuckDB (`database`), `findings` says it. `aside`
keeps the lease meanwhile, `room` is the private folder that all of it lives in.

Guards I1 (a bookmark is kept only for what is there), I6 and I7 (no plugin code outside of the sandbox; what cannot be
read back is refused, not skipped), I10 (DuckDB spills into the room), I12 (names are parameters and pointers, never
SQL). Only `dativo.run` and `dativo.cli` may import it.
"""
