//! Who writes to whom: the plan's children, source and sink as a row of hops.

use crate::plan::{Child, Plan, PlanError, Role};

/// One end of a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A child, by its index in the plan.
    Child(usize),
    /// The plan's source.
    Source,
    /// The plan's sink.
    Sink,
}

/// One stretch of the stream: what `from` writes, `to` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Who writes.
    pub from: End,
    /// Who reads.
    pub to: End,
}

/// The hops of a plan, first to last. A probe without a sink has none.
pub fn hops(plan: &Plan) -> Vec<Hop> {
    let source = plan.source.iter().map(|_| End::Source);
    let children = (0..plan.children.len()).map(End::Child);
    let ends: Vec<End> = source
        .chain(children)
        .chain(plan.sink.iter().map(|_| End::Sink))
        .collect();
    ends.windows(2)
        .map(|pair| Hop {
            from: pair[0],
            to: pair[1],
        })
        .collect()
}

/// What a child or end is called in messages.
pub fn name(plan: &Plan, end: End) -> &str {
    match end {
        End::Child(index) => &plan.children[index].name,
        End::Source => plan
            .source
            .as_ref()
            .and_then(|s| s.name.as_deref())
            .unwrap_or("the source"),
        End::Sink => plan.sink.as_ref().and_then(|s| s.name.as_deref()).unwrap_or("the sink"),
    }
}

/// The child at an end, if there is one.
pub fn child(plan: &Plan, end: End) -> Option<&Child> {
    match end {
        End::Child(index) => plan.children.get(index),
        End::Source | End::Sink => None,
    }
}

/// Whether the children stand in an order that makes sense, and each descriptor is used once.
pub fn check(plan: &Plan) -> Result<(), PlanError> {
    let wrong = |at: &str, message: String| Err(PlanError { at: at.into(), message });
    let last = plan.children.len().wrapping_sub(1);
    if plan.children.is_empty() {
        return wrong("children", "at least one child is needed".into());
    }
    for (index, child) in plan.children.iter().enumerate() {
        let at = format!("children[{index}].role");
        let first = index == 0 && plan.source.is_none();
        let end = index == last && plan.sink.is_none();
        match child.role {
            Role::Probe if last > 0 || plan.source.is_some() => return wrong(&at, "a probe stands alone".into()),
            Role::Probe => {}
            Role::Checker => return wrong(&at, "a checker stands beside the children, in `checker`".into()),
            Role::Tap if !first => return wrong(&at, "a tap comes first, and not behind a source".into()),
            Role::Target if !end => return wrong(&at, "a target comes last, and not before a sink".into()),
            Role::Mapper | Role::Target if first => {
                return wrong(&at, "nothing writes to it: no tap and no source".into())
            }
            Role::Mapper | Role::Tap if end => return wrong(&at, "nothing reads it: no target and no sink".into()),
            _ => {}
        }
        if plan.children[..index].iter().any(|other| other.name == child.name) {
            return wrong(
                &format!("children[{index}].name"),
                format!("{:?} is there twice", child.name),
            );
        }
    }
    if plan.source.as_ref().is_some_and(|s| s.await_verdict) && plan.control_fd.is_none() {
        return wrong("source.await_verdict", "needs a control_fd".into());
    }
    let files = plan.children.iter().flat_map(|child| child.files.values());
    let fds: Vec<i32> = [
        plan.source.as_ref().map(|s| s.fd),
        plan.sink.as_ref().map(|s| s.fd),
        plan.control_fd,
    ]
    .into_iter()
    .chain(files.map(|file| file.back_fd))
    .flatten()
    .collect();
    if let Some(fd) = fds
        .iter()
        .enumerate()
        .find_map(|(i, fd)| (*fd < 0 || fds[..i].contains(fd)).then_some(fd))
    {
        return wrong(
            "source, sink, control_fd, back_fd",
            format!("descriptor {fd} is negative or named twice"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(roles: &[&str], source: bool, sink: bool) -> Result<Plan, PlanError> {
        let children: Vec<String> = roles
            .iter()
            .enumerate()
            .map(|(i, role)| format!(r#"{{"name":"c{i}","role":"{role}","argv":["x"]}}"#))
            .collect();
        let source = if source {
            r#","source":{"fd":0,"name":"in"}"#
        } else {
            ""
        };
        let sink = if sink { r#","sink":{"fd":1,"name":"out"}"# } else { "" };
        let children = children.join(",");
        let text = format!(r#"{{"plan":1,"run":"r","job":"j","run_dir":"/x","children":[{children}]{source}{sink}}}"#);
        Plan::parse(text.as_bytes())
    }

    #[test]
    fn rows_that_make_sense() {
        use End::{Child, Sink, Source};
        let ends = |plan: Plan| hops(&plan).iter().map(|h| (h.from, h.to)).collect::<Vec<_>>();
        assert_eq!(
            ends(plan(&["tap", "target"], false, false).unwrap()),
            [(Child(0), Child(1))]
        );
        assert_eq!(ends(plan(&["target"], true, false).unwrap()), [(Source, Child(0))]);
        assert_eq!(ends(plan(&["tap"], false, true).unwrap()), [(Child(0), Sink)]);
        let three = [(Child(0), Child(1)), (Child(1), Child(2))];
        assert_eq!(ends(plan(&["tap", "mapper", "target"], false, false).unwrap()), three);
        assert_eq!(
            ends(plan(&["mapper"], true, true).unwrap()),
            [(Source, Child(0)), (Child(0), Sink)]
        );
        assert_eq!(ends(plan(&["probe"], false, true).unwrap()), [(Child(0), Sink)]);
        assert_eq!(ends(plan(&["probe"], false, false).unwrap()), []);
    }

    #[test]
    fn rows_that_do_not() {
        for (roles, source, sink) in [
            (&[][..], false, false),
            (&["tap"], false, false),
            (&["target"], false, false),
            (&["mapper", "target"], false, false),
            (&["target", "tap"], false, false),
            (&["tap", "target"], true, false),
            (&["tap", "target"], false, true),
            (&["tap", "tap"], false, true),
            (&["probe", "target"], false, false),
            (&["probe"], true, false),
        ] {
            assert!(plan(roles, source, sink).is_err(), "{roles:?} {source} {sink}");
        }
    }
}
