"""The index that Dativo ships: sound, big enough, read only when it is needed, and right about what it says."""

import json
import os
import subprocess
import sys

import pytest

from dativo.plugins import firstparty
from dativo.plugins.registry.index import FILE, shipped
from tests.registry import facts
from tests.workspace import ROOT


def entries():
    (ours,) = shipped().catalogues
    return list(ours.read_entries())


def test_at_least_120_packages_of_the_index_and_all_of_ours():
    found = entries()
    others = {one.distribution for one in found if not one.package.startswith("dativo-")}
    assert len(others) >= 120
    assert {one.kind for one in found} == {"tap", "target", "mapper"}
    own = {one.distribution: one.name for one in found if one.package.startswith("dativo-")}
    assert own == {name: name.removeprefix("dativo-") for name in firstparty.FOLDERS if name != "dativo-protocol"}


def test_each_entry_is_whole():
    for one in entries():
        assert (
            one.executable
            and one.description
            and one.engines == (("native",) if one.variant == "dativo" else ("singer",))
        ), one.name
        assert one.distribution, one.name
        described = one.settings.get("properties") or {}
        assert set(one.settings.get("required", [])) <= set(described), one.name


def test_a_bare_name_means_the_package_of_that_name_unless_it_is_ours():
    (ours,) = shipped().catalogues
    for name, plugin in ours.plugins.items():
        packages = {variant: entry["package"] for variant, entry in plugin["variants"].items()}
        bare = [variant for variant, package in packages.items() if package == name]
        if plugin["default"] != "dativo" and bare:
            assert plugin["default"] == bare[0], name
    assert shipped().choices("target-jsonl")[0].variant == "andyh1203"
    assert shipped().choices("target-duckdb")[0].variant == "dativo"


def test_the_file_is_sorted_for_diffs():
    text = FILE.read_text(encoding="utf-8")
    assert facts.written(json.loads(text)) == text
    assert len(text) < 1 << 20


@pytest.mark.parametrize("words", [["--help"], ["list"], ["add", "--help"], ["registry", "list", "--help"]])
def test_nothing_reads_it_before_it_is_needed(tmp_path, words):
    script = (
        "import sys\nseen = []\n"
        "sys.addaudithook(lambda name, args: seen.append(str(args[0])) if name == 'open' else None)\n"
        "from dativo.cli.main import main\nmain(sys.argv[1:])\n"
        "sys.exit(9 if any(one.endswith('shipped.json') for one in seen) else 0)"
    )
    environment = {**os.environ, "DATIVO_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script, *words], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.plugins
@pytest.mark.parametrize("package", ["target-jsonl", "pipelinewise-transform-field"])
def test_what_it_says_is_what_the_package_tells(package, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.registry.facts", package], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 as told, 0 not" in done.stderr


def test_a_plugin_of_ones_own_that_has_a_connectors_name(processes):
    from tests.plugins import tiny

    tiny.make(processes.folder / "mine", "tap-github")
    said = processes.dativo("add", "./mine").expect().stderr
    assert "the registry has a connector of this name (singer-io, meltanolabs" in said
    assert "docs/guides/choosing-a-plugin.md" in said
    tiny.make(processes.folder / "other", "tap-of-our-own")
    assert "registry" not in processes.dativo("add", "./other").expect().stderr
