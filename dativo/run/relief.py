"""Work that is done already is taken off a target: its own check of every record against the SCHEMA.

The data plane checks each record at the target's edge (policy `validate`), and what breaks its SCHEMA never reaches
the target. Targets that are made with Meltano's SDK check again, in Python, unless their setting `validate_records`
says no: most of their CPU time. It is said for them where nobody said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dativo.run.step import Step

SETTING = "validate_records"


def of(steps: Sequence[Step], validate: str) -> tuple[list[Step], list[str]]:
    """The steps, the target relieved if it can be; and the settings that were changed, as PLUGIN.SETTING."""
    *others, target = steps
    if validate != "on" or target.role != "target" or SETTING in target.config:
        return list(steps), []
    if SETTING not in target.plugin.settings_schema.get("properties", {}):
        return list(steps), []
    relieved = replace(target, config={**target.config, SETTING: False})
    return [*others, relieved], [f"{target.name}.{SETTING}"]
