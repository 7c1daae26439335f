"""secret://file: private files, formats, encryption, and writers that race."""

import json
import os
import stat
import subprocess
import threading

import pytest

from dativo import errors
from tests.secrets.conftest import CANARY, read


def private(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
    return path


def test_text_and_keys(resolver, tmp_path):
    private(tmp_path / "a/token", f"{CANARY}\n")
    private(tmp_path / "shop.json", json.dumps({"db": {"password": CANARY, "port": 5}, "db.user": "me"}))
    private(tmp_path / "shop.yaml", "db:\n  password: 2024-01-01\n  pin: 0123\n")
    private(tmp_path / ".env", "export A='x y'\nB=plain # said\n")
    found = resolver()
    assert read(found, "secret://file/a/token") == CANARY
    assert read(found, f"secret://file/{tmp_path}/a/token") == CANARY
    assert read(found, "secret://file/shop.json#db.password") == CANARY
    assert read(found, "secret://file/shop.json#db.user") == "me"
    assert read(found, "secret://file/shop.json#db.port") == 5
    assert json.loads(read(found, "secret://file/shop.json"))["db.user"] == "me"
    assert read(found, "secret://file/shop.yaml#db.password") == "2024-01-01"
    assert read(found, "secret://file/shop.yaml#db.pin") == "0123"
    assert read(found, "secret://file/.env#A") == "x y"
    assert read(found, "secret://file/.env#B") == "plain"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700, 0o200])
def test_a_file_that_others_may_use_is_refused(resolver, tmp_path, mode):
    path = private(tmp_path / "token", CANARY)
    path.chmod(mode)
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(), "secret://file/token")
    assert caught.value.code == "secret.backend"
    if os.getuid() == 0 or mode & 0o400:
        assert f"{mode:04o}" in caught.value.message
        assert caught.value.remedy == f"chmod 600 {path}"
    path.chmod(0o400)
    assert read(resolver(), "secret://file/token") == CANARY


def test_what_is_no_secret_file(resolver, tmp_path):
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    private(tmp_path / "empty", "\n")
    (tmp_path / "bytes").touch(mode=0o600)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("folder", "pipe", "empty", "bytes", "missing", "missing#key"):
        with pytest.raises(errors.DativoError) as caught:
            read(resolver(), f"secret://file/{name}")
        assert caught.value.code in ("secret.backend", "secret.unknown")


@pytest.mark.parametrize(
    ("name", "text", "key", "after"),
    [
        ("t.json", '{"a": {"token": "one"}, "b": 1}', "a.token", '{"a": {"token": "two"}, "b": 1}\n'),
        ("t.yaml", "# kept\na:\n  token: one # said\n", "a.token", "# kept\na:\n  token: two # said\n"),
        ("t.env", "A=1\nexport token='one'\nB=2\n", "token", 'A=1\nexport token="two"\nB=2\n'),
        ("token", "one\n", None, "two\n"),
    ],
)
def test_compare_and_set(resolver, tmp_path, name, text, key, after):
    path = private(tmp_path / name, text)
    found = resolver()
    reference = found.checked(f"secret://file/{name}" + (f"#{key}" if key else ""), "")
    assert found.can_replace(reference)
    found.replace(reference, "one", "two")
    assert path.read_text() == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert found.value(reference) == "two"
    with pytest.raises(errors.RunError) as caught:
        found.replace(reference, "one", "three")
    assert caught.value.code == "secret.conflict"
    assert path.read_text() == after
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_of_two_writers_one_wins(resolver, tmp_path):
    private(tmp_path / "t.json", '{"token": "start", "n": 0}')
    won, lost = [], []

    def race(number):
        found = resolver()
        reference = found.checked("secret://file/t.json#token", "")
        try:
            found.replace(reference, "start", f"of-{number}")
            won.append(number)
        except errors.RunError:
            lost.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert len(lost) == 7
    assert json.loads((tmp_path / "t.json").read_text()) == {"token": f"of-{won[0]}", "n": 0}


# -- encrypted


@pytest.fixture
def identity(tmp_path):
    """An age identity and its recipient."""
    path = tmp_path / "keys/age.txt"
    path.parent.mkdir()
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path, subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()


def test_age(resolver, tmp_path, identity):
    path, recipient = identity
    for name, text in (("shop.json.age", json.dumps({"password": CANARY})), ("token.age", CANARY)):
        subprocess.run(["age", "-r", recipient, "-o", tmp_path / name], input=text.encode(), check=True)
    found = resolver({"file": {"identity": "keys/age.txt"}})
    assert read(found, "secret://file/shop.json.age#password") == CANARY
    assert read(found, "secret://file/token.age") == CANARY
    assert not found.can_replace(found.checked("secret://file/token.age", ""))
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(), "secret://file/token.age")
    assert "secrets.file.identity" in caught.value.message
    path.chmod(0o644)
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({"file": {"identity": str(path)}}), "secret://file/token.age")
    assert "0644" in caught.value.message


def test_age_with_another_identity(resolver, tmp_path, identity):
    other = tmp_path / "other.txt"
    subprocess.run(["age-keygen", "-o", other], check=True, capture_output=True)
    subprocess.run(["age", "-r", identity[1], "-o", tmp_path / "token.age"], input=CANARY.encode(), check=True)
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({"file": {"identity": "other.txt"}}), "secret://file/token.age")
    assert "age could not open it" in caught.value.message
    assert "identity" in caught.value.message


def test_sops_is_called_as_it_wants_to_be(resolver, tmp_path, monkeypatch):
    """A small program in the place of sops: the plain text is behind its last argument, if it was called rightly."""
    script = tmp_path / "bin/sops"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\n[ "$1" = --decrypt ] && [ -n "$SOPS_AGE_KEY_FILE" ] || '
        '{ echo "no key could open it" >&2; exit 128; }\n'
        'sed s/ENC// "$2"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    (tmp_path / "shop.sops.yaml").write_text(f"ENCpassword: '{CANARY}'\n")
    (tmp_path / "shop.enc.env").write_text("ENCTOKEN=abc\n")
    found = resolver({"file": {"identity": "keys/age.txt"}})
    assert read(found, "secret://file/shop.sops.yaml#password") == CANARY
    assert read(found, "secret://file/shop.enc.env#TOKEN") == "abc"
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(), "secret://file/shop.sops.yaml#password")
    assert "sops could not open it: no key could open it" in caught.value.message


@pytest.mark.parametrize("name", ["x.age", "x.sops.json"])
def test_a_program_that_is_missing(resolver, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / name).write_text("x")
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({"file": {"identity": "y"}}), f"secret://file/{name}")
    assert "is not on PATH" in caught.value.message
    assert caught.value.remedy.startswith("install ")
