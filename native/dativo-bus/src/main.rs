//! dativo-bus: the data plane's executable. A plan in, one poll loop, events out.
//!
//! Where it stands: `dativo/bus` (Python) starts it; it stands on `native/bus` (the rules) and `native/sandbox`
//! (processes). [`options`] and [`run_dir`] are the way in, [`launch`] starts the children, [`edge`] is the last one's
//! outlet, [`supervisor`] is the loop over [`hop`]s and [`child`]ren ([`readiness`] is what it waits for), [`letters`] keeps what is not delivered, [`shutdown`]
//! ends them in order, [`clock`] when their time is up, [`watch`] when they are over a limit, [`restart`] has one started
//! again (with what [`shelf`] keeps) and [`search`] without what it cannot load, [`report`] gives the verdict. [`recorder`] writes a run's tape; [`play`] (with
//! [`play_letters`] and [`tape_info`]) reads one again, as a child of another run. [`gather`] makes one stream of several taps'.
//! [`tree`] looks at the files of an installed plugin before it is started.
//!
//! Invariants it guards: I6 (children get what the plan grants), I8 (nothing outlives the run), I10 (bounded memory),
//! I11 (the verdict), I13 (contents of files reach nobody else).
#![forbid(unsafe_code)]

mod airbyte;
mod checker;
mod child;
mod clock;
mod edge;
mod ends;
mod gather;
mod give_back;
mod groups;
mod handover;
mod hop;
mod launch;
mod leash;
mod letters;
mod lull;
mod options;
mod play;
mod play_letters;
mod readiness;
mod recorder;
mod report;
mod restart;
mod run_dir;
mod scratch;
mod search;
mod shelf;
mod shutdown;
mod spool;
mod supervisor;
mod tape_info;
mod tree;
mod watch;

use dativo_bus_engine::plan::Plan;
use dativo_sandbox::{launcher, Inherited, Zygote};
use options::{Action, Options};
use std::io::Read;
use std::process::ExitCode;

/// A plan is a few kilobytes and the files of its children; nobody has a use for more than this.
const LARGEST_PLAN: u64 = 256 << 20;
const INTERRUPTED: u8 = 1;
const BAD_PLAN: u8 = 2;
const BAD_ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    let outcome = match options::parse(std::env::args_os().skip(1)) {
        // The zygote comes first: it must know nothing of the plan, and keep none of the descriptors (I13).
        Ok(Action::Run(options)) => Inherited::at_start()
            .and_then(|inherited| Ok((inherited, Zygote::start()?)))
            .map_err(|e| complain(&format!("cannot begin: {e}"), BAD_ENVIRONMENT))
            .and_then(|(inherited, zygote)| run(&options, inherited, zygote)),
        Ok(Action::Probe) => probe(),
        Ok(Action::Play(wanted)) => played(play::play(&wanted)),
        Ok(Action::Gather(wanted)) => gathered(&wanted),
        Ok(Action::TapeInfo(path)) => played(tape_info::print(&path)),
        Ok(Action::Tree(wanted)) => looked(&wanted),
        Ok(Action::Print(text)) => Ok(print(&text)),
        Err(message) => Err(complain(&message, BAD_PLAN)),
    };
    match outcome {
        Ok(code) | Err(code) => code,
    }
}

fn run(options: &Options, mut inherited: Inherited, zygote: Zygote) -> Result<ExitCode, ExitCode> {
    let document = inherited
        .take(options.plan_fd)
        .and_then(|fd| {
            let mut document = Vec::new();
            std::fs::File::from(fd).take(LARGEST_PLAN).read_to_end(&mut document)?;
            Ok(document)
        })
        .map_err(|e| {
            complain(
                &format!("cannot read the plan from descriptor {}: {e}", options.plan_fd),
                BAD_PLAN,
            )
        })?;
    let plan = Plan::parse(&document).map_err(|e| complain(&format!("bad plan: {e}"), BAD_PLAN))?;
    drop(document);
    let ends = ends::Ends::take(&plan, options, &mut inherited).map_err(|e| complain(&e, BAD_PLAN))?;
    let outcome =
        supervisor::run(plan, ends, zygote).map_err(|e| complain(&format!("cannot go on: {e}"), BAD_ENVIRONMENT))?;
    Ok(ExitCode::from(outcome))
}

fn probe() -> Result<ExitCode, ExitCode> {
    let found = launcher::probe::probe().and_then(|found| Ok(serde_json::to_string(&found)?));
    found
        .map(|text| print(&format!("{text}\n")))
        .map_err(|e| complain(&format!("cannot probe: {e}"), BAD_ENVIRONMENT))
}

fn gathered(wanted: &gather::Gather) -> Result<ExitCode, ExitCode> {
    let outcome = Inherited::at_start().and_then(|mut inherited| gather::run(wanted, &mut inherited));
    outcome.map(|()| ExitCode::SUCCESS).map_err(|e| {
        if e.kind() != std::io::ErrorKind::BrokenPipe {
            eprintln!("dativo-bus: --gather cannot go on: {e}");
        }
        ExitCode::from(INTERRUPTED)
    })
}

fn played(outcome: std::io::Result<()>) -> Result<ExitCode, ExitCode> {
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(ExitCode::from(INTERRUPTED)),
        Err(e) => {
            eprintln!("error[tape.invalid]  {e}");
            Err(ExitCode::from(BAD_PLAN))
        }
    }
}

fn looked(wanted: &tree::Tree) -> Result<ExitCode, ExitCode> {
    let outcome = tree::answer(wanted).map(|()| ExitCode::SUCCESS);
    outcome.map_err(|e| {
        eprint!("{e}");
        ExitCode::from(INTERRUPTED)
    })
}

fn print(text: &str) -> ExitCode {
    use std::io::Write;
    // A closed stdout is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(message: &str, code: u8) -> ExitCode {
    eprintln!("dativo-bus: {message}");
    ExitCode::from(code)
}
