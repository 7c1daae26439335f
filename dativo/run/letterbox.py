"""Where a run's dead letters go: one Singer file for each run, beside the state store.

The data plane writes it, and only when there is a letter. Its folder belongs to the user alone: letters are data.
"""

from __future__ import annotations

import re
from pathlib import Path

from dativo.bus.plan import Policy

FOLDER = "dead-letters"


def folder(store: Path, job: str) -> Path:
    """The folder of a job's dead-letter files. A job's name becomes a folder's, so only what cannot leave it (I12)."""
    return store.parent.absolute() / FOLDER / (re.sub(r"[^A-Za-z0-9._-]+", "-", job).lstrip(".") or "job")


def file(store: Path, job: str, run: str, policy: Policy) -> str | None:
    """The file that a run may write letters to; None where the policy sets nothing aside."""
    return str(folder(store, job) / f"{run}.jsonl") if policy.on_bad_record == "quarantine" else None


def make(file: str) -> None:
    """Make the folders that a dead-letter file will be in, for its owner's eyes only."""
    place = Path(file).parent
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
