"""A holder that takes a job's lease as another machine would after it expired: without asking who lives."""

from __future__ import annotations

from typing import Any

from dativo.state.store import Store


class Thief(Store):
    """A state store whose leases are had for the asking; the fencing token moves on as in any takeover."""

    @staticmethod
    def _refuse_if_held(*_: Any) -> None:
        return
