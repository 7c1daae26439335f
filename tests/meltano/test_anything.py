"""Any value in any place of a project: it is read, or it is an error of Dativo's; never anything else."""

from __future__ import annotations

import copy
import json
import random
import shutil
from contextlib import suppress

import pytest
from ruamel.yaml import YAML

from dativo import errors
from dativo.config.meltano.project import MeltanoProject
from dativo.migrate.meltano import convert
from tests.meltano.world import HERE

ODD = (
    None, 1, -1, True, "", "x", "$X", "a b", "../..", [], {}, [1], [None], {"a": 1}, {"name": "x"}, [{"name": "x"}],
    [[["x"]]], 1.5, "\u00e9" * 50, "@daily", "tap-orders", "file:///",
)  # fmt: skip


def spots(data, path=()):
    """Every place in it."""
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from spots(value, (*path, key))


def put(data, path, value):
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def tried(action):
    with suppress(errors.DativoError):
        return action()


@pytest.mark.parametrize("name", ["shop", "fleet", "masked", "precedence"])
@pytest.mark.parametrize("seed", range(12))
def test_any_value_in_any_place(name, seed, tmp_path):
    chance = random.Random(f"{name} {seed}")
    source, root = HERE / "projects" / name, tmp_path / "project"
    shutil.copytree(source, root)
    shutil.copytree(HERE / "tap-orders", root / "extract" / "tap-orders")
    files = [root / "meltano.yml", *sorted(root.glob("config/*.yml")), *sorted(root.glob("extract/*.yml"))]
    changed = chance.choice(files)
    data = YAML(typ="safe").load(changed)
    for _ in range(chance.randint(1, 3)):
        with suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            put(data, chance.choice([path for path in spots(data) if path]), copy.deepcopy(chance.choice(ODD)))
    changed.write_text(json.dumps(data, default=str), "utf-8")

    tried(lambda: convert(root, root).text())
    project = tried(lambda: MeltanoProject(root, process={"PATH": "/usr/bin"}))
    for job in tried(project.jobs) or ():
        tried(lambda job=job: project.run_specs([job]))
    for word in tried(project.plugins) or ():
        for question in (project.declared, project.plugin, project.origin):
            tried(lambda question=question, word=word: question(word))
