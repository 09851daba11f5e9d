//! What is built into the programs: under which licences, from where, and what may not be among it.
//!
//! The list is that of `cargo metadata` for this machine's platform, tests and build scripts
//! included. Each violation is one line: the crate, who brings it, and what to do. The rules work on
//! a graph in memory, so that each is tested against one that breaks it.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

#[path = "dependencies/graph.rs"]
mod graph;
#[path = "dependencies/licence.rs"]
mod licence;
#[path = "dependencies/rules.rs"]
mod rules;

use std::{fs, path::Path};

use graph::{Graph, Package};

type Rule = fn(&Graph) -> Vec<String>;

const RULES: [Rule; 4] = [rules::licences, rules::sources, rules::banned, rules::duplicates];

fn violations(graph: &Graph) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(graph)).collect()
}

#[test]
fn what_is_built_in_may_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let graph = Graph::of_workspace(root);
    assert!(graph.packages.len() > 100, "the list has only {} crates", graph.packages.len());
    let mut violations = violations(&graph);
    violations.extend(rules::stale_exceptions(&graph));
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// `unsafe` is forbidden by the lints of the workspace, which each member takes over.
#[test]
fn no_member_has_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let graph = Graph::of_workspace(root);
    let text = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(rules::forbids_unsafe(&text), "Cargo.toml: write unsafe_code = \"forbid\"");
    let members: Vec<&Package> = graph.members().collect();
    assert!(members.len() >= 6, "the workspace has only {} members", members.len());
    for member in members {
        let text = fs::read_to_string(&member.manifest).unwrap();
        assert!(
            rules::inherits_lints(&text),
            "{}: write [lints] with workspace = true, which forbids unsafe code",
            member.manifest
        );
    }
}

#[test]
fn lints_are_looked_for_in_their_section() {
    let inherits = rules::inherits_lints;
    assert!(inherits("[package]\nname = 'a'\n\n[lints]\nworkspace = true\n"));
    assert!(!inherits("[package]\nworkspace = true\n[lints]\n[dependencies]\nworkspace = true\n"));
    assert!(!inherits("[lints.rust]\nunsafe_code = \"allow\"\n"));
    let forbids = rules::forbids_unsafe;
    assert!(forbids("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
    assert!(!forbids("[workspace.lints.rust]\nunsafe_code = \"warn\"\n"));
    assert!(!forbids("[workspace.lints.clippy]\nunsafe_code = \"forbid\"\n"));
}

/// Each rule finds what it is there to find, says who brings it, and nothing in what is right.
#[test]
fn every_rule_bites() {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    for (name, version, licence, source, expected) in [
        ("sound", "1.0.0", "MIT OR GPL-3.0", registry, ""),
        ("copyleft", "1.0.0", "GPL-3.0", registry, "licence `GPL-3.0`"),
        ("both", "1.0.0", "MIT AND GPL-3.0", registry, "licence `MIT AND GPL-3.0`"),
        ("nameless", "1.0.0", "", registry, "names no licence"),
        ("odd", "1.0.0", "MIT OR OR", registry, "cannot be read"),
        ("forked", "1.0.0", "MIT", "git+https://example.org/forked", "from git+https"),
        ("elsewhere", "1.0.0", "MIT", "", "from a path"),
        ("openssl-sys", "0.9.1", "MIT", registry, "banned"),
        ("openssl-probe", "0.2.0", "MIT", registry, ""),
        ("aws-lc-rs", "1.0.0", "MIT", registry, "banned"),
        ("rustls", "0.21.1", "MIT", registry, "banned"),
        ("rustls", "0.23.1", "MIT", registry, ""),
        ("time", "0.1.45", "MIT", registry, "banned"),
        ("time", "0.3.1", "MIT", registry, ""),
        ("tokio", "2.0.0", "MIT", registry, "two versions"),
        ("hyper", "0.13.0", "MIT", registry, "two versions"),
        ("hyper", "0.14.9", "MIT", registry, ""),
    ] {
        let graph = Graph::of(&[
            ("member", "0.1.0", "MIT", "", &["between", "tokio", "hyper"]),
            ("tokio", "1.2.3", "MIT", registry, &[]),
            ("hyper", "1.2.3", "MIT", registry, &[]),
            ("between", "0.2.0", "MIT", registry, &["last"]),
            (name, version, licence, source, &[]),
        ]);
        let found = violations(&graph);
        match expected {
            "" => assert_eq!(found, [] as [&str; 0], "{name} {version}"),
            _ => assert!(
                found.len() == 1
                    && found[0].contains(expected)
                    && found[0].contains(&format!("{name} {version} (brought by between 0.2.0")),
                "{name} {version} should give one `{expected}`, not {found:#?}"
            ),
        }
    }
}
