//! From a child of the plan to a running process: files, placeholders, pipes, confinement.

use crate::groups;
use crate::run_dir::RunDir;
use dativo_bus_engine::confine::{self, IoClass};
use dativo_bus_engine::plan::{self, FileMode, Plan, Role};
use dativo_bus_engine::verdict::Failure;
use dativo_sandbox::cgroup::Group;
use dativo_sandbox::policy::{Confinement, Layout, Network, Profile};
use dativo_sandbox::spawn::{begin, SpawnError, Spawned, Spec, Starting};
use dativo_sandbox::{memfd, pipes, Limit, Zygote};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

const LOG_PIPE: usize = 64 << 10;

/// A child that runs.
#[derive(Debug)]
pub struct Launched {
    /// The process, and what is promised of it.
    pub process: Spawned,
    /// Where it reads from, unless it gets no input.
    pub stdin: Option<OwnedFd>,
    /// What it writes.
    pub stdout: OwnedFd,
    /// What it logs.
    pub stderr: OwnedFd,
    /// The control group that it is in with all its processes, where there is one.
    pub group: Option<Group>,
}

/// A child whose launcher is at work.
#[derive(Debug)]
pub struct Launching {
    name: String,
    starting: Starting,
    bounded: groups::Bounded,
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Launching {
    /// Waits until its program runs, or until it is known why it does not.
    pub fn confirmed(self) -> Result<Launched, Failure> {
        let bounded = self.bounded;
        let mut process = self.starting.confirmed().map_err(|e| refusal(&self.name, &e))?;
        process
            .guarantees
            .extend(bounded.guarantees.iter().map(|g| (*g).to_string()));
        process.missing.extend(bounded.missing);
        Ok(Launched {
            process,
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
            group: bounded.group,
        })
    }
}

fn refusal(name: &str, error: &SpawnError) -> Failure {
    let reason = if error.sandbox {
        "sandbox.unavailable"
    } else {
        "plugin.start_failed"
    };
    Failure::of(reason, name, format!("{name}: {error}"))
}

/// Starts the plan's child number `index`, with a scratch directory of that name.
pub fn launch(
    zygote: &Zygote,
    plan: &Plan,
    index: usize,
    run_dir: &RunDir,
    scratch: &str,
) -> Result<Launching, Failure> {
    let child = &plan.children[index];
    let refused = |message: String| Failure::of("plugin.start_failed", &child.name, message);
    let broken = |e: io::Error| refused(format!("{}: cannot prepare its pipes and files: {e}", child.name));

    let bounded = groups::make(plan, index, scratch);
    let scratch = run_dir.directory(scratch)?;
    let files = Files::of(child, &scratch).map_err(broken)?;
    let table = placeholders(run_dir.path(), &scratch, &files);
    let fill = |text: &str| expand(text, &table);
    let argv: Vec<String> = child.argv.iter().map(|a| fill(a)).collect();
    let env: Vec<(String, String)> = child.env.iter().map(|(k, v)| (k.clone(), fill(v))).collect();
    let cwd = child.cwd.as_deref().map(fill);
    let mut limits = Vec::new();
    for (name, value) in &child.rlimits {
        let limit = Limit::by_name(name).ok_or_else(|| refused(format!("{}: no such limit: {name}", child.name)))?;
        limits.extend(value.map(|value| (limit, value)));
    }
    if !limits.iter().any(|(limit, _)| *limit == Limit::Nproc) {
        limits.extend(child.limits.processes.map(|count| (Limit::Nproc, groups::tasks(count))));
    }

    let groups = bounded.group.as_ref().map_or_else(Vec::new, Group::procs_files);
    let (stdin, feed) = pipes::pipe(plan.limits.pipe).map_err(broken)?;
    let (stdout, output) = pipes::pipe(plan.limits.pipe).map_err(broken)?;
    let (stderr, log) = pipes::pipe(LOG_PIPE).map_err(broken)?;
    let keep: Vec<_> = files.kept.iter().map(AsFd::as_fd).collect();
    let spec = Spec {
        argv: &argv,
        env: &env,
        cwd: cwd.as_deref().map(Path::new),
        stdio: [stdin.as_fd(), output.as_fd(), log.as_fd()],
        keep: &keep,
        limits: &limits,
        files: &files.put,
        confinement: Confinement {
            groups,
            ..confinement(child, scratch)
        },
    };
    let starting = begin(zygote, &spec).map_err(|e| refusal(&child.name, &e))?;
    // A tap's stdin, and a probe's, is a pipe at its end.
    let reads = matches!(child.role, Role::Mapper | Role::Target | Role::Checker);
    Ok(Launching {
        name: child.name.clone(),
        starting,
        bounded,
        stdin: reads.then_some(feed),
        stdout,
        stderr,
    })
}

/// The plan's words about the sandbox as the launcher's.
fn confinement(child: &plan::Child, scratch: PathBuf) -> Confinement {
    let sandbox = &child.sandbox;
    Confinement {
        profile: match sandbox.profile {
            confine::Profile::Off => Profile::Off,
            confine::Profile::Limits => Profile::Limits,
            confine::Profile::Standard => Profile::Standard,
            confine::Profile::Strict => Profile::Strict,
        },
        layout: match sandbox.layout {
            confine::Layout::Auto => Layout::Auto,
            confine::Layout::Namespaces => Layout::Namespaces,
            confine::Layout::Floor => Layout::Floor,
        },
        read: sandbox.read.clone(),
        write: sandbox.write.clone(),
        hide: sandbox.hide.clone(),
        network: match &sandbox.network {
            confine::Network::None => Network::None,
            confine::Network::Any => Network::Any,
            confine::Network::Hosts(hosts) => Network::Hosts(hosts.clone()),
        },
        unix: sandbox.unix.clone(),
        shm: sandbox.shm,
        scratch_size: sandbox.scratch,
        scratch,
        nice: child.limits.nice,
        ionice: child.limits.ionice.map(|class| match class {
            IoClass::BestEffort => 2,
            IoClass::Idle => 3,
        }),
        groups: Vec::new(),
        observe: sandbox.observe,
    }
}

/// The files of a child: how it reaches each, and what holds them until it has them.
struct Files {
    paths: BTreeMap<String, String>,
    /// Sealed memory that it keeps open.
    kept: Vec<OwnedFd>,
    /// Content of files in its scratch directory, by file name.
    put: Vec<(String, OwnedFd)>,
}

impl Files {
    fn of(child: &plan::Child, scratch: &Path) -> io::Result<Files> {
        let mut files = Files {
            paths: BTreeMap::new(),
            kept: Vec::new(),
            put: Vec::new(),
        };
        for (name, file) in &child.files {
            let sealed = memfd::sealed(&format!("dativo-{name}"), file.content.as_bytes())?;
            let fd = pipes::above_stdio(sealed)?;
            let path = match file.mode {
                FileMode::Memfd => {
                    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                    files.kept.push(fd);
                    path
                }
                FileMode::File => {
                    let inside = format!("{name}.json");
                    let path = scratch.join("files").join(&inside);
                    files.put.push((inside, fd));
                    path.to_string_lossy().into_owned()
                }
            };
            files.paths.insert(name.clone(), path);
        }
        Ok(files)
    }
}

/// What stands for each placeholder.
fn placeholders(run_dir: &Path, scratch: &Path, files: &Files) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut table = BTreeMap::from([
        ("{run_dir}".to_string(), text(run_dir)),
        ("{home}".to_string(), text(&scratch.join("home"))),
        ("{tmp}".to_string(), text(&scratch.join("tmp"))),
    ]);
    table.extend(
        files
            .paths
            .iter()
            .map(|(name, path)| (format!("{{file:{name}}}"), path.clone())),
    );
    table
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
