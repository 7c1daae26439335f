"""`dativo run`: tap, mappers and target in one supervisor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.bus.plan import Plan, Policy, Spill
from dativo.config.project import Project
from dativo.config.specs import JobSpec, bare, job_name
from dativo.dataclass import dataclass
from dativo.engines.airbyte_generations import Loads
from dativo.observe.log import PluginLog
from dativo.observe.summary import Summary
from dativo.plugins.installed import installed
from dativo.run import (
    adapting,
    attempt,
    breaker,
    catalog,
    checker,
    encoding,
    engine,
    inherit,
    letterbox,
    parallel,
    probe,
    relief,
    rundirs,
    tape,
)
from dativo.run.attempts import Attempts, Work
from dativo.run.cut import Tightening
from dativo.run.disclosure import disclosed
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.options import RunOptions
from dativo.run.places import SPILL
from dativo.run.retry import BUDGET_WINDOW, Retrying, RetryPolicy
from dativo.run.settings import Given, words
from dativo.run.step import Step, prepare, resolver_of, role_of
from dativo.run.verify.after import checking
from dativo.run.waiting import Waiting
from dativo.state import location
from dativo.state.bookmark import exact_text

FLAG = "--set {}.{{}}=…"


@dataclass
class Job:
    """What is to run: resolved names, the job's own words, and what the command line adds."""

    project: Project
    spec: JobSpec
    options: RunOptions
    sets: Sequence[str] = ()
    """`PLUGIN.KEY=VALUE`"""
    files: Sequence[str] = ()
    """`PLUGIN=FILE`"""
    until: Callable[[str], bool] | None = None
    """Asked about each confirmed bookmark: whether the run has come as far as it was to come."""
    tap: Step | None = None
    """A tap that is part of Dativo, before the steps: a tape or dead letters that are replayed."""
    adopts: bool = True
    """Whether the bookmark that the target keeps with its data counts; letters are no part of the job's stream."""

    @property
    def name(self) -> str:
        """The name that the bookmark is kept under."""
        return self.options.job or self.spec.name


def all_of_words(
    named: Sequence[str], env: str | None, engines: Sequence[str] = (), say: engine.Say = lambda _: None
) -> tuple[Project, list[JobSpec]]:
    """The jobs that `dativo run WORDS` means: a job file, a job, or plugins in a row. Several in a Meltano project.

    Their steps are the plugins that their engines mean (`engines`: the words of --engine); a row is named after those.
    """
    first = named[0]
    if len(named) == 1 and (first.endswith((".yml", ".yaml")) or Path(first).is_file()):
        project, spec = Project.from_job_file(Path(first), env)
        return project, [engine.applied(project, spec, engines, say)]
    project = Project.find(env=env)
    names = [bare(name) for name in named] if len(named) > 1 else named
    return project, [_engined(project, spec, engines, say) for spec in project.run_specs(names)]


def _engined(project: Project, spec: JobSpec, engines: Sequence[str], say: engine.Say) -> JobSpec:
    became = engine.applied(project, spec, engines, say)
    is_row = spec.name == job_name(spec.steps)
    return replace(became, name=job_name(became.steps)) if is_row else became


def of_words(named: Sequence[str], env: str | None) -> tuple[Project, JobSpec]:
    """The one job that words mean."""
    project, specs = all_of_words(named, env)
    if len(specs) > 1:
        steps = " · ".join(" ".join(one.steps) for one in specs)
        raise errors.ConfigError("job.invalid", f"{' '.join(named)} is several pipelines: {steps}", hint="name one")
    return project, specs[0]


def prepared(job: Job) -> list[Step]:
    """Every plugin of the job, configured and checked, in a pipeline's order."""
    given = given_of(job.spec.steps, job.sets, job.files)
    resolver = resolver_of(job.project, job=job.spec.tenant, said=job.options.tenant)
    own = [job.tap] if job.tap is not None else []
    plugins = [installed(job.project, name) for name in job.spec.steps]
    names = [*(step.name for step in own), *job.spec.steps]
    roles = [*(step.role for step in own), *(role_of(plugin) for plugin in plugins)]
    if len(roles) < 2 or roles != ["tap", *["mapper"] * (len(roles) - 2), "target"]:
        shown = " > ".join(f"{name} ({role})" for name, role in zip(names, roles, strict=True))
        raise errors.ConfigError("job.invalid", f"{job.name} cannot be run: {shown}")
    if len(set(names)) < len(roles):
        raise errors.ConfigError("job.invalid", f"{job.name} names a mapper twice", hint="add it --as another name")
    made = [
        prepare(
            job.project,
            plugin,
            given.get(plugin.name, Given()),
            overrides=job.spec.plugins.get(plugin.name),
            pass_env=job.options.pass_env,
            flag=FLAG.format(plugin.name),
            resolver=resolver,
            jobs=tightening(job.spec, plugin.name),
            profile=job.options.sandbox,
        )
        for plugin in plugins
    ]
    if made[-1].speaks_airbyte:
        made[-1] = replace(made[-1], stream_name=adapting.template_of(job.options, job.spec))
    return own + made


