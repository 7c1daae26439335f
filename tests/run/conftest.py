"""The bench that the tests of grants share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.granting import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench(tmp_path.resolve())
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path.resolve() / "dativo"))
    monkeypatch.setenv("HOME", str(found.home))
    monkeypatch.setenv("DATIVO_POLICY", str(found.data / "policy.yml"))
    (found.data / "policy.yml").write_text("")
    monkeypatch.chdir(found.root)
    return found
