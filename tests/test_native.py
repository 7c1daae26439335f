from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dativo import errors, native


def test_what_was_asked_for_is_used(monkeypatch, tmp_path):
    bus = tmp_path / "my-bus"
    bus.write_text("#!/bin/sh\n")
    bus.chmod(0o755)
    monkeypatch.setenv("DATIVO_BUS", str(bus))
    assert native.find_bus() == bus


def test_what_was_asked_for_is_not_replaced_in_silence(monkeypatch, tmp_path):
    monkeypatch.setenv("DATIVO_BUS", str(tmp_path / "absent"))
    with pytest.raises(errors.EnvironmentFault) as caught:
        native.find_bus()
    assert caught.value.code == "bus.missing"
    assert caught.value.details == (f"{tmp_path / 'absent'}  (DATIVO_BUS)",)


def test_it_is_found_beside_this_python(monkeypatch, tmp_path):
    monkeypatch.delenv("DATIVO_BUS", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    bus = tmp_path / "dativo-bus"
    bus.touch(mode=0o755)
    assert native.find_bus() == bus


def test_the_error_lists_every_place(monkeypatch, tmp_path):
    monkeypatch.delenv("DATIVO_BUS", raising=False)
    monkeypatch.setattr(native, "_places", lambda: iter([("one", Path("/no/1")), ("two", Path("/no/2"))]))
    with pytest.raises(errors.EnvironmentFault) as caught:
        native.find_bus()
    assert caught.value.details == ("/no/1  (one)", "/no/2  (two)")


def test_the_places_are_looked_at_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("DATIVO_BUS", "/asked/for")
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path))
    places = [place for place, _ in native._places()]
    assert places[0] == "DATIVO_BUS"
    assert places[-2:] == ["the checkout's release build", "the checkout's debug build"]
