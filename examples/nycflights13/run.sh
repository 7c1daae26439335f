#!/usr/bin/env bash
# The demo: five real tables (367,687 rows) from CSV into a DuckDB file over a shell pipe, then the same line again.
# Needs `dativo` on PATH and this checkout; writes only below build/demo (the data set is cached outside the checkout).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${DEMO_DIR:-$(cd "$here/../.." && pwd)/build/demo}
export DATIVO_HOME=$work/home
python=$(dirname "$(command -v dativo)")/python
say() { printf '\n$ %s\n' "$*"; }

rm -rf "$work/project"
mkdir -p "$work/project" "$DATIVO_HOME"
"$python" "$here/fetch.py" "$work/project/data"
cd "$work/project"
touch dativo.yml

say "dativo add tap-csv target-duckdb"
dativo add tap-csv target-duckdb

say "dativo tap-csv --files 'data/*.csv' | dativo target-duckdb --path flights.duckdb"
dativo tap-csv --files 'data/*.csv' | dativo target-duckdb --path flights.duckdb

say "# what arrived, and one answer"
target=$(dativo list --json | "$python" -c 'import json, sys
print(next(p["executable"] for p in json.load(sys.stdin) if p["name"] == "target-duckdb"))')
"$(dirname "$target")/python" "$here/report.py" flights.duckdb

say "dativo tap-csv --files 'data/*.csv' | dativo target-duckdb --path flights.duckdb   # again"
dativo tap-csv --files 'data/*.csv' | dativo target-duckdb --path flights.duckdb
"$(dirname "$target")/python" "$here/report.py" --counts flights.duckdb
