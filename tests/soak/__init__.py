"""Many runs of one job after another, some of them killed, while the source changes; in the end nothing has grown.

`test_soak` has the runs and the checks, `changing` the sources that change, `footprint` what memory and disk are used.
On top of tests/chaos: its jobs, its way of watching a line, its plugins and server.
"""
