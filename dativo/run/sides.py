"""The ends of a shell pipe as commands: `dativo tap-x |`, `| dativo map-y |`, `| dativo target-z`.

The target's side holds the job and shows progress and the summary; the tap's side shows only what went wrong with it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from dativo import errors
from dativo.bus.plan import Plan, Sink, Source
from dativo.config.project import Project
from dativo.config.specs import job_name
from dativo.dataclass import dataclass
from dativo.engines import airbyte
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress, progress
from dativo.observe.summary import Summary
from dativo.plugins.installed import Installed
from dativo.run import (
    adapting,
    attempt,
    catalog,
    checker,
    conclusion,
    encoding,
    inherit,
    letterbox,
    relief,
    rundirs,
    tape,
)
from dativo.run.attempt import Attempt, Seen
from dativo.run.disclosure import disclosed, told
from dativo.run.hold import Hold, by_hand
from dativo.run.interrupts import Interrupts
from dativo.run.job import adopt, lines, read_state
from dativo.run.options import RunOptions
from dativo.run.part import Part
from dativo.run.pipe import Answer, Downstream, ToldElsewhere, Upstream
from dativo.run.settings import Given
from dativo.run.step import Step, prepare, resolver_of
from dativo.run.waiting import Waiting
from dativo.state import location

STDIN, STDOUT = 0, 1
SETS_ASIDE = {"tap": "-tap", "mapper": "-mapper", "target": ""}
"""How the dead-letter files of a shell pipe's sides differ in name: each data plane writes one of its own."""
LETTERS = "dead-letters"
"""What the tap that plays dead letters is called: it has no bookmark, and needs none."""
CLOSED_PIPE = 141
"""128 + SIGPIPE: what a program leaves with when its reader went away."""


@dataclass
class Side:
    """One plugin command: what was typed, and what both ends need."""

    project: Project
    plugin: Installed
    options: RunOptions
    given: Given

    @property
    def name(self) -> str:
        """What the plugin is called here."""
        return self.plugin.name

    def step(self) -> Step:
        """The plugin, configured and checked."""
        step = prepare(
            self.project,
            self.plugin,
            self.given,
            pass_env=self.options.pass_env,
            profile=self.options.sandbox,
            resolver=resolver_of(self.project, said=self.options.tenant),
        )
        if step.role == "target" and step.speaks_airbyte:
            return replace(step, stream_name=adapting.checked_template(self.options.stream_name))
        return step

    @property
    def asks(self) -> bool:
        """Whether it has to know the streams before it starts, and is not told them by --catalog."""
        return self.plugin.kind == "target" and self.plugin.engine == airbyte.NAME and self.options.catalog is None

    def streams(self, up: Upstream) -> str | None:
        """The catalog for a target that has to know it: of --catalog, else what the tap's side told."""
        if self.options.catalog is not None:
            return catalog.whole(catalog.read(self.options.catalog))
        if self.asks and up.catalog is None and not up.neighbour.ours:
            who = up.neighbour.name or "the program on the left"
            raise errors.ConfigError(
                "catalog.invalid",
                f"{self.name} has to be given its streams before it starts, and {who} tells it none",
                hint="give a catalog: --catalog FILE, or run the tap as `dativo TAP | …`",
                context={"plugin": self.name},
            )
        return up.catalog

    def plan(self, step: Step, child: dict[str, Any], *, run: str, job: str, **ends: Any) -> Plan:
        """The plan for this side alone."""
        # BATCH is refused where it cannot be loaded: at the target. A tap's side passes it on.
        batch = step.can("batch") or step.can("arrow") or step.role == "tap"
        # Records are checked where they leave the pipe. Lines that cannot be read are met on every side.
        policy = self.options.policy({}, batch=batch, edge=step.role == "target")
        spool = encoding.of_a_side(step, self.options)
        if step.role != "tap":
            template = adapting.checked_template(self.options.stream_name)
            child = {**child, "adapt": adapting.block(step, adapting.wanted(self.options, "auto"), template)}
        return Plan(
            run=run,
            job=job,
            run_dir=rundirs.run_dir(f"{run}-{step.role}"),
            children=[encoding.dressed(child, step, spool)],
            spool=spool,
            limits=self.options.limits(lines([step])),
            policy=policy,
            grace=self.options.graces({}),
            dead_letters=letterbox.file(self.project.state_path, job, f"{run}{SETS_ASIDE[step.role]}", policy),
            tape=tape.place(self.project, self.options, self.tape_name(step, run)),
            checker=checker.block(policy, job=job, run=run, profile=self.options.sandbox),
            **ends,
        )

    def tape_name(self, step: Step, run: str) -> str:
        """Each side of a pipe records what it sees: the target's side has the run's own name."""
        return run if step.role == "target" else f"{run}-{step.name}"

    def begin_tape(self, step: Step, run: str) -> list[str]:
        """Begin the recording, if one is wanted; what to say about it."""
        return tape.begin(self.project, self.options, self.tape_name(step, run))

    def planned(self) -> dict[str, Any]:
        """The plan of a dry run: nothing is started, met or locked, and no value is shown (I13)."""
        step = self.step()
        job = self.options.job or "default"
        text = "{}" if step.speaks_airbyte or (step.role == "tap" and step.can("discover")) else None
        ends: dict[str, Any] = {}
        if step.role != "tap":
            ends["source"] = Source("stdin", await_verdict=False)
        if step.role != "target":
            ends["sink"] = Sink("stdout")
        return self.plan(step, step.child(job=job, run="dry-run", catalog=text), run="dry-run", job=job, **ends).shown()


