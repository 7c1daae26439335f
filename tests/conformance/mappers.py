"""Programs that stand between a tap and a target, and what comes out of them."""

from __future__ import annotations

from typing import Any

from tests.conformance.plugin import Mapper, Plugin
from tests.pipelines import rows
from tests.pipelines.rows import Table

NAME = rows.COLUMNS["airlines"].index("name")


def _named(tables: dict[str, Table], name: Any) -> dict[str, Table]:
    """The tables, with another name for each airline."""
    airlines = (dict(zip(rows.COLUMNS["airlines"], row, strict=True)) for row in tables["airlines"].rows.elements())
    return {**tables, "airlines": Table("airlines", [{**row, "name": name(row["name"])} for row in airlines])}


MAPPERS = {
    one.plugin.name: one
    for one in (
        Mapper(
            Plugin("meltano-map-transform", "0.12.3", "mapper"),
            {"stream_maps": {"public-airlines": {"name": "name.upper()"}}},
            lambda tables: _named(tables, str.upper),
            "names of airlines in capitals",
        ),
        Mapper(
            Plugin("pipelinewise-transform-field", "2.3.0", "mapper"),
            {
                "transformations": [
                    {"tap_stream_name": "public-airlines", "field_id": "name", "type": "MASK-HIDDEN"},
                ]
            },
            lambda tables: _named(tables, lambda _: "hidden"),
            "names of airlines hidden",
        ),
    )
}
