"""The files of a folder of the earlier Dativo: which of them are jobs, and the ones that a job names."""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import Any

from dativo import errors
from dativo.config.document import MAX_BYTES, Document, KeyPath, parse
from dativo.dataclass import dataclass
from dativo.migrate import reading
from dativo.migrate.reading import UnreadableError
from dativo.migrate.report import Report
from dativo.migrate.settings import variable

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^{}$]*)?)\}", re.ASCII)
JOB_KEYS = ("tenant_id", "source_connector_path", "target_connector_path", "asset_path")


class Located(Document):
    """A document that calls itself by its path below the folder: two folders have files of one name."""

    def where(self, key: KeyPath) -> str:
        """`jobs/acme/shop.yaml:12`."""
        return super().where(key).replace(self.path.name, str(self.path), 1)


@dataclass
class Folder:
    """A folder with its YAML files, by their path below it."""

    root: Path
    report: Report
    documents: dict[str, Document] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, root: Path, report: Report) -> Folder:
        """Every YAML file that can be used; the others are in the report."""
        made = cls(root, report)
        for path in reading.files(root, (".yaml", ".yml")):
            name = str(path.relative_to(root))
            try:
                text = reading.text(path, MAX_BYTES)
                found = parse(_marked(text), Path(name), code="import.invalid")
                made.documents[name] = Located(found.path, found.data, found.lines)
            except UnreadableError as problem:
                report.left(name, "the file", str(problem))
            except errors.ConfigError as problem:
                where, _, why = problem.message.partition(": ")
                report.left(where.replace(path.name, name, 1), "the file", f"it is refused: {why}")
        return made

    def jobs(self) -> list[str]:
        """The files that are jobs."""
        return [name for name, one in self.documents.items() if len(set(JOB_KEYS) & set(one.data)) > 1]

    def runners(self) -> list[str]:
        """The files that say when jobs run."""
        return [name for name, one in self.documents.items() if isinstance(one.data.get("runner"), dict)]

    def found(self, named: Any) -> str | None:
        """The file below the folder that a path of a job means. `/app/…` was the folder inside a container."""
        if not isinstance(named, str) or not named or "\0" in named:
            return None
        parts = PurePosixPath(named).parts
        tries = [parts[at:] for at in range(1, len(parts))] if named.startswith("/") else [parts]
        for one in tries:
            path = reading.inside(self.root, "/".join(one))
            if path is not None and reading.is_file(path):
                return str(path.relative_to(self.root.resolve()))
        return None

    def document(self, named: Any) -> Document | None:
        """The YAML file that a path of a job means."""
        name = self.found(named)
        if name is None or name not in self.documents:
            return None
        self.used.add(name)
        return self.documents[name]


def _marked(text: str) -> str:
    """The text with its variables marked; a comment may hold what it likes."""
    return _VARIABLE.sub(lambda found: variable(found[1]), text)