# -- the tap's side


def tap(side: Side) -> int:
    """`dativo tap-x …`: to the neighbour, or to whatever stdout is. Returns the exit code."""
    options = side.options
    about = {"chain": [side.name], "job": options.job, **_wishes(options)}
    with Interrupts() as interrupts, Downstream(STDOUT, side.name, **about) as down, ExitStack() as stack:
        step = side.step()
        down.publish(tap=step.plugin.origin, stateful=options.state is None, filter=list(step.spec.streams))
        chosen = catalog.chosen(step, options)
        given_state = read_state(options.state)
        right = down.meet()
        answer = down.agree() if right.ours else _unanswered(side, right.name)
        state = given_state or answer.state
        log = PluginLog(shown=options.verbose)
        [step] = stack.enter_context(disclosed([step]))
        text = catalog.prepare(step, options, chosen, interrupts, log)
        run = answer.run or rundirs.fresh_id("t")
        step.ready()
        side.begin_tape(step, run)
        job = answer.job or job_name((side.name, right.name or "stdout"))
        child = step.child(job=job, run=run, catalog=text, state=state)
        plan = side.plan(step, child, run=run, job=job, sink=Sink(right.name or "stdout", quiet=right.ours))
        down.go(text)
        silent = right.ours or options.quiet or sys.stdout.isatty()
        shown = Progress() if right.ours else progress(quiet=silent)
        seen = Attempt(
            plan, interrupts, log, shown, stdout=STDOUT, shows_junk=options.verbose, says=not right.ours
        ).drive()
        return _passed_on(seen, down, step, run, answer, log=log, interrupts=interrupts, silent=silent)


def _wishes(options: RunOptions) -> dict[str, Any]:
    """What the tap's side wants to be handed: the target's side has the bookmark."""
    return {"full_refresh": options.full_refresh, "streams": list(options.streams), "wait": str(options.wait)}


def _unanswered(side: Side, right: str) -> Answer:
    """Beside a foreign program no bookmark is kept, but one that the user set by hand is honoured."""
    job = side.options.job or _safe(job_name((side.name, right or "stdout")))
    found = None if side.options.full_refresh else by_hand(location.of(side.project), job)
    return Answer(job, None, found.text if found else None, alone=right)


def _passed_on(
    seen: Seen,
    down: Downstream,
    step: Step,
    run: str,
    answer: Answer,
    *,
    log: PluginLog,
    interrupts: Interrupts,
    silent: bool,
) -> int:
    """How a side that writes to the pipe ends."""
    summary = conclusion.summarise(seen, run=run, job=None, hold=None)
    down.counts = {"records": summary.records, "junk": summary.junk, "rejected": summary.rejected}
    if seen.end.reason == "pipe.closed":
        if not down.neighbour.ours:
            return CLOSED_PIPE
        down.gone()
    problem = conclusion.problem(seen, summary, [step], log, interrupts)
    if problem is not None:
        if down.neighbour.ours and problem.code == "run.cancelled":
            raise ToldElsewhere(problem.exit_code, told=False)  # Ctrl-C reached both sides: the other says it
        raise problem
    if down.neighbour.ours and not down.neighbour_lives():
        down.gone("before it had read everything")
    if not down.neighbour.ours:
        summary.notes += told([step])
    if answer.alone:
        summary.notes.append(f"{answer.alone} is not run by dativo: no bookmark is kept")
    if not down.neighbour.ours and not silent and (answer.alone or summary.junk):
        show(summary)
    return 0


