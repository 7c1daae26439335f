"""Short names: which package a name and a variant mean. Ours come from the checkout when Dativo runs from one."""

from __future__ import annotations

from pathlib import Path

TABLE: dict[str, dict[str, str]] = {
    # name -> variant -> distribution; the first variant is the default
    "tap-csv": {"dativo": "dativo-tap-csv"},
    "tap-jsonl": {"dativo": "dativo-tap-jsonl", "pypi": "tap-jsonl"},
    "tap-parquet": {"dativo": "dativo-tap-parquet"},
    "tap-postgres": {"dativo": "dativo-tap-postgres", "meltanolabs": "meltanolabs-tap-postgres"},
    "target-csv": {"dativo": "dativo-target-csv", "singer-io": "target-csv"},
    "target-duckdb": {"dativo": "dativo-target-duckdb", "jwills": "target-duckdb"},
    "target-jsonl": {"andyh1203": "target-jsonl", "dativo": "dativo-target-jsonl"},
    "target-parquet": {"dativo": "dativo-target-parquet"},
    "target-postgres": {"dativo": "dativo-target-postgres", "meltanolabs": "meltanolabs-target-postgres"},
}

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


def choose(name: str, variant: str | None) -> tuple[str, str, str] | None:
    """(variant, distribution, plugin name) for a name in the table or for one of our distributions; None otherwise."""
    if name in TABLE:
        variants = TABLE[name]
        chosen = variant or next(iter(variants))
        distribution = variants.get(chosen)
        return (chosen, distribution, name) if distribution else None
    for plugin, variants in TABLE.items():
        for known, distribution in variants.items():
            if name == distribution and variant in (None, known):
                return known, distribution, plugin
    return None


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
