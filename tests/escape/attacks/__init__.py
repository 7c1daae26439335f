"""What runs inside the sandbox: standard library and ctypes only, one file per family.

An attack returns only when it got through, and then what it got; an OSError means that it was stopped. Whether to
believe it is decided outside, in `tests.escape.evidence`. Imported outside only to know which attacks there are.
"""
