"""Our own distributions, which come from the checkout when Dativo runs from one."""

from __future__ import annotations

from pathlib import Path

FOLDERS: dict[str, str] = {
    # distribution -> folder of a source checkout
    "dativo-tap-csv": "taps/tap-csv",
    "dativo-tap-jsonl": "taps/tap-jsonl",
    "dativo-tap-parquet": "taps/tap-parquet",
    "dativo-tap-postgres": "taps/tap-postgres",
    "dativo-target-csv": "targets/target-csv",
    "dativo-target-jsonl": "targets/target-jsonl",
    "dativo-target-parquet": "targets/target-parquet",
    "dativo-target-postgres": "targets/target-postgres",
    "dativo-target-duckdb": "targets/target-duckdb",
    "dativo-protocol": "protocol/python",
}


def checkout() -> Path | None:
    """The source checkout this Dativo runs from, or None when it is installed."""
    root = Path(__file__).parents[2]
    marks = ("pyproject.toml", "protocol/python/pyproject.toml", "native/Cargo.toml")
    return root if all((root / mark).is_file() for mark in marks) else None


def folder(distribution: str) -> Path | None:
    """The checkout's folder of one of our distributions, when there is a checkout and it can be built."""
    root = checkout()
    relative = FOLDERS.get(distribution)
    if root is None or relative is None or not (root / relative / "pyproject.toml").is_file():
        return None
    return root / relative
