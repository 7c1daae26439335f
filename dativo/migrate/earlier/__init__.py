"""The earlier Dativo (dativo-ingest): jobs by tenant, connector recipes, data contracts, readers and writers in code.

Flow: `files` (which YAML is what; paths that stay in the folder) > `recipes` (a connector under what its job says) and
`contract` (the asset: columns, keys) > `connectors` (a type becomes a plugin, its `credentials` references) or
`wrapper` (a `custom_reader` or `custom_writer` becomes a Singer program of its own, from `scripts/`) > `project`
(jobs, schedules, states).
Guards I12 (a class or library is copied or named, never loaded here; what runs it later is the sandbox) and I13.
What the earlier engine did was read in its `config.py`, `cli.py`, `plugins.py` and `rust_plugin_bridge.py`.
Imported by `cli` only.
"""