def tightening(spec: JobSpec, plugin: str) -> tuple[Tightening, ...]:
    """What a job takes away from one of its plugins: as a job, and by the plugin's name."""
    own = spec.plugins.get(plugin) or {}
    where = f"jobs.{spec.name}"
    return (
        Tightening(where, spec.sandbox, spec.limits),
        Tightening(f"{where}.plugins.{plugin}", own.get("sandbox") or {}, own.get("limits") or {}),
    )


def run(job: Job) -> Summary:
    """Run the job, in as many attempts as its policy allows. Returns what it did, or raises why it did not."""
    options = job.options
    policy = RetryPolicy.of(job.spec.retry, options.retries)
    with Interrupts() as interrupts:
        steps, relieved = relief.of(prepared(job), policy_of(job).validate)
        plugins = [step.name for step in steps]
        chosen = catalog.chosen(steps[0], options)
        given_state = read_state(options.state or job.spec.state)
        attempt.tidy()
        inherited = inherit.take_over(job.project, job.name)
        waiting = Waiting(options.wait, quiet=options.quiet)
        origin = steps[0].plugin.origin if job.tap is None else None
        with Hold.take(location.of(job.project), job.name, waiting, tap=origin) as hold:
            hold.until, hold.enough, hold.replays = job.until, interrupts.drain, not job.adopts
            refresh = options.full_refresh or job.spec.full_refresh
            hold.only(catalog.part(steps[0], options))
            hold.belongs(given=given_state is not None, full_refresh=refresh)
            breaker.admit(hold, plugins, policy.breaker, force=options.force)
            remarks = [] if given_state is not None or refresh else hold.remarks()
            taped = tape.begin(job.project, options, hold.run)
            with disclosed(steps) as steps:
                summary, problem = Attempts(
                    work(job, hold, steps, interrupts, chosen=chosen, given=given_state),
                    job=job.name,
                    hold=hold,
                    steps=steps,
                    interrupts=interrupts,
                    options=options,
                    retrying=Retrying(policy, spent=lambda: hold.retries(BUDGET_WINDOW)),
                    isolates=options.continue_on_error or job.spec.continue_on_error,
                ).run()
                summary.notes += [*taped, *([inherited] if inherited else []), *remarks]
                summary.relieved = relieved
                summary.stateless = not job.adopts
                code, message = (problem.code, problem.message) if problem else (None, None)
                hold.finish(summary.verdict, code, summary.as_dict(), message)
                breaker.settle(hold, plugins, problem)
        if problem is not None:
            problem.details += tuple(taped)
            raise problem
        return summary


def work(
    job: Job,
    hold: Hold,
    steps: Sequence[Step],
    interrupts: Interrupts,
    *,
    chosen: dict[str, Any] | None,
    given: str | None,
) -> Work:
    """What each attempt of the job is made of. `chosen` is the --catalog file, `given` the --state file."""
    options = job.options
    refresh = options.full_refresh or job.spec.full_refresh

    def state() -> str | None:
        if hold.committed:  # it goes on where this run has come to
            return hold.handed(full_refresh=False)
        return given or hold.handed(full_refresh=refresh)

    return Work(
        adopt=lambda log: adopt(hold, steps[-1], interrupts, log) if job.adopts else None,
        catalog=lambda log: catalog.prepare(steps[0], options, chosen, interrupts, log, beat=hold.beat),
        state=state,
        plan=lambda text, state: plan_of(
            job,
            steps,
            run=hold.run,
            catalog_text=text,
            state=state,
            known=hold.schemas,
            begun=hold.begun,
            loads=hold.loads_of(steps[-1]),
        ),
        checking=lambda: checking(options.verify or job.spec.verify, hold, steps[-1], job.project.state_path),
        taps=parallel.one
        if job.tap is not None  # what is played is one stream of messages
        else parallel.taps(job.spec, options, steps, job.project.state_path, interrupts),
    )


