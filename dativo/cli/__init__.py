"""The command line: one file per command, and the one place where errors become text and exit codes.

Flow: `main` (answers `--version` at once) > `group` (finds the command by name, imports only that one) > a command's
file > `dativo.run` and below. Results go to stdout, everything else to stderr (`report`); options that mean the same
everywhere are defined once (`options`). Who knows Meltano's words is told ours (`phrases`).
Guards I13 here: a crash report holds types and places, never values.
Nothing may import this package. It may import everything, but only inside functions: `import dativo.cli.main` costs the
standard library and click.
"""
