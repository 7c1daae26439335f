"""Dativo's control plane: turns a command line or a job file into a plan, and persists what the data plane reports.

Flow: cli > config > plugins > engines > run > bus (the Rust data plane) > events > state. A record's bytes never pass
through this package. Dependencies run one way (`[tool.importlinter]` in pyproject.toml); nothing imports `dativo.cli`.
"""

__version__ = "0.1.0"
