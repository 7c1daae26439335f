"""Shell scripts of `tap | target` lines, with their config, catalog and state files.

Flow: `lexer` > `grammar` (statements; what is no pipeline of simple commands is one thing with a name) > `words` (what
a word is, as far as that can be told without running anything) > `script` (statement by statement: variables,
pipelines, what becomes of state files; a program is a `stage`) > `project` (plugins and jobs), with `packages` for
where a program comes from, `catalog` for what a file selects, `crontab` for the lines of one, and `writing` for the
files that the script writes itself.
Guards I12: nothing is executed, expanded by a shell or looked up on PATH; and I13: no text of a statement is in the
report, only names.
Imported by `cli` only.
"""
