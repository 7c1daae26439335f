"""What the user sees: results on stdout, everything else on stderr, and every error in one shape.

`run_reported` is the only place where an exception becomes text and an exit code. A command raises `DativoError`,
prints through `result`, `note` and `warn`, and returns None or its exit code.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import select
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO, cast

import click

from dativo import errors
from dativo.dataclass import dataclass
from dativo.secrets.redact import REDACTOR, Shown


@dataclass
class Output:
    """How this command line wants to be answered. Set by the options, read everywhere in `dativo.cli`."""

    json: bool = False
    verbosity: int = 0
    errors_on: str = "stdout"
    """Where `--json` errors go. A command whose stdout is a Singer stream sets this to "stderr"."""

    def reset(self) -> None:
        """Forget the previous command line (tests run several in one process)."""
        self.json, self.verbosity, self.errors_on = False, 0, "stdout"


OUTPUT = Output()


def prepare_streams() -> None:
    """Make the standard streams safe to use, however the caller left them.

    A closed one would be replaced by the next file that is opened, and messages would be written into that: the hole is
    filled with /dev/null (for stdout one that refuses to be written, so that a lost result is an error). Results are
    UTF-8 whatever the locale says; only a terminal keeps its own encoding.
    """
    for fd, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free descriptor: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    # I13: whatever anything in this process prints goes through here, tracebacks and SDKs' warnings too. On stdout,
    # where a plugin's catalog may go, only values that cannot be a word of it by chance are hidden; `result` and
    # `print_error`, which know what they print, hide all.
    if not isinstance(sys.stderr, Shown):
        sys.stderr = cast(TextIO, Shown(sys.stderr, REDACTOR))
    if not isinstance(sys.stdout, Shown):
        sys.stdout = cast(TextIO, Shown(sys.stdout, REDACTOR, sure=True))


def release_streams() -> None:
    """Let go of what a stream held back because it could have been the beginning of a value."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Shown):
            stream.release()


