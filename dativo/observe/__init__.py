"""What a person sees of a run: live progress, the plugins' log lines, the summary at the end.

Flow: run > observe > stderr. `figures` turns numbers and bookmarks into short text, `log` prints plugin lines,
`progress` shows a run while it goes on (rich is imported only there, and only on a terminal), `summary` says how it
ended.
Guards I12 and I13 on the way to the screen: control characters of a plugin's text are shown, never obeyed.
Only `dativo.run` and `dativo.cli` may import it; it gets plain values and knows no event, plan or store.
"""
