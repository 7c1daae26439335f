"""One run, from what was asked for to what became of it: the only place that joins plugins, engines, bus and state.

Flow: cli > run > bus > events > run > state. `job` resolves a command line or a job into steps, `sides` are the two
ends of a shell pipe, `attempt` drives one plan and commits what the target confirmed, `hold` is the lease and the
bookmark (`waiting`: until it is free), `part` which of its streams a run reads, `backfill` a run on a bookmark of its
own, `overwriting` what becomes of rows that are read again, `pipe` meets the neighbour in a shell pipe (`neighbours`:
who holds the other end; `rendezvous`:
what the two tell each other), `probe` asks a plugin a question, `catalog` and `settings` prepare what a plugin is given
(`step`: all of it, ready; `disclosure`: its secrets, late), `outcome` turns the verdict into an error, `conclusion`
into a summary, `interrupts` is Ctrl-C, `rundirs` names and sweeps the private run directories.

`attempts` makes attempts until one is done: `retry` says how often and when, `causes` why one failed (by `symptoms`,
`patterns` and `ratelimit`, in its plugin's words), `mend` has one plugin of a living pipeline started again, `isolate`
leaves out a stream that fails, `totals` adds the attempts up, `breaker` pauses a plugin that fails run after run.
`parallel` is several taps for one target: `shares` divides the streams, `taps` runs and minds them, `governor` says
when another may begin. `relief` takes off a target what the data plane does for it, `adapting` says what is changed in
a stream for the plugin that reads it, `encoding` chooses between lines and columns. `building` runs the build of a
package, confined.

`checker` is the child that judges records whose SCHEMA the data plane cannot use, `judging` its program. `verify/`
reads a destination back and compares it.

`letterbox` is where dead letters go, `tape` where a recording is kept, `player` the built-in tap that plays one or
dead letters (`letters`), and `tape_replay`, `letters_replay` and `tape_test` run them again, or make a test of a tape.

What a plugin may reach is made in `grants`: `templates` filled, `places` that may be given, `reach` and `inference` for
hosts, `readable` for its start, then `cut` by jobs and policies; `bounds` are its limits, `exposure` says it in words,
`denials` says what was missing, `learn` and `needs` propose it.

Guards I1 and I2 (a bookmark is committed, and durable, when its event arrives, before anything else is done), I4, I5
(the lease is taken before the first plugin starts and renewed while it runs), I6 (a plugin gets what it was granted),
I8 and I11 (the verdict is the bus's, never an exit code's). Only `dativo.cli` may import it.
"""