def debugging() -> bool:
    """Whether a crash may show its inside on the terminal (-vv or DATIVO_DEBUG)."""
    return OUTPUT.verbosity >= 2 or os.environ.get("DATIVO_DEBUG", "") not in ("", "0")


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def clean(text: str) -> str:
    """Text of a plugin or a file, safe on a terminal: control characters are shown, not obeyed (I12)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def result(data: Any, lines: Callable[[], Iterable[str]] | Iterable[str], *, exact: bool = False) -> None:
    """Print a command's result: `data` with --json (one document), else `lines` for people.

    `exact`: it is a plugin's own document (a catalog), in which a word that happens to be somebody's password stays.
    """
    if OUTPUT.json:
        shown = data if exact else REDACTOR.deep(json.loads(json.dumps(data, default=str)))
        print(json.dumps(shown, ensure_ascii=False, default=str))
        return
    for line in lines() if callable(lines) else lines:
        print(line if exact else REDACTOR.text(line))


def note(text: str) -> None:
    """Say something useful on stderr, unless -q."""
    if OUTPUT.verbosity >= 0:
        print(f"  {clean(_advice(text))}", file=sys.stderr)


def warn(text: str) -> None:
    """Say on stderr, even with -q, what the user should know although nothing failed."""
    print(_paint("warning", "33", sys.stderr) + f"  {clean(_advice(text))}", file=sys.stderr)


def show_deprecations() -> None:
    """Say each old spelling's warning as a line of ours, unless Python was told what to do with warnings (`-W`)."""
    if sys.warnoptions:
        return
    import warnings

    before = warnings.showwarning

    def show(  # noqa: PLR0917 - as `warnings` calls it
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category.__name__ == "Deprecated":
            warn(str(message))
        else:
            before(message, category, filename, lineno, file, line)

    warnings.filterwarnings("default", category=DeprecationWarning, module=r"dativo\.deprecations")
    warnings.showwarning = show


def columns(rows: Sequence[Sequence[Any]], *, right: Sequence[int] = (), indent: str = "  ") -> list[str]:
    """Rows as aligned columns; the columns listed in `right` are right-aligned (numbers)."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    pads = [str.rjust if at in right else str.ljust for at in range(len(widths))]
    return [
        (indent + "  ".join(pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=True))).rstrip()
        for row in cells
    ]


def confirm(question: str, *, yes: bool) -> None:
    """Return if the user agrees; refuse where nobody can be asked; leave with exit 1 when they do not."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or OUTPUT.json:
        raise errors.ConfigError("usage", f"{question}: nobody is here to answer", hint="give --yes to go on")
    if not click.confirm(f"  {clean(question)} · proceed?", default=False, err=True):
        note("nothing was changed")
        raise click.exceptions.Exit(1)


def _paint(text: str, colour: str, stream: TextIO) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colours(stream) else text


def _advice(text: str) -> str:
    """What is advised, in the words of the project that it is advised in."""
    from dativo.config.meltano.remedies import worded

    return worded(text)


def print_error(error: errors.DativoError) -> None:
    """Print one error: UX.md's shape on stderr, or one JSON object with --json."""
    error.hint = _advice(error.remedy)
    if OUTPUT.json:
        stream = sys.stderr if OUTPUT.errors_on == "stderr" else sys.stdout
        shown = REDACTOR.deep(json.loads(json.dumps(error.as_dict(), default=str)))
        print(json.dumps(shown, ensure_ascii=False), file=stream, flush=True)
        return
    first, *rest = clean(error.message).split("\n")
    print(_paint(f"error[{error.code}]", "1;31", sys.stderr) + f"  {first}", file=sys.stderr)
    for line in [*rest, *(line for detail in error.details for line in clean(detail).split("\n"))]:
        print(f"  {line}", file=sys.stderr)
    print(f"  {clean(error.remedy)}        (exit {error.exit_code})", file=sys.stderr, flush=True)


def run_reported(action: Callable[[], Any]) -> int:
    """Run a command and turn whatever happens into an exit code. Nothing but SystemExit leaves this function."""
    try:
        code = _attempt(action)
        release_streams()
        sys.stdout.flush()
    except BrokenPipeError:
        return stdout_lost()
    except KeyboardInterrupt:
        return 130
    except OSError as problem:  # stdout on a full disk shows itself only when flushed
        _silence(1)
        print_error(_from_os(problem))
        return 3
    finally:
        with contextlib.suppress(OSError, ValueError):
            release_streams()
    return code


def _attempt(action: Callable[[], Any]) -> int:
    try:
        value = action()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        return 130
    except Exception as problem:
        if isinstance(problem, BrokenPipeError) and not _stdout_has_reader():
            raise
        known = _known(problem)
        # The last line of defence: a bug becomes a report, never a traceback.
        return _report(known) if known is not None else _crash(problem)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _known(problem: Exception) -> errors.DativoError | None:
    """The error to show for an exception that has a meaning for users."""
    if isinstance(problem, errors.DativoError):
        return problem
    if isinstance(problem, click.ClickException):
        return _from_click(problem)
    return _from_os_or_none(problem) if isinstance(problem, OSError) else None


def _report(error: errors.DativoError) -> int:
    if debugging() and error.__cause__ is not None:
        _show_traceback(error)
    print_error(error)
    return error.exit_code


def _from_click(problem: click.ClickException) -> errors.DativoError:
    """A usage error in our shape, naming the --help of the command it belongs to."""
    ctx = problem.ctx if isinstance(problem, click.UsageError) else None
    path = ctx.command_path if ctx else "dativo"
    if isinstance(problem, click.UsageError):
        from dativo.cli import phrases

        known = phrases.refused(problem)
        if known is not None:
            return errors.ConfigError("usage", known[0], hint=known[1])
    return errors.ConfigError("usage", problem.format_message().rstrip("."), hint=f"see `{path} --help`")


_OS_CODES = {
    errno.ENOSPC: ("env.disk_full", "the disk is full"),
    errno.EDQUOT: ("env.disk_full", "the disk quota is used up"),
    errno.EROFS: ("env.read_only", "the file system is read-only"),
    errno.EACCES: ("env.permission", "permission denied"),
    errno.EPERM: ("env.permission", "not permitted"),
}


def _from_os_or_none(problem: OSError) -> errors.DativoError | None:
    known = _OS_CODES.get(problem.errno or 0)
    if known is None:
        return None
    where = problem.filename2 or problem.filename
    place = os.fsdecode(where) if isinstance(where, str | bytes) else "standard output" if where is None else str(where)
    return errors.EnvironmentFault(known[0], f"{known[1]}: {place}")


def _from_os(problem: OSError) -> errors.DativoError:
    reason = os.strerror(problem.errno) if problem.errno else "unknown"
    return _from_os_or_none(problem) or errors.EnvironmentFault("env.output", f"standard output: {reason}")


def _crash(problem: BaseException) -> int:
    from dativo.cli.crash import write_report

    path = write_report(problem)
    kept = f"crash report: {path}" if path else "no crash report could be written"
    if debugging():
        _show_traceback(problem)
    return _report(
        errors.RunError("bug", f"Dativo met something it did not expect ({type(problem).__name__})", details=(kept,))
    )


def _show_traceback(problem: BaseException) -> None:
    import traceback

    traceback.print_exception(problem, file=sys.stderr)


def _stdout_has_reader() -> bool:
    """Whether a BrokenPipeError came from elsewhere: stdout itself is still being read."""
    poller = select.poll()
    try:
        poller.register(sys.stdout.fileno(), select.POLLOUT)
        return not any(happened & select.POLLERR for _, happened in poller.poll(0))
    except (OSError, ValueError):
        return True


def stdout_lost() -> int:
    """End as a program whose reader went away ends: no message, 128 + SIGPIPE."""
    _silence(1)
    return 141


def _silence(fd: int) -> None:
    """Point a broken descriptor at /dev/null, so that the interpreter's last flush does not complain."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, fd)
        os.close(null)
    except OSError:
        pass
