"""The entry point: `--version` without click, else the lazily loaded group, run inside the one error reporter.

Kept almost free of imports on purpose: every `dativo` in a shell pipe pays for them.
"""

from __future__ import annotations

import sys

from dativo import __version__

# name -> (section, "module:attribute", help line). `dativo --help` prints these lines without importing any command.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("Move data", "dativo.cli.run:command", "Run a job: tap, mappers, target, or a job file."),
    "check": ("Move data", "dativo.cli.check:command", "Check jobs and plugins without starting anything."),
    "replay": ("Move data", "dativo.cli.replay:command", "Run a recorded tape again, without its source."),
    "dlq": ("Move data", "dativo.cli.dlq:command", "List, show, replay or drop dead letters."),
    "import": ("Move data", "dativo.cli.import_:command", "Turn another tool's project into a dativo.yml."),
    "search": ("Plugins", "dativo.cli.search:command", "Find plugins in the registries, by words."),
    "info": ("Plugins", "dativo.cli.info:command", "Show a plugin's variants, settings and hosts before it is added."),
    "add": ("Plugins", "dativo.cli.add:command", "Install plugins and pin them in dativo.lock."),
    "remove": ("Plugins", "dativo.cli.remove:command", "Remove plugins from the project and the lock file."),
    "list": ("Plugins", "dativo.cli.list_:command", "Show the installed plugins."),
    "registry": ("Plugins", "dativo.cli.registry:command", "Add, list, update and remove registries of plugins."),
    "sync": ("Plugins", "dativo.cli.sync:command", "Install exactly what dativo.lock says."),
    "outdated": ("Plugins", "dativo.cli.outdated:command", "Show plugins that have newer versions."),
    "upgrade": ("Plugins", "dativo.cli.upgrade:command", "Install newer versions, after showing what they change."),
    "audit": ("Plugins", "dativo.cli.audit:command", "Known vulnerabilities, licences, a bill of materials."),
    "bundle": ("Plugins", "dativo.cli.bundle:command", "Pack all plugins into a file for machines without a network."),
    "inspect": ("Plugins", "dativo.cli.inspect_:command", "Show what a plugin may do, in words, with a score."),
    "learn": ("Plugins", "dativo.cli.learn:command", "Run a plugin and propose the least that it must be granted."),
    "allow": ("Plugins", "dativo.cli.allow:command", "Grant a plugin hosts and files, or approve what it asks for."),
    "discover": ("Plugins", "dativo.cli.discover:command", "Show the streams and columns a tap offers."),
    "select": ("Plugins", "dativo.cli.select:command", "Show or change which streams and columns are read."),
    "config": ("Plugins", "dativo.cli.config:command", "Show, set, unset or test a plugin's settings."),
    "state": ("Bookmarks", "dativo.cli.state:command", "List, get, set, clear bookmarks and show their history."),
    "verify": ("Bookmarks", "dativo.cli.verify:command", "Compare a job's source with its destination."),
    "fix": ("This machine", "dativo.cli.fix:command", "Rewrite deprecated keys in dativo.yml and job files."),
    "doctor": ("This machine", "dativo.cli.doctor:command", "Check what Dativo needs here and say what is missing."),
    "version": ("This machine", "dativo.cli.version:command", "Print the versions of Dativo's parts."),
    "completion": ("This machine", "dativo.cli.completion:command", "Print the shell's completion script."),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit code (DESIGN.md, house rule 3)."""
    words = sys.argv[1:] if argv is None else argv
    if words == ["--version"]:
        try:
            sys.stdout.write(f"dativo {__version__}\n")
            sys.stdout.flush()
        except OSError:
            from dativo.cli.report import stdout_lost

            return stdout_lost()
        return 0
    from dativo.cli.group import run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
