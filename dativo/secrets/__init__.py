"""Secrets: what `secret://BACKEND/NAME#KEY` stands for, and the one list of values that nothing may show.

Flow: a reference passes through `config` untouched and is parsed and checked (`reference`, `tenants`) when a plugin is
configured; `resolve` reads it when the plugin is about to start, through one file per backend (`env`, `file`, `system`
for the keyring, `vault`, `aws`, `gcp`, `azure`, `command` for exec); `redact` then hides the value in whatever is shown
or kept; `writeback` puts a refreshed token back by compare-and-set. `names` tells which settings are secret by name.
`backend` is what every one of them is, `faults` their errors, `dotenv` and `program` what several read with.
Guards I13 (a value is in no log, event, error, argv or file of ours), I12 (a reference is never a command or a way out
of a folder) and I6 (a tenant's job names its own secrets only). Anyone above may import it; it imports only `errors`.
Only this package imports the clouds' SDKs, and each only when a reference needs it.
"""
