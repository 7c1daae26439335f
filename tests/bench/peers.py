"""The peers, each installed from its registry into an environment of its own in the cache.

Versions are fixed, so that a figure can be had again; `PEERS` is the one place to raise them. ingestr's and Sling's are
the last whose packages hold the program itself: newer ones fetch it when they are first started.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUILD_PATIENCE = float(os.environ.get("DATIVO_BENCH_BUILD_SECONDS") or 1200)
"""Seconds that one installation may take."""


class NotInstalled(Exception):
    """Why a peer is not there."""


@dataclass(frozen=True)
class Peer:
    """What to install and the program in it."""

    name: str
    packages: tuple[str, ...]
    program: str

    @property
    def folder(self) -> str:
        """Another set of packages is another folder."""
        return f"{self.name}-{hashlib.sha256(' '.join(self.packages).encode()).hexdigest()[:8]}"

    @property
    def version(self) -> str:
        """What it is called in the output."""
        name, _, version = self.packages[0].partition("==")
        return f"{name.partition('[')[0]} {version}"


MELTANO = Peer("meltano", ("meltano==4.4.1",), "bin/meltano")
TAP_POSTGRES = Peer("tap-postgres", ("meltanolabs-tap-postgres==0.10.0",), "bin/tap-postgres")
TARGET_POSTGRES = Peer("target-postgres", ("meltanolabs-target-postgres==0.8.1",), "bin/target-postgres")
TARGET_JSONL = Peer("target-jsonl", ("target-jsonl==0.1.4",), "bin/target-jsonl")
TARGET_PARQUET = Peer("target-parquet", ("target-parquet==0.0.1",), "bin/target-parquet")
TAP_CSV = Peer("tap-csv", ("tap-csv-folder==0.0.1a1",), "bin/tap-csv-folder")
PIPELINEWISE_TAP = Peer("pipelinewise-tap", ("pipelinewise-tap-postgres==2.1.0",), "bin/tap-postgres")
PIPELINEWISE_TARGET = Peer("pipelinewise-target", ("pipelinewise-target-postgres==2.1.2",), "bin/target-postgres")
DLT = Peer(
    "dlt",
    ("dlt[postgres,parquet,sql_database]==1.31.0", "connectorx==0.4.6", "pyarrow==26.0.1", "pandas"),
    "bin/python",
)
CONNECTORX = Peer("connectorx", ("connectorx==0.4.6", "pyarrow==26.0.1"), "bin/python")
INGESTR = Peer("ingestr", ("ingestr==1.1.22",), "bin/ingestr")
SLING = Peer(
    "sling",
    ("sling-linux-amd64==1.4.11",),
    f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages/sling_linux_amd64/bin/sling-linux-amd64",
)
FAUCET = Peer("faucet", ("faucet-cli==1.0.1",), "bin/faucet")
FAUCET_FEATURES = "source-csv,sink-jsonl"


def installed(peer: Peer, cache: Path) -> Path:
    """The peer's program, installed if this cache lacks it; NotInstalled with the installer's last words."""
    folder = cache / peer.folder
    program, done = folder / peer.program, folder / "installed"
    if not done.exists():
        sys.stderr.write(f"  installing {peer.version} …\n")
        sys.stderr.flush()
        shutil.rmtree(folder, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        (_build_crate if peer is FAUCET else _install_packages)(peer, folder)
        if not program.exists():
            raise NotInstalled(f"{peer.version} has no {peer.program}")
        done.touch()
    return program


def _install_packages(peer: Peer, folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    _do([uv, "venv", "--quiet", folder], peer)
    _do([uv, "pip", "install", "--quiet", *peer.packages], peer, VIRTUAL_ENV=str(folder))


def _build_crate(peer: Peer, folder: Path) -> None:
    command = ["cargo", "install", "--quiet", "--locked", "--root", str(folder)]
    features = ["--no-default-features", "--features", FAUCET_FEATURES]
    crates = [package.replace("==", "@") for package in peer.packages]
    _do([*command, *features, *crates], peer, CARGO_TARGET_DIR=str(folder / "build"))
    shutil.rmtree(folder / "build", ignore_errors=True)


def _do(command: Sequence[str | Path], peer: Peer, **variables: str) -> None:
    env = {**os.environ, **variables}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=BUILD_PATIENCE)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{peer.version}: not installed within {BUILD_PATIENCE:.0f} s") from None
    except OSError as error:
        raise NotInstalled(f"{peer.version}: {error}") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalled(f"{peer.version}: {' '.join(lines[:6])}"[:300])
