"""The index of Airbyte connectors: sound, sorted, and apart from what bare names mean."""

import json

from dativo import errors
from dativo.plugins.registry.index import AIRBYTE_FILE, connectors, everything, shipped
from tests.registry import airbyte, facts
from tests.workspace import ROOT


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
    made = airbyte.entries([*lines, "airbyte-source-../../x\t1\n"], {"source-x": {"python": "==3.10.*"}})
    assert list(made["plugins"]) == ["source-x", "destination-y"]
    assert made["plugins"]["source-x"]["variants"]["airbyte"]["description"] == "Reads x."
    assert made["plugins"]["source-x"]["variants"]["airbyte"]["python"] == "==3.10.*"


def test_the_facts_are_in_the_index_and_nowhere_else():
    told = {
        one.name: {"python": one.python, "requires": list(one.requires), "broken": one.broken}
        for one in connectors().read_entries()
    }
    kept = {name: {key: fact for key, fact in facts.items() if fact} for name, facts in told.items()}
    assert {name: one for name, one in kept.items() if one} == airbyte.facts()
    assert len(kept) - sum("broken" in one for one in kept.values()) > 250


def test_the_guide_has_the_numbers():
    found = list(connectors().read_entries())
    older = sum(one.python == "==3.10.*" for one in found)
    assert {one.python for one in found} == {None, "==3.10.*"}
    assert not [one.name for one in found if one.broken], "the guide says that none is broken"
    guide = " ".join((ROOT / "docs" / "guides" / "airbyte.md").read_text(encoding="utf-8").split())
    assert f"lists the connectors of PyPI, {len(found)}. " in guide
    assert f": {len(found) - older} start with Python 3.11, {older} with 3.10 and not with 3.11," in guide
    assert f", {sum(bool(one.requires) for one in found)} need an older `airbyte-cdk` or another package" in guide


def test_why_something_is_broken():
    def problem(code, *details, **context):
        return errors.EnvironmentFault(code, "source-x does not answer", details=details, context=context)

    details = ("Traceback", "ImportError: cannot import name 'X' from 'lib' (/root/data/envs/x/lib/lib.py)", "")
    started = problem("plugin.start_failed", *details, version="1.2")
    failed = problem("plugin.install_failed", "no compiler")
    assert airbyte.why([failed, started]) == "1.2 does not start: ImportError: cannot import name 'X' from 'lib'"
    assert airbyte.why([failed]) == "cannot be installed: source-x does not answer"


def test_it_is_found_as_add_takes_it(work):
    found = work.dativo("search", "airbyte:faker", "--json").expect().json
    assert [one["name"] for one in found] == ["source-faker"]
    assert len(work.dativo("search", "airbyte:", "--json").expect().json) == len(connectors().plugins)
    assert work.dativo("info", "airbyte:source-github", "--json").expect().json["package"] == "airbyte-source-github"
    assert "plugin.engine" in work.dativo("info", "airbyte:source-github", "--engine", "native").expect(2).stderr
    assert "no registry knows source-nothing" in work.dativo("info", "airbyte:source-nothing").expect(2).stderr
    assert "tap-csv has no engine airbyte" in work.dativo("info", "airbyte:tap-csv").expect(2).stderr


def test_info_says_what_the_index_cannot_tell(work):
    shown = work.dativo("info", "source-braze").expect().stdout
    assert "package   airbyte-source-braze · Python 3.10 · with airbyte-cdk==0.60.2" in shown
    assert "settings  told when it is added" in shown
