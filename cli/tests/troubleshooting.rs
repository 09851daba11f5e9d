//! The messages in docs/troubleshooting.md are those of the programs: a message that was changed in the
//! code is changed in the guide.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Messages of others: of `kubectl`, Kubernetes and the kernel.
const FOREIGN: [&str; 6] = [
    "error: Metrics API not available",
    "Error from server (ServiceUnavailable)",
    "Error from server (Forbidden)",
    "may not be true if caBundle is present",
    "<unknown>",
    "<unknown>/50%",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts of all programs as one, with the lines of a text joined.
fn sources() -> String {
    let mut text = String::new();
    let mut pending: Vec<PathBuf> = ["buddy/src", "master/src", "shared/src", "cli/src"]
        .map(|folder| root().join(folder))
        .into();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text.push_str(&joined(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    text
}

/// A source with the texts that go over several lines in one.
fn joined(source: &str) -> String {
    let mut parts = source.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

/// What stands in the first column of the tables as code.
fn messages(guide: &str) -> Vec<&str> {
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn messages_are_those_of_the_programs() {
    let guide = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let sources = sources();
    let messages = messages(&guide);
    assert!(messages.len() >= 30, "only {} messages", messages.len());
    for message in messages.iter().filter(|message| message.contains(' ')) {
        if FOREIGN.contains(message) {
            continue;
        }
        for part in message.split("...").map(|part| part.trim_matches([' ', ';', ','])) {
            assert!(sources.contains(part), "no program says {part:?} (of {message:?})");
        }
    }
}
