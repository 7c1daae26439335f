"""The shared test vectors, as `protocol/vectors/README.md` describes them, for whoever runs them in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2] / "vectors"  # of a checkout


@dataclass(frozen=True)
class Case:
    """One case: `spec` is its case.json, `folder` where its files are."""

    topic: str
    name: str
    folder: Path
    spec: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.topic}/{self.name}"

    def input(self) -> bytes:
        """The stream of a framing, envelope, order or malformed case."""
        pieces = self.spec.get("input")
        if pieces is None:
            return (self.folder / "input.singer").read_bytes()
        return b"".join(map(_piece, pieces))

    def output(self) -> bytes:
        """What is to be forwarded of it."""
        output = self.spec["output"]
        return self.input() if output == "same" else (self.folder / output).read_bytes()

    def messages(self) -> list[dict[str, str]]:
        """Its messages and junk, one by one."""
        expanded = []
        for message in self.spec["messages"]:
            one = {key: value for key, value in message.items() if key != "times"}
            expanded += [one] * message.get("times", 1)
        return expanded


def _piece(piece: dict[str, Any]) -> bytes:
    if "text" in piece:
        return str(piece["text"]).encode()
    made = piece["generate"]
    text, times = made["repeat"]
    return bytes(made["prefix"].encode() + text.encode() * times + made["suffix"].encode())


def cases(*topics: str, root: Path = ROOT) -> Iterator[Case]:
    """Every case of the topics (all topics when none is named), in order."""
    for folder in sorted(root.glob("*/*/case.json")):
        case = folder.parent
        if not topics or case.parent.name in topics:
            spec = json.loads(folder.read_text(encoding="utf-8"))
            yield Case(case.parent.name, case.name, case, spec)
