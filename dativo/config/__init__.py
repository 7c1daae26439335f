"""Where settings come from: directories, the project file `dativo.yml`, job files, `${VARIABLE}` and `.env`.

Flow: `cli` > `Project.find` (`project`) > `document` (YAML with the line of every key; what is ordinary, by `plain`) >
`keys` (what may stand where) > `layers` (environments merged on top) > `variables` (`${VAR}`, on access, so that one
plugin's missing variable stops only that plugin) > `specs`. Edits go through `edits`, which keeps comments and
replaces the file atomically.
Guards I12 (names from files are checked before they become paths) and I13 (an error names a key and a line, never a
value). Imported by `plugins`, `engines`, `state`, `run` and `cli`; imports only `secrets` and `errors`. YAML
is imported only when a file exists.
"""
