"""How each ecosystem's plugin becomes a child in a plan: argv, files, environment, and what its habits are.

Flow: `run` resolves a plugin and its settings > `singer.child` or `singer.probe`, or those of `airbyte` for a connector
of that ecosystem (`airbyte_destination`: what a destination is told before it starts, `airbyte_generations`: which read
its rows are of) > the plan > the data plane.
Guards I6 (a child's environment is listed, never inherited), I13 (config, catalog and state travel in files that nobody
else can open, never in argv or the environment). `meltano` is the other way round: a plugin of ours for Meltano.
Imported by `run` and `cli`; imports `config` and `errors`. It knows plugins by their shape (`Startable`), not by
importing `dativo.plugins`.
"""
