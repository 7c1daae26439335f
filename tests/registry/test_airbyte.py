"""The index of Airbyte connectors: sound, sorted, and apart from what bare names mean."""

import json

from dativo.plugins.registry.index import AIRBYTE_FILE, connectors, everything, shipped
from tests.registry import airbyte, facts


def test_each_entry_is_a_connector_of_the_index():
    found = list(connectors().read_entries())
    assert len(found) > 250
    for one in found:
        kind = "target" if one.name.startswith("destination-") else "tap"
        assert (one.kind, one.engines, one.executable) == (kind, ("airbyte",), airbyte.COMMANDS.get(one.name, one.name))
        assert one.package == f"airbyte-{one.name}"
        assert one.description


def test_no_name_is_that_of_a_singer_plugin():
    assert not set(connectors().plugins) & set(shipped().catalogues[0].plugins)
    assert everything().choices("source-faker")[0].variant == "airbyte"
    assert not shipped().choices("source-faker")
    assert everything().choices("destination-pgvector")[0].variant == "airbyte"


def test_the_file_is_what_the_script_writes():
    text = AIRBYTE_FILE.read_text(encoding="utf-8")
    assert facts.written(json.loads(text)) == text
    assert len(text) < 100_000
    lines = [
        "airbyte-source-x\t1.0\t2026-01\t\tReads x.\n",
        "airbyte-destination-y\t1.0\t2026-01\t\tLoads y.\n",
        "airbyte-cdk\t1\n",
        "airbyte-source-declarative-manifest\t1\n",
    ]
    made = airbyte.entries([*lines, "airbyte-source-../../x\t1\n"])
    assert list(made["plugins"]) == ["source-x", "destination-y"]
    assert made["plugins"]["source-x"]["variants"]["airbyte"]["description"] == "Reads x."
