"""`secret://exec/NAME`: the stdout of a command that `secrets.exec` declares. A reference never spells one (I12)."""

from __future__ import annotations

from dativo.secrets import faults, program
from dativo.secrets.backend import Backend


class Exec(Backend):
    """Runs the operator's own commands (`pass show …`, `op read …`) in the project's folder."""

    scheme = "exec"

    def content(self, name: str) -> str:
        """What the command prints, without its last newline. Its stderr is not shown: it may tell the value."""
        what = self.called(name)
        argv = self.around.settings.get(name)
        if not argv:
            declared = ", ".join(sorted(self.around.settings)) or "none"
            raise faults.unknown(what, "no such command is declared", f"declared in secrets.exec: {declared}")
        done = program.run(list(argv), what=what, timeout=self.around.timeout, cwd=self.around.root)
        if done.code != 0:
            how = f"ended with signal {-done.code}" if done.code < 0 else f"exited with {done.code}"
            raise faults.failed(what, f"its command {how}", f"run it by hand: secrets.exec.{name} in dativo.yml")
        value = program.text(done.stdout, what)
        if not value:
            raise faults.unknown(what, "its command printed nothing")
        return value