# -- the target's side


def target(side: Side) -> Summary:
    """`… | dativo target-y`: holds the job, keeps its bookmark. Returns the summary, or raises what went wrong."""
    try:
        return _target(side)
    except ToldElsewhere as elsewhere:
        if not side.options.json:
            raise
        # What the other side said was for people: who reads our stdout gets an object.
        raise errors.RunError(
            "pipe.upstream_died",
            "the tap's side failed, and says why on stderr",
            context={"exit": elsewhere.exit_code, **elsewhere.context},
        ) from None


def _target(side: Side) -> Summary:
    if sys.stdin.isatty():
        raise errors.ConfigError(
            "usage",
            f"{side.name} reads Singer messages from a pipe or a file, and stdin is a terminal",
            hint=f"dativo tap-… | dativo {side.name}, or dativo run tap-… {side.name}",
        )
    options = side.options
    with Interrupts() as interrupts, Upstream(STDIN, side.name) as up:
        if side.asks:
            up.ask()
        [step], relieved = relief.of([side.step()], options.policy({}, batch=True).validate)
        left = up.meet()
        up.await_ready()
        job = named(side, up)
        attempt.tidy()
        inherited = inherit.take_over(side.project, job) if left.ours else None
        log = PluginLog(shown=options.verbose)
        wishes = up.neighbour.advert
        seconds = max(options.wait, float(wishes.get("wait") or 0))
        waiting = Waiting(seconds, options.quiet, meanwhile=up.still_there)
        tap = wishes.get("tap")
        with (
            Hold.take(location.of(side.project), job, waiting, tap=tap if isinstance(tap, str) else None) as hold,
            disclosed([step]) as (step,),
        ):
            notes = [note for note in (inherited, adopt(hold, step, interrupts, log)) if note]
            hold.only(Part(tuple(wishes.get("streams") or ()), tuple(wishes.get("filter") or ())))
            refresh = options.full_refresh or bool(wishes.get("full_refresh"))
            hold.belongs(given=wishes.get("stateful") is False, full_refresh=refresh)
            state = hold.handed(full_refresh=refresh)
            notes += [] if refresh else hold.remarks()
            up.answer(job, hold.run, state)
            up.await_go(hold.beat)
            source = Source(up.chain[-1], await_verdict=left.ours)
            step.ready()
            notes += side.begin_tape(step, hold.run)
            child = step.child(
                job=job,
                run=hold.run,
                catalog=side.streams(up),
                state=state,
                begun=wishes.get("stateful") is False,  # it has a state of its own, which is not known here
                loads=hold.loads_of(step),
            )
            plan = side.plan(step, child, run=hold.run, job=job, source=source)
            shown = progress(quiet=options.quiet or options.json)
            told = _Verdict(up)
            seen = Attempt(
                plan,
                interrupts,
                log,
                shown,
                keeper=hold,
                stdin=STDIN,
                upstream_verdict=told,
                shows_junk=options.verbose,
            ).drive()
            end = up.their_end() or {}
            summary = conclusion.summarise(seen, run=hold.run, job=job, hold=hold, junk=end.get("junk"))
            _remark(summary, up, notes)
            summary.relieved = relieved
            _count(seen, summary, end)
            problem = conclusion.problem(seen, summary, [step], log, interrupts) or _unseen(up, seen, summary)
            reason = problem.code if problem else None
            hold.finish(summary.verdict, reason, summary.as_dict(), problem.message if problem else None)
        if problem is not None:
            if told.died and seen.end.child != step.name and problem.code != "run.cancelled":
                _left_failed(up, summary, quiet=options.quiet or options.json)
            raise problem
        return summary


class _Verdict:
    """Asks the left side how it ended, and remembers the answer."""

    def __init__(self, up: Upstream) -> None:
        self._up = up
        self.died = False

    def __call__(self) -> dict[str, Any] | None:
        verdict = self._up.verdict()
        self.died = verdict is not None and verdict["source"] == "died"
        return verdict


def _left_failed(up: Upstream, summary: Summary, *, quiet: bool) -> None:
    """The left side failed: its own message is on the screen already, or this is the place to say that it died."""
    try:
        up.failed()
    except ToldElsewhere as elsewhere:
        elsewhere.context = conclusion.context(summary)
        if not quiet:
            show(summary)
        raise
    except errors.RunError as problem:
        problem.details = (conclusion.standing(summary),)
        problem.context.update(conclusion.context(summary))
        raise


