"""A Meltano project in a folder, and both programs in it, with the same environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.workspace import PROGRAMS, Answer, Workspace, building

HERE = Path(__file__).parent
VERSION = "meltano==4.4.1"
QUIET = {"MELTANO_DISABLE_TRACKING": "1", "MELTANO_CLI_DISABLE_VERSION_CHECK": "1", "NO_COLOR": "1"}


def installed(home: Path) -> Path:
    """The real Meltano's program, in an environment of its own below `home`; made once."""
    place = home / VERSION.replace("==", "-")
    with building(place):
        if not (place / "bin" / "meltano").exists():
            subprocess.run([PROGRAMS / "uv", "venv", "--quiet", "--clear", place], check=True)
            environment = {**os.environ, "VIRTUAL_ENV": str(place)}
            subprocess.run([PROGRAMS / "uv", "pip", "install", "--quiet", VERSION], check=True, env=environment)
    return place / "bin" / "meltano"


@dataclass
class World:
    """A project in a folder. `env` is what the user's shell has besides."""

    folder: Path
    home: Path
    meltano: Path | None = None
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, project: str, folder: Path, home: Path, meltano: Path | None = None) -> World:
        """A copy of one of the projects here."""
        shutil.copytree(HERE / "projects" / project, folder)
        shutil.copytree(HERE / "tap-orders", folder / "extract" / "tap-orders", dirs_exist_ok=True)
        shutil.copytree(HERE / "programs", folder / "bin", dirs_exist_ok=True)
        if (folder / ".env.example").exists():
            (folder / ".env.example").rename(folder / ".env")
        for name in ("output", "output/dev", "output/prod"):
            (folder / name).mkdir(exist_ok=True)
        return cls(folder, home, meltano)

    def dativo(self, *words: str | Path) -> Answer:
        """Run `dativo WORDS`."""
        return self._run([PROGRAMS / "dativo", *words], {})

    def real(self, *words: str | Path) -> Answer:
        """Run `meltano WORDS`."""
        assert self.meltano is not None
        return self._run([self.meltano, *words], QUIET)

    def shell(self, line: str) -> Answer:
        """Run a line in bash, in which `dativo` is ours."""
        return self._run(["bash", "-c", line], {})

    def _run(self, command: list[str | Path], more: dict[str, str]) -> Answer:
        kept = Workspace.environment(self)  # type: ignore[arg-type] - all that it needs is `home`
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env={**kept, **more, **self.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return Answer(" ".join(map(str, command)), done.returncode, done.stdout, done.stderr)

    def rows(self, pattern: str = "output/**/*") -> dict[str, list[str]]:
        """The lines of each file that was written."""
        return {
            str(file.relative_to(self.folder)): sorted(file.read_text("utf-8").splitlines())
            for file in sorted(self.folder.glob(pattern))
            if file.is_file()
        }

    def edit(self, old: str, new: str, file: str = "meltano.yml") -> None:
        """Change a file's text."""
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new), "utf-8")

    def append(self, file: str, *rows: dict[str, Any]) -> None:
        """More rows in a file of JSON lines."""
        with (self.folder / file).open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)

    def real_state(self, state_id: str) -> Any:
        """The Singer state that Meltano holds."""
        answer = self.real("state", "get", state_id).expect()
        return json.loads(answer.stdout.strip().splitlines()[-1]).get("singer_state")
