"""What an import is about to write: the new dativo.yml, files beside it, and bookmarks. Written all together or not."""

from __future__ import annotations

import io
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.document import new_yaml, parse
from dativo.config.keys import PROJECT, check
from dativo.config.project import FILE, Project
from dativo.dataclass import dataclass
from dativo.migrate.report import Report
from dativo.state import location
from dativo.state.store import Store


@dataclass
class Draft:
    """The outcome of an importer. `project` is the data of dativo.yml, in the order in which it is to be written."""

    project: dict[str, Any]
    report: Report
    files: dict[str, str] = field(default_factory=dict, repr=False)
    """Further files by their path below the folder; none may be there yet, except `.env`, which is added to."""
    bookmarks: dict[str, str] = field(default_factory=dict, repr=False)
    """Job -> the exact text of its state."""
    of_environments: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Environment -> the bookmarks in its own store."""
    environment: str | None = None
    """The environment that the other tool chose by itself."""

    def text(self) -> str:
        """dativo.yml. What would not load is an error of the importer and is found here, not by the user's next run."""
        stream = io.StringIO()
        yaml = new_yaml()
        yaml.indent(mapping=2, sequence=4, offset=2)
        yaml.dump(_unshared(self.project), stream)
        text = stream.getvalue() if self.project else ""
        check(parse(text, Path(FILE)), PROJECT)
        return text

    def write(self, folder: Path, source: str) -> list[str]:
        """Write it all into a folder; returns the files' names. `source` is said in the bookmarks' history.

        Raises `import.taken` when a file is there already: nothing is replaced.
        """
        text = self.text()
        for name in (FILE, *self.files):
            place = _inside(folder, name)
            if place.is_symlink() or (place.exists() and name != ".env"):
                raise errors.ConfigError("import.taken", f"{place} is there already")
        for name, content in self.files.items():
            place = _inside(folder, name)
            before = place.read_text(encoding="utf-8") if place.exists() else ""
            text_of = before + ("\n" if before and not before.endswith("\n") else "") + content
            atomic.write(place, text_of, private=name == ".env")
        atomic.write(folder / FILE, text)
        for env, bookmarks in ((None, self.bookmarks), *self.of_environments.items()):
            if bookmarks:
                with Store.open(location.of(Project.find(folder, env))) as store:
                    for job, state in bookmarks.items():
                        store.set(job, state, reason=f"imported from {source}")
        return [FILE, *self.files]


def _unshared(value: Any) -> Any:
    """The same data in which nothing stands twice as one object: YAML would write that with anchors."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _inside(folder: Path, name: str) -> Path:
    """A file below the folder (I12): never one that a name or a link leads out to."""
    place = folder / name
    if place.is_symlink() and not place.resolve().is_relative_to(folder.resolve()):
        raise errors.ConfigError("import.invalid", f"{place} leads out of {folder}", hint="put a file in its place")
    if Path(name).is_absolute() or ".." in Path(name).parts or not place.parent.resolve().is_relative_to(
        folder.resolve()
    ):  # fmt: skip
        raise errors.ConfigError("import.invalid", f"{name!r} is no file below {folder}")
    return place
