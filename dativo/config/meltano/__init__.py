"""A Meltano project as it stands: meltano.yml, what it includes, the lock files in plugins/, .env, its system database.

Flow: `Project.find` comes upon meltano.yml > `project` (a `Project` whose plugins and jobs are Meltano's) > `files`
(the merged file) > `definitions` (plugins, what they inherit, what settings they have) > `values` (Meltano's
precedence, with `expansion` for `$VAR`, `kinds` for types and `dates`) > `selection` (what is read), `packages`
(pip_url) and `blocks` (jobs, schedules, state ids). `system` reads the system database, `unknown` finds keys that mean
nothing, `remedies` puts an error's advice into the words of such a project, where it is shown. Nothing here writes a
file of Meltano's.
Guards I12 (names, paths and pip_urls of strangers are checked before they are used) and I13 (no value in an error).
Facts are those of Meltano 4.4.1 as it runs; tests/meltano compares with the real one. What is not understood is an
error or a warning, never skipped silently.
Imported by `config.project`, `state`, `migrate`, `run` and `cli`; imports `config`, `secrets` and `errors`.
"""
