//! The table of targets.

mod cadvisor;
mod cgroup;
mod config;
mod control;
mod credentials;
mod discovery;
mod fetch;
mod frames;
mod kubelet;
mod kubernetes;
mod line_protocol;
mod line_reader;
mod master;
mod readings;
mod requests;
mod spool;

/// A parser of bytes from outside.
pub struct Target {
    /// Its name, in which words are joined with `-`.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub run: fn(&[u8]),
    /// Recorded inputs, by their paths from the root of the tree.
    pub recorded: &'static [&'static str],
    /// Inputs made for it.
    pub made: fn() -> Vec<Vec<u8>>,
}

/// All targets, by their subjects.
#[must_use]
pub fn all() -> Vec<&'static Target> {
    let lists = [
        kubelet::TARGETS,
        cadvisor::TARGETS,
        cgroup::TARGETS,
        fetch::TARGETS,
        discovery::TARGETS,
        kubernetes::TARGETS,
        frames::TARGETS,
        control::TARGETS,
        master::TARGETS,
        spool::TARGETS,
        config::TARGETS,
        credentials::TARGETS,
        requests::TARGETS,
        line_protocol::TARGETS,
    ];
    lists.into_iter().flatten().collect()
}

/// The target of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    all().into_iter().find(|target| target.name == name)
}

/// Parts two texts of one input.
const BETWEEN: u8 = 0x1e;

/// The two texts of an input; the second is empty where there is but one.
fn two(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|byte| *byte == BETWEEN).unwrap_or(input.len());
    (&input[..at], input.get(at + 1..).unwrap_or_default())
}

fn joined(first: &str, second: &str) -> Vec<u8> {
    [first.as_bytes(), &[BETWEEN], second.as_bytes()].concat()
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

fn nothing_made() -> Vec<Vec<u8>> {
    Vec::new()
}
