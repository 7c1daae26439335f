"""What is known so far: docs/reference/plugins.json, written after each pair, so that a run can go on later."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tests.conformance.hostile import Verdict
from tests.conformance.plugin import Outcome

NAME = "plugins.json"


class Ledger:
    """Plugins, pairs and verdicts by name."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        known: dict[str, Any] = json.loads(self.file.read_text("utf-8")) if self.file.exists() else {}
        self.plugins: dict[str, dict[str, Any]] = known.get("plugins", {})
        names = {field.name for field in fields(Outcome)}
        found = (Outcome(**{k: v for k, v in one.items() if k in names}) for one in known.get("pairs", ()))
        self.pairs = {key(one.tap, one.target, one.mapper): one for one in found}
        self.streams: dict[str, str] = known.get("streams", {})
        """What is odd about each."""
        self.verdicts = {
            target: {stream: Verdict(**one) for stream, one in found.items()}
            for target, found in known.get("verdicts", {}).items()
        }

    def as_dict(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "plugins": dict(sorted(self.plugins.items())),
            "pairs": [asdict(one) for _, one in sorted(self.pairs.items())],
            "streams": self.streams,
            "verdicts": {
                target: {stream: one.as_dict() for stream, one in found.items()}
                for target, found in self.verdicts.items()
            },
        }

    def save(self) -> None:
        """Write it anew, whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(self.file)

    def note(self, name: str, **facts: Any) -> None:
        """Facts about a plugin."""
        self.plugins[name] = {**self.plugins.get(name, {}), **facts, "tried": f"{datetime.date.today():%Y-%m-%d}"}


def key(tap: str, target: str, mapper: str | None = None) -> str:
    """What a pair is called."""
    return " | ".join(filter(None, (tap, mapper, target)))
