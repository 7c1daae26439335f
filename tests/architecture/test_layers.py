"""Which module may import which, and what the entry point costs."""

import subprocess
import sys

import pytest

from tests.architecture.checkout import ROOT, name, sources, text


def test_dependencies_run_one_way():
    script = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("module", ["dativo.cli.main", "dativo.cli.group", "dativo.cli.report"])
def test_starting_costs_the_standard_library_and_click(module):
    script = (
        f"import sys; before = set(sys.modules); import {module}; "
        "print(*{one.partition('.')[0] for one in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, env=bare(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    strangers = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"click", "dativo"}
    assert not strangers


def bare():
    """Only what is needed to find click and this checkout, without site's start-up files."""
    import click

    folder = click.__file__.rsplit("/click/", 1)[0]
    return {"PYTHONPATH": f"{ROOT}:{folder}"}


def test_the_entry_point_alone_needs_no_click():
    script = "import sys; import dativo.cli.main; print('click' in sys.modules, 'dataclasses' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, env=bare(), capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_one_module_each_for_what_only_one_may_do():
    """Only `plugins.uv` runs uv; only `bus` starts the data plane; nobody else opens SQLite."""
    users = {"sqlite3": set(), "find_uv_bin": set(), "ctypes": set()}
    for path in sources(".py"):
        if name(path).startswith("dativo/"):
            for word, found in users.items():
                if f"import {word}" in text(path) and "sqlite3.sqlite_version" not in text(path):
                    found.add(name(path))
    reader = {"dativo/config/meltano/system.py"}  # another program's database, read only
    assert all(one.startswith("dativo/state/") for one in users["sqlite3"] - reader), users
    assert users["find_uv_bin"] <= {"dativo/plugins/uv.py"}
    copied = "dativo/migrate/earlier/scripts/engine.py"  # into plugins that an import generates: never imported here
    assert users["ctypes"] <= {"dativo/bus/orphans.py", "dativo/cli/kernel.py", copied}
