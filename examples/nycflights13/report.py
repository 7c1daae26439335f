"""Print the rows per table of the demo's DuckDB file and the answer to one question."""

from __future__ import annotations

import argparse

import duckdb

QUESTION = """
    SELECT a.name AS airline, count(*) AS flights, round(avg(f.dep_delay), 1) AS average_delay_minutes
    FROM flights f JOIN airlines a USING (carrier)
    WHERE f.dep_delay IS NOT NULL
    GROUP BY 1 ORDER BY 3 DESC LIMIT 3
"""


def main() -> None:
    """Open the file read-only and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--counts", action="store_true", help="only the total")
    args = parser.parse_args()
    with duckdb.connect(args.database, read_only=True) as db:
        tables = [name for (name,) in db.execute("SHOW TABLES").fetchall() if not name.startswith("_")]
        counts = {name: int(db.table(name).count("*").fetchall()[0][0]) for name in tables}
        if args.counts:
            print(f"  still {sum(counts.values()):,} rows")
            return
        for name, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"  {name:<10} {count:>9,} rows")
        print(f"  {'total':<10} {sum(counts.values()):>9,} rows\n\n  Which airlines leave latest?")
        for airline, flights, delay in db.execute(QUESTION).fetchall():
            print(f"  {airline:<28} {delay:>5} min on average over {flights:,} flights")


if __name__ == "__main__":
    main()