def named(side: Side, up: Upstream) -> str:
    """The job's name: said on either side, else the project's own word for it, else made of the plugins' names."""
    given, said = side.options.job, up.neighbour.advert.get("job") if up.neighbour.ours else None
    if given and said and given != said:
        raise errors.ConfigError(
            "usage", f"the two sides name different jobs: {said} and {given}", hint="give --job once, or set DATIVO_JOB"
        )
    words = (*up.chain, side.name)
    known = side.project.pipe_job(words) if up.neighbour.ours else None
    return given or said or known or _safe(job_name(words))


def _safe(name: str) -> str:
    """A job's name from programs' names, which may hold anything (I12)."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "job"


def _remark(summary: Summary, up: Upstream, notes: Sequence[str]) -> None:
    summary.notes[:0] = notes
    summary.stateless = up.chain[0] == LETTERS
    if up.neighbour.kind == "foreign" or (up.neighbour.kind == "none" and up.is_pipe):
        who = up.neighbour.name or "the program on the left"
        summary.notes.append(f"{who} is not run by dativo: whether it ended or died cannot be known")
        if not up.neighbour.name and summary.job:
            summary.notes.append("it had ended before its name could be seen; --job gives the job a name that stays")


def _unseen(up: Upstream, seen: Seen, summary: Summary) -> errors.DativoError | None:
    """I11: when no message came, and whoever was to send one was gone unseen, nothing says that all is well."""
    came = seen.streams or summary.records or summary.states or any(summary.rejected.values())
    if came or up.neighbour.kind != "none" or not up.is_pipe:
        return None
    summary.verdict, summary.reason = "interrupted", "pipe.upstream_died"
    return errors.RunError(
        "pipe.upstream_died",
        "no message came, and the program on the left had ended before it could be seen: it may have been killed",
        hint="run the line again; if nothing is what you meant, give the target an empty file as its stdin",
    )


def _count(seen: Seen, summary: Summary, end: Mapping[str, Any]) -> None:
    """I11: what the left side says it sent is what arrived, delivered or not."""
    arrived = summary.records + sum(summary.rejected.values())
    for name, number in (end.get("rejected") or {}).items():
        summary.rejected[name] = summary.rejected.get(name, 0) + number
    sent = end.get("records")
    if seen.end.verdict == "done" and isinstance(sent, int) and sent != arrived:
        raise errors.RunError("delivery.interrupted", f"the tap's side sent {sent:,} records and {arrived:,} arrived")


def show(summary: Summary) -> None:
    """The summary for people, on stderr."""
    for line in summary.lines():
        print(f"  {line}", file=sys.stderr)


# -- in the middle


def mapper(side: Side) -> int:
    """`… | dativo map-x | …`: relays the agreement in both directions. Returns the exit code."""
    options = side.options
    with (
        Interrupts() as interrupts,
        Upstream(STDIN, side.name) as up,
        Downstream(STDOUT, side.name, job=options.job) as down,
        ExitStack() as stack,
    ):
        step = side.step()
        left = up.meet()
        up.await_ready()
        wishes = {key: up.neighbour.advert.get(key) for key in ("full_refresh", "streams", "filter", "tap", "stateful")}
        job = options.job or up.neighbour.advert.get("job")
        down.publish(chain=[*up.chain, side.name], job=job, **wishes)
        right = down.meet()
        if right.ours and down.asked():
            up.ask()
        answer = down.agree() if right.ours else Answer(job, None, None, alone=right.name or "stdout")
        up.answer(answer.job, answer.run, answer.state, answer.alone)
        up.await_go(lambda: None)
        [step] = stack.enter_context(disclosed([step]))
        down.go(up.catalog)
        log = PluginLog(shown=options.verbose)
        run = answer.run or rundirs.fresh_id("m")
        name = answer.job or "default"
        step.ready()
        side.begin_tape(step, run)
        plan = side.plan(
            step,
            step.child(job=name, run=run),
            run=run,
            job=name,
            source=Source(up.chain[-1], await_verdict=left.ours),
            sink=Sink(right.name or "stdout", quiet=right.ours),
        )
        told = _Verdict(up)
        seen = Attempt(
            plan,
            interrupts,
            log,
            Progress(),
            stdin=STDIN,
            stdout=STDOUT,
            upstream_verdict=told,
            shows_junk=options.verbose,
            says=not right.ours,
        ).drive()
        if told.died and seen.end.child != step.name and seen.end.reason not in ("run.cancelled", "pipe.closed"):
            up.failed()
        silent = options.quiet or right.ours
        return _passed_on(seen, down, step, run, answer, log=log, interrupts=interrupts, silent=silent)
