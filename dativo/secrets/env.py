"""`secret://env/NAME`: a variable of the environment, else of the `.env` beside dativo.yml."""

from __future__ import annotations

from dativo.secrets import faults
from dativo.secrets.backend import Backend


class Env(Backend):
    """Reads, never writes: nobody can change a process's environment for the next one."""

    scheme = "env"

    def content(self, name: str) -> str:
        """The variable's text."""
        value = self.around.variable(name)
        if not value:
            why = "the variable is not set" if value is None else "the variable is empty"
            raise faults.unknown(self.called(name), why, f"export {name}, or write it into .env beside dativo.yml")
        return value
