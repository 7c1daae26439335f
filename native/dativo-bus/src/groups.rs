//! A control group for a child that has a limit which the kernel can keep: made before the child is started.

use dativo_bus_engine::plan::Plan;
use dativo_sandbox::cgroup::Group;
use dativo_sandbox::spawn::Spawned;

/// What the kernel is told for so many processes: it counts threads, of which a runtime starts some for every processor.
/// Processes themselves are counted by the watch; this bound is for the time between two looks.
pub fn tasks(processes: u64) -> u64 {
    const THREADS: u64 = 48;
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    processes.saturating_add(THREADS.max(2 * processors)) + Spawned::SUPERVISORS
}

/// What the kernel bounds for a child, and what it does not, each with its reason.
#[derive(Debug, Default)]
pub struct Bounded {
    /// Its group, if it has one. The launcher enters it; the watch keeps and removes it.
    pub group: Option<Group>,
    /// Names of guarantees that it gives: `memory`, `pids`.
    pub guarantees: Vec<&'static str>,
    /// Why a limit of the child is looked at from time to time instead.
    pub missing: Vec<String>,
}

/// Makes the group of the plan's child number `index`, with a `part` of its name for each time that it is started. A child
/// without such limits needs none.
pub fn make(plan: &Plan, index: usize, part: &str) -> Bounded {
    let limits = &plan.children[index].limits;
    let mut bounded = Bounded::default();
    if limits.memory.is_none() && limits.processes.is_none() {
        return bounded;
    }
    let tasks = limits.processes.map(tasks);
    let name = format!("{}-{}-{}", plain(&plan.run), std::process::id(), plain(part));
    let group = Group::create(&name, limits.memory, tasks);
    let reason = group
        .as_ref()
        .err()
        .cloned()
        .unwrap_or_else(|| "no such controller".into());
    bounded.group = group.ok();
    let group = bounded.group.as_ref();
    for (name, wanted, held) in [
        (
            "memory",
            limits.memory.is_some(),
            group.is_some_and(Group::bounds_memory),
        ),
        (
            "pids",
            limits.processes.is_some(),
            group.is_some_and(Group::bounds_processes),
        ),
    ] {
        match (wanted, held) {
            (true, true) => bounded.guarantees.push(name),
            (true, false) => bounded
                .missing
                .push(format!("{name}: looked at from time to time, {reason}")),
            (false, _) => {}
        }
    }
    bounded
}

/// The run's name as part of a path (I12).
fn plain(run: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    run.chars().take(100).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(limits: &str) -> Plan {
        let text = format!(
            r#"{{"plan":1,"run":"../r {}","job":"j","run_dir":"/x","children":[{{"name":"p","role":"probe","argv":["x"],"limits":{limits}}}]}}"#,
            std::process::id()
        );
        Plan::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_limit_is_kept_by_the_kernel_or_has_a_reason() {
        let bounded = make(&plan(r#"{"memory":104857600,"processes":10}"#), 0, "0");
        assert_eq!(bounded.guarantees.len() + bounded.missing.len(), 2, "{bounded:?}");
        let none = make(&plan(r#"{"wall":5}"#), 0, "0");
        assert!(none.group.is_none() && none.guarantees.is_empty() && none.missing.is_empty());
    }

    #[test]
    fn a_name_leads_nowhere() {
        assert_eq!(plain("../a b/r-1"), "___a_b_r-1");
    }
}
