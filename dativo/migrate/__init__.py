"""Importers: what other tools keep, turned once into dativo.yml, a state and files beside it. Nothing of it is run.

Flow: `cli.import_` > one module or package a format, which reads the other tool's files > a `Draft` (`draft`: the new
dativo.yml, further files, bookmarks) and a `Report` (`report`: each thing that was found and what became of it) >
printed, and written unless it is a dry run. `settings` turns secrets of a plugin into references, `clear` finds those
that stand in an address or beside a variable.
Guards I12 (what the files of strangers say is data: nothing in them is executed, expanded by a shell, or a path outside
the folders that were named) and I13 (a secret's value is in no report, and is never copied into dativo.yml in clear).
Each thing without a counterpart is an entry of the report: nothing is dropped silently.
Imported by `cli` only; imports `run` and what lies below it.
"""
