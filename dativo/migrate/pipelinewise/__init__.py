"""PipelineWise: `tap_*.yml` and `target_*.yml`, and the states of its config directory.

Flow: `files` (YAML with Jinja's `env_var` and `!vault` values) > `project` (one plugin a tap and a target, one job a
tap) with what `taps` knows about each type of tap.
Guards I12 and I13 as `dativo.migrate` does: no template is rendered but `env_var`, nothing is decrypted.
What PipelineWise does with these files was read in its `cli/config.py`, `cli/tap_properties.py` and `cli/commands.py`.
Imported by `cli` only.
"""
