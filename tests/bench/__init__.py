"""Speed and memory, measured as ratios to a limit or a peer in the same run: `make bench`.

Nothing here runs in `make test`: a busy machine makes clocks lie. Each figure is the median of pairs run in turn
(A B A B …), so that a machine whose speed drifts slows both sides. Imports `dativo.bus` only to find the executable.
"""
