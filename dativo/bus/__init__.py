"""The control plane's side of the seam to the data plane: find `dativo-bus`, hand it a plan, read its events.

Flow: run > bus > (the Rust process) > events > run. Files: `find` (which executable), `plan` (the document it reads),
`process` (start it and hold its pipes), `gather` (the program that makes one stream of several taps'), `events` (what
it says), `orphans` (what is left when it was killed), `about` (its version), `kernel` (what its probe finds of the
sandbox's layers; the AppArmor profile beside it).

Guards I8 (a bus that dies leaves nothing running: Python is child subreaper) and I13 (the plan, which holds every
plugin's configuration, travels in a sealed memfd and never touches a disk or an argv).
Only `dativo.run` runs plans; `dativo.cli` also asks for the version and the probe. It knows nothing of plugins, state
or the project.
"""
