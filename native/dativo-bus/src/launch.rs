//! From a child of the plan to a running process: files, placeholders, pipes.

use crate::run_dir::RunDir;
use dativo_bus_engine::plan::{self, FileMode, Plan, Role};
use dativo_bus_engine::verdict::Failure;
use dativo_sandbox::spawn::{spawn, Spec};
use dativo_sandbox::{memfd, pipes, Limit, Pid};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

const LOG_PIPE: usize = 64 << 10;

/// A child that runs.
#[derive(Debug)]
pub struct Launched {
    /// Its pid, which is also its process group and session.
    pub pid: Pid,
    /// Where it reads from, unless it gets no input.
    pub stdin: Option<OwnedFd>,
    /// What it writes.
    pub stdout: OwnedFd,
    /// What it logs.
    pub stderr: OwnedFd,
}

/// Starts the plan's child number `index`.
pub fn launch(plan: &Plan, index: usize, run_dir: &RunDir) -> Result<Launched, Failure> {
    let child = &plan.children[index];
    let refused = |message: String| Failure::of("plugin.start_failed", &child.name, message);
    let broken = |e: io::Error| refused(format!("{}: cannot prepare its pipes and files: {e}", child.name));

    let mut keep: Vec<OwnedFd> = Vec::new();
    let table = placeholders(child, index, run_dir, &mut keep)?;
    let fill = |text: &str| OsString::from(expand(text, &table));
    let argv: Vec<OsString> = child.argv.iter().map(|a| fill(a)).collect();
    let env: Vec<(OsString, OsString)> = child.env.iter().map(|(k, v)| (OsString::from(k), fill(v))).collect();
    let cwd = child.cwd.as_deref().map(fill);
    let mut limits = Vec::new();
    for (name, value) in &child.rlimits {
        let limit = Limit::by_name(name).ok_or_else(|| refused(format!("{}: no such limit: {name}", child.name)))?;
        limits.extend(value.map(|value| (limit, value)));
    }

    let (stdin, feed) = pipes::pipe(plan.limits.pipe).map_err(broken)?;
    let (stdout, output) = pipes::pipe(plan.limits.pipe).map_err(broken)?;
    let (stderr, log) = pipes::pipe(LOG_PIPE).map_err(broken)?;
    let keep: Vec<_> = keep.iter().map(AsFd::as_fd).collect();
    let spec = Spec {
        argv: &argv,
        env: &env,
        cwd: cwd.as_deref().map(Path::new),
        stdio: [stdin.as_fd(), output.as_fd(), log.as_fd()],
        keep: &keep,
        limits: &limits,
    };
    let pid = spawn(&spec).map_err(|e| refused(format!("{}: {e}", child.name)))?;
    // A tap's stdin, and a probe's, is a pipe at its end.
    let reads = matches!(child.role, Role::Mapper | Role::Target);
    Ok(Launched {
        pid,
        stdin: reads.then_some(feed),
        stdout,
        stderr,
    })
}

/// The files and directories that the child's texts name, made now, and what stands for each.
fn placeholders(
    child: &plan::Child,
    index: usize,
    run_dir: &RunDir,
    keep: &mut Vec<OwnedFd>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut table = BTreeMap::from([("{run_dir}".to_string(), run_dir.path().to_string_lossy().into_owned())]);
    for (name, file) in &child.files {
        let path = match file.mode {
            FileMode::File => run_dir
                .file(&format!("{index}-{name}.json"), &file.content)?
                .to_string_lossy()
                .into_owned(),
            FileMode::Memfd => {
                let sealed = memfd::sealed(&format!("dativo-{name}"), file.content.as_bytes());
                let fd = sealed.and_then(pipes::above_stdio).map_err(|e| {
                    Failure::of(
                        "plugin.start_failed",
                        &child.name,
                        format!("{}: its file {name}: {e}", child.name),
                    )
                })?;
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                keep.push(fd);
                path
            }
        };
        table.insert(format!("{{file:{name}}}"), path);
    }
    for what in ["home", "tmp"] {
        let mark = format!("{{{what}}}");
        let named = child
            .argv
            .iter()
            .chain(child.env.values())
            .chain(&child.cwd)
            .any(|t| t.contains(&mark));
        if named {
            let path = run_dir.directory(&format!("{index}-{what}"))?;
            table.insert(mark, path.to_string_lossy().into_owned());
        }
    }
    Ok(table)
}

/// Replaces each placeholder once, from left to right; what it is replaced with is not looked at again.
fn expand(text: &str, table: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match table.iter().find(|(mark, _)| rest.starts_with(mark.as_str())) {
            Some((mark, value)) => {
                out.push_str(value);
                rest = &rest[mark.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once() {
        let table = BTreeMap::from([
            ("{home}".to_string(), "{tmp}".to_string()),
            ("{tmp}".to_string(), "/t".to_string()),
            ("{file:c}".to_string(), "/proc/self/fd/7".to_string()),
        ]);
        assert_eq!(expand("--config={file:c}", &table), "--config=/proc/self/fd/7");
        assert_eq!(expand("{home}/{tmp}", &table), "{tmp}//t");
        assert_eq!(expand(r#"{"a":{"b":"{x}"}}{"#, &table), r#"{"a":{"b":"{x}"}}{"#);
    }
}
