"""Plugins from the package index, as they are, through Dativo: which of them run, in which pairs, and what came out.

`make plugins` runs all of them (`python -m tests.conformance --help`) and writes docs/reference/plugins.md; a few pairs
and all hostile streams run as tests. `taps` and `targets` say how each plugin is set up, `pair` runs two of them twice
and compares what lies at the destination with the source, `hostile` has streams that no tap should send.
"""
