//! How a file of code begins, how long it is, and what may not be written in it.

use super::tree::Tree;

const MOST_LINES: usize = 800;

/// Every file of Rust opens with a line that says what it is, and can be read in one go.
pub(crate) fn shape(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in tree.ending(".rs") {
        if !file.text.starts_with("//!") {
            violations.push(file.violation(
                1,
                "header",
                "begin with `//!` and what the file is for",
            ));
        }
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            let what_to_do = format!("{lines} lines are too many: find the second concept in it");
            violations.push(file.violation(MOST_LINES + 1, "length", &what_to_do));
        }
    }
    violations
}

/// Words and what to write in their place. They are in pieces, or they would be found here.
const BANNED: [(&str, &str); 6] = [
    (concat!("to", "do!"), "write it, or leave it out"),
    (concat!("unimpl", "emented!"), "write it, or leave it out"),
    (concat!("#[ign", "ore"), "make the test run everywhere, or delete it"),
    (concat!(".do_", "send("), "it queues without bound: use try_send or send"),
    (concat!("unbounded_", "channel("), "every queue is bounded: use channel"),
    (concat!("db", "g!("), "use tracing"),
];

/// Folders of developers' own machines, in pieces as well.
const HOMES: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Use", "rs/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Nothing unfinished, nothing unbounded, nothing that is true on one machine only.
pub(crate) fn banned(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in tree.ending(".rs") {
        for (number, line) in file.code() {
            for (word, what_to_do) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
                violations.push(file.violation(
                    number,
                    "banned",
                    &format!("`{word}`: {what_to_do}"),
                ));
            }
        }
    }
    let endings = [".rs", ".md", ".toml", ".sh", ".yaml", ".yml"];
    for file in endings.iter().flat_map(|ending| tree.ending(ending)) {
        if file.path.contains("testdata/") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            if HOMES.iter().any(|home| begins_path(line, home)) {
                let what_to_do = "no paths of a developer's machine: say it relative to the tree";
                violations.push(file.violation(number + 1, "paths", what_to_do));
            }
        }
    }
    violations
}

/// Whether an absolute path in the line begins so.
fn begins_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"/._-}*".contains(c))
    })
}
