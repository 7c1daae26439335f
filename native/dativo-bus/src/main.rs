//! dativo-bus: the data plane's executable. A plan in, one poll loop, events out.
//!
//! Where it stands: `dativo/bus` (Python) starts it; it stands on `native/bus` (the rules) and `native/sandbox`
//! (processes). [`options`] and [`run_dir`] are the way in, [`launch`] starts the children, [`supervisor`] is the loop
//! over [`hop`]s and [`child`]ren, [`shutdown`] ends them in order, [`clock`] when their time is up, [`report`] gives the verdict.
//!
//! Invariants it guards: I6 (children get what the plan grants), I8 (nothing outlives the run), I10 (bounded memory),
//! I11 (the verdict), I13 (contents of files reach nobody else).
#![forbid(unsafe_code)]

mod child;
mod clock;
mod hop;
mod launch;
mod leash;
mod options;
mod report;
mod run_dir;
mod shutdown;
mod supervisor;

use dativo_bus_engine::plan::Plan;
use dativo_sandbox::Inherited;
use options::{Action, Options};
use std::io::Read;
use std::process::ExitCode;

/// A plan is a few kilobytes and the files of its children; nobody has a use for more than this.
const LARGEST_PLAN: u64 = 256 << 20;
const BAD_PLAN: u8 = 2;
const BAD_ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    let outcome = match options::parse(std::env::args_os().skip(1)) {
        Ok(Action::Launch(policy)) => dativo_sandbox::launcher::main(policy),
        Ok(Action::Run(options)) => Inherited::at_start()
            .map_err(|e| complain(&format!("cannot list open descriptors: {e}"), BAD_ENVIRONMENT))
            .and_then(|inherited| run(&options, inherited)),
        Ok(Action::Probe) => {
            let found = serde_json::to_string(&dativo_sandbox::launcher::probe::probe());
            found
                .map(|text| print(&format!("{text}\n")))
                .map_err(|e| complain(&e.to_string(), BAD_ENVIRONMENT))
        }
        Ok(Action::Print(text)) => Ok(print(&text)),
        Err(message) => Err(complain(&message, BAD_PLAN)),
    };
    match outcome {
        Ok(code) | Err(code) => code,
    }
}

fn run(options: &Options, mut inherited: Inherited) -> Result<ExitCode, ExitCode> {
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
    let ends = supervisor::Ends::take(&plan, options, &mut inherited).map_err(|e| complain(&e, BAD_PLAN))?;
    let outcome = supervisor::run(plan, ends).map_err(|e| complain(&format!("cannot go on: {e}"), BAD_ENVIRONMENT))?;
    Ok(ExitCode::from(outcome))
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
