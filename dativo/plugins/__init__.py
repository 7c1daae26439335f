"""Plugins as installed things: what was asked for, what was locked, where it stands, what it says it can do.

Flow of `dativo add`: `requirement` (what the user typed, read by `package`) > `registry` (what a name means) >
`sources` (source distributions, paths, git and our own checkout, `firstparty`, become wheels) > `resolve` (uv, every
hash) > `environment` (one private venv per lock digest) > a probe given by the caller > `manifest` > `permissions`
(what it asks for) > `lockfile`, with what was approved (`approval` refuses more). Code of strangers is built by
`build`, confined, and reaches the user's `index` through a `window`. A run only reads: `installed` (lock header and
manifest; no uv, no YAML), after a look at every file by `seal`. `lacking` tells what one lacked that did not install,
and which older Python `install` tries.
`bytecode` and `twin` are what an environment comes back from in a moment, `work` the folders that an install works in
and what a killed one left of them. `upgrade`, `bundle` and `audit` are the commands of these names.
Guards I6 (nothing is shared between plugins), I7 (drift and tampering are refused), I12 (names are checked before they
become paths). Only `uv` runs uv. Imported by `run` and `cli`; imports `config` and `errors`, never its siblings.
"""
