"""`env:` of meltano.yml as `env:` of a plugin: what it sets itself is written out, the rest stays `$VAR`.

The layers are those of `MeltanoProject.process_env`: the project's, the environment's, the plugin's, the environment's
for that plugin. The first two see the shell and `.env`; the plugin's own see the environment's only (Meltano 4.4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dativo.config.meltano.expansion import VARIABLE
from dativo.config.meltano.kinds import Setting, text_of
from dativo.config.meltano.project import MeltanoProject
from dativo.config.meltano.values import Values
from dativo.migrate.meltano.texts import HERE, ROOT, Texts


def of(project: MeltanoProject, values: Values, texts: Texts) -> dict[str, str]:
    """The variables of a plugin's process, as dativo.yml writes them. `texts` is told which stay variables."""
    active = project.environments.get(project.environment or "") or {}
    of_section = project.around.sections.get((values.plugin.kind, values.plugin.name)) or {}
    place = {name: text.replace("$", "$$") for name, text in project.named_place.items()}
    if texts.here:
        place[ROOT] = HERE
    own = _layer(project.files.data.get("env"), place, texts)
    seen = {name: text for name, text in {**place, **own}.items() if name not in project.dotenv}
    environment = _layer(active.get("env"), seen, texts)
    plugin = _layer(values.plugin.own.get("env"), environment, None)
    last = _layer(of_section.get("env"), plugin, None)
    return {**own, **plugin, **environment, **last}


def _layer(env: Any, below: Mapping[str, str], texts: Texts | None) -> dict[str, str]:
    """One layer. Without `texts` a variable that `below` lacks is no text."""
    said = env if isinstance(env, Mapping) else {}
    return {
        str(key): _spelled("" if one is None else text_of(Setting(""), one), below, texts) for key, one in said.items()
    }


def _spelled(text: str, below: Mapping[str, str], texts: Texts | None) -> str:
    made: list[str] = []
    at = 0
    for found in VARIABLE.finditer(text):
        made.append(text[at : found.start()].replace("$", "$$"))
        at = found.end()
        name = found["curly"] or found["plain"]
        if found["escape"]:
            made.append(found[0][1:].replace("$", "$$"))
        elif name in below:
            made.append(below[name])
        elif texts is not None:
            texts.used[name] = None
            made.append(f"${{{name}}}")
    return "".join([*made, text[at:].replace("$", "$$")])
