"""A Meltano project as a dativo.yml: `convert` reads it with `dativo.config.meltano`, which `dativo run` uses too.

Flow: `conversion` puts the draft together > `sections` (a plugin, with and without an environment) > `texts` (a value
with `$VAR`, a secret) > `inventory` (each key of meltano.yml that becomes nothing). `environ` is what `env:` becomes,
`jobs` makes the jobs, `marks` the bookmarks.
Guards I12 and I13 as `dativo.migrate` does. Imported by `cli` only.
"""

from dativo.migrate.meltano.conversion import convert

__all__ = ["convert"]
