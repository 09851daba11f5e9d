//! What the documents must have, and where their links lead.

use super::tree::{File, Tree};

/// Folders where somebody adds a file for each new kind, and reads first how.
const PLUGIN_FOLDERS: [&str; 3] = ["master/src/sinks", "buddy/src/source", "buddy/src/discovery"];

/// Every folder of plugins says what it is for and how to add to it.
pub(crate) fn plugin_readmes(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for folder in PLUGIN_FOLDERS {
        let path = format!("{folder}/README.md");
        if tree.get(&path).is_none_or(|file| file.text.trim().is_empty()) {
            violations
                .push(format!("{path}:1: readme: say what the folder is for and how to add to it"));
        }
    }
    violations
}

/// Links between files of the tree lead somewhere.
pub(crate) fn links_resolve(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in tree.ending(".md") {
        for (number, link) in links(file) {
            let found = file.resolve(link).is_some_and(|path| tree.exists(&path));
            if !found {
                let what_to_do = format!("`{link}` leads nowhere: correct or remove it");
                violations.push(file.violation(number, "links", &what_to_do));
            }
        }
    }
    violations
}

/// Every document under `docs/` is linked from a page at the root or from another document.
pub(crate) fn guides_are_linked(tree: &Tree) -> Vec<String> {
    let is_guide = |file: &&File| file.path.starts_with("docs/");
    let mut violations = Vec::new();
    for guide in tree.ending(".md").filter(is_guide) {
        let linked = tree
            .ending(".md")
            .filter(|file| !file.path.contains('/') || file.path.starts_with("docs/"))
            .filter(|file| file.path != guide.path)
            .any(|file| {
                links(file).any(|(_, link)| file.resolve(link).as_ref() == Some(&guide.path))
            });
        if !linked {
            let what_to_do =
                "nobody finds it: link it from README.md, ARCHITECTURE.md or another guide";
            violations.push(guide.violation(1, "guides", what_to_do));
        }
    }
    violations
}

/// The links to files, without their anchors, and their lines; none in blocks of code.
fn links(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    let lines = file.text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    });
    lines.flat_map(|(index, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        targets.filter_map(move |target| {
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            let path = target.split('#').next().unwrap_or_default();
            (!elsewhere && !path.is_empty()).then_some((index + 1, path))
        })
    })
}
