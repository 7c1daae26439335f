"""Every kind of store for the tests that all of them must pass."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from dativo.state.location import Location
from dativo.state.sql import SqlStore

PRELUDE = """
import json, os, sys
from pathlib import Path
from dativo import errors
from dativo.state.location import Location
from dativo.state.store import Store
url, options = json.loads(sys.argv[1])
where = Location.of_url(url, Path("/"), options)
def tell(word):
    print(word, flush=True)
"""


@dataclass
class Place:
    """A store nobody else uses, as a URL and options."""

    kind: str
    url: str
    options: dict[str, str]

    @property
    def where(self) -> Location:
        return Location.of_url(self.url, Path("/"), self.options)

    def start(self, script: str) -> subprocess.Popen[str]:
        """Another process that has `where` and `Store`."""
        command = [sys.executable, "-c", PRELUDE + script, json.dumps([self.url, self.options])]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def sqlite(folder: Path) -> Place:
    return Place("sqlite", f"sqlite:///{folder}/state.db", {})


def file(folder: Path) -> Place:
    return Place("file", f"file://{folder}/state", {})


def bucket(endpoint: str) -> Place:
    """A prefix of its own in the bucket `state-store`."""
    options = {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "x", "secret_access_key": "y"}
    return Place("objects", f"s3://state-store/{uuid.uuid4().hex}", options)


def pretend(store, job, *, expires=None, **holder):
    """Make the stored holder look like another process, machine or time, behind the store's back."""
    if isinstance(store, SqlStore):
        with store._writing() as db:
            text, until = db.execute("SELECT holder, expires FROM jobs WHERE name = ?", (job,)).fetchone()
            changed = json.dumps({**json.loads(text), **holder})
            db.execute(
                "UPDATE jobs SET holder = ?, expires = ? WHERE name = ?",
                (changed, until if expires is None else expires, job),
            )
    else:

        def change(document):
            document.data["holder"].update(holder)
            if expires is not None:
                document.data["expires"] = expires

        store._change(job, change, fresh=True)
