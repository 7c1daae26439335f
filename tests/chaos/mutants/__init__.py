"""Deliberately broken builds of Dativo, made in a process of their own: the chaos faults must find each of them.

`early` keeps a bookmark before the target has stored anything, with the help of `target-eager.py`; `unsynced` never
waits for the disk; `unfenced` neither refuses a second run nor looks at the fencing token. Each module breaks what it
names and then Dativo's own `main` runs; the product holds no switch for any of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
MUTANTS = ("early", "unsynced", "unfenced")


def program(name: str, folder: Path) -> Path:
    """A folder with a `dativo` in it that is this broken build; to be put before the others on the PATH."""
    folder.mkdir()
    script = folder / "dativo"
    script.write_text(
        f"#!{sys.executable}\nimport sys\n\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.chaos.mutants import {name}\n\n{name}.mutate()\n"
        "from dativo.cli.main import main\n\nsys.exit(main())\n",
        "utf-8",
    )
    script.chmod(0o755)
    return folder