def plan_of(
    job: Job,
    steps: Sequence[Step],
    *,
    run: str,
    catalog_text: str | None,
    state: str | None,
    known: Callable[[], dict[str, dict[str, Any]]] = dict,
    begun: bool = False,
    loads: Loads | None = None,
) -> Plan:
    """The plan for one attempt. `known` tells the SCHEMAs of earlier runs, and is asked where the policy needs them;
    `begun`: this run has made a bookmark; `loads` counts what an Airbyte destination loads."""
    options, spec = job.options, job.spec
    tap, *others = steps
    policy = policy_of(job, others)
    spool = encoding.chosen(spec, options, steps, quarantines=policy.on_bad_record != "fail")
    children = [encoding.dressed(tap.child(job=job.name, run=run, catalog=catalog_text, state=state), tap, spool)]
    adapt = adapting.wanted(options, spec.adapt)
    template = adapting.template_of(options, spec)
    for step in others:
        child = step.child(job=job.name, run=run, catalog=catalog_text, state=state, begun=begun, loads=loads)
        child = {**child, "adapt": adapting.block(step, adapt, template)}
        children.append(encoding.dressed(child, step, spool))
    return Plan(
        run=run,
        job=job.name,
        run_dir=rundirs.run_dir(run),
        children=children,
        limits=options.limits({**lines(steps), **spec.limits}),
        policy=policy,
        grace=options.graces(spec.grace),
        spill=spilling(job, policy),
        spool=spool,
        dead_letters=letterbox.file(job.project.state_path, job.name, run, policy),
        known_schemas=known() if policy.remembers else {},
        tape=tape.place(job.project, options, run),
        checker=checker.block(policy, job=job.name, run=run, profile=options.sandbox),
    )


def policy_of(job: Job, receivers: Sequence[Step] = ()) -> Policy:
    """The job's policy. BATCH passes only where all `receivers` can load it."""
    return job.options.policy(
        job.spec.policy,
        batch=all(step.can("batch") for step in receivers),
        bad=job.spec.on_bad_record,
        changes=job.spec.schema_change,
    )


def spilling(job: Job, policy: Policy) -> Spill | None:
    """What is kept for a target that dies; nothing where nothing is tried again and no record is set aside."""
    if RetryPolicy.of(job.spec.retry, job.options.retries).attempts < 2 and policy.on_bad_record == "fail":
        return None
    return Spill(**job.spec.spill, dir=str(job.project.state_path.parent / SPILL))


def lines(steps: Sequence[Step]) -> dict[str, int]:
    """The longest message that any plugin's own limits speak of, for the data plane."""
    found = [step.grants.bounds.values["line"] for step in steps if step.grants.bounds.values.get("line")]
    return {"line": max(found)} if found else {}


def planned(job: Job) -> dict[str, Any]:
    """The plan of a dry run: nothing is started, discovered or locked, and no value is shown (I13)."""
    steps, _ = relief.of(prepared(job), policy_of(job).validate)
    text = "{}" if steps[0].can("discover") or steps[-1].speaks_airbyte else None
    return plan_of(job, steps, run="dry-run", catalog_text=text, state=None).shown()


def adopt(hold: Hold, target: Step, interrupts: Interrupts, log: PluginLog) -> str | None:
    """Compare our bookmark with the one a target keeps with its data; returns what to tell the user."""
    if not target.can("bookmark"):
        return None
    kept = probe.bookmark(
        target.plugin,
        target.config,
        hold.job,
        interrupts=interrupts,
        log=log,
        beat=hold.beat,
        **target.surroundings(),
    )
    return hold.adopt(exact_text(kept) if kept is not None else None, target.name)


def read_state(path: Path | None) -> str | None:
    """The exact text of a --state file. An empty object is no state."""
    if path is None:
        return None
    try:
        text = exact_text(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise errors.ConfigError("state.invalid", f"{path}: {problem.strerror}", hint="check --state") from problem
    except UnicodeDecodeError:
        raise errors.ConfigError("state.invalid", f"{path} is not UTF-8") from None
    return None if text == "{}" else text


def given_of(steps: Sequence[str], sets: Sequence[str], files: Sequence[str]) -> dict[str, Given]:
    """`--set PLUGIN.KEY=VALUE` and `--config PLUGIN=FILE`, by plugin. Plugins' names may hold dots themselves."""
    found: dict[str, Given] = {}
    for word in sets:
        name = _step(steps, word, ".", "--set PLUGIN.KEY=VALUE")
        found.setdefault(name, Given()).sets += words([word.removeprefix(f"{name}.")], "--set")
    for word in files:
        name = _step(steps, word, "=", "--config PLUGIN=FILE")
        found.setdefault(name, Given()).files.append(word.removeprefix(f"{name}="))
    return found


def _step(steps: Sequence[str], word: str, separator: str, form: str) -> str:
    for name in sorted(steps, key=len, reverse=True):
        if word.startswith(f"{name}{separator}"):
            return name
    raise errors.ConfigError(
        "usage", f"{word.partition('=')[0]}: {form} is expected", hint=f"the job's plugins: {', '.join(steps)}"
    )
