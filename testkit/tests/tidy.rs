//! The tree holds its own rules: which part may know which, how a file begins and how long it is,
//! what may not be written, where the links of the documents lead.
//!
//! Each violation is one line, `file:line: rule: what to do`. The rules work on a tree in memory,
//! so that each is tested against a tree that breaks it.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/tree.rs"]
mod tree;

use std::path::Path;

use tree::Tree;

const RULES: [fn(&Tree) -> Vec<String>; 7] = [
    arrows::imports,
    arrows::sinks_are_strangers,
    code::shape,
    code::banned,
    documents::plugin_readmes,
    documents::links_resolve,
    documents::guides_are_linked,
];

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tree = Tree::read(root);
    assert!(tree.files.len() > 30, "the tree at {} is not read whole", root.display());
    let violations: Vec<String> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Each rule finds what it is there to find, and nothing in what is right.
#[test]
fn every_rule_bites() {
    for (path, text, expected) in cases() {
        let mut files = sound_tree();
        files.retain(|(kept, _)| *kept != path);
        files.push((path, &text));
        let tree = Tree::of(&files);
        let found: Vec<String> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
        match expected {
            "" => assert_eq!(found, [] as [&str; 0], "{path}:\n{text}"),
            _ => assert!(
                found.len() == 1 && found[0].contains(expected),
                "{path} should give one `{expected}`, not {found:#?}:\n{text}"
            ),
        }
    }
}

/// A tree without a fault.
fn sound_tree() -> Vec<(&'static str, &'static str)> {
    vec![
        ("README.md", "# R\n[guide](docs/guide.md) [web](https://example.org)\n"),
        ("docs/guide.md", "[back](../README.md#r)\n```\n[no](link)\n```\n"),
        ("master/src/sinks.rs", "//! S.\nsinks! { log, influxdb }\n"),
        ("master/src/sinks/README.md", "# Sinks\n"),
        ("buddy/src/source/README.md", "# Sources\n"),
        ("buddy/src/discovery/README.md", "# Discoveries\n"),
    ]
}

/// A file, and part of the one line that it should be answered with; empty for none.
fn cases() -> Vec<(&'static str, String, &'static str)> {
    let code = |line: &str| format!("//! A file.\n{line}\n");
    let banned = |parts: [&str; 2]| code(&parts.concat());
    vec![
        ("master/src/a.rs", code("use heapster_buddy::x;"), "master/src/a.rs:2: arrows"),
        ("buddy/src/a.rs", code("use heapster_master::x;"), "buddy/src/a.rs:2: arrows"),
        ("cli/src/a.rs", code("use {heapster_master, heapster_buddy};"), ""),
        ("buddy/src/pipeline.rs", code("use heapster_proto::v1;"), "arrows"),
        ("buddy/src/uplink/convert.rs", code("use heapster_proto::v1;"), ""),
        ("cli/src/conformance/a.rs", code("use heapster_proto::v1;"), ""),
        ("cli/src/conformance/a.rs", code("use heapster_buddy::uplink;"), "arrows"),
        ("cli/src/standalone.rs", code("use heapster_proto::v1;"), "arrows"),
        ("master/src/core/a.rs", code("use tokio::sync::mpsc;"), "arrows"),
        ("master/src/core.rs", code("let t = Instant::now();"), "arrows"),
        ("buddy/src/pipeline/a.rs", code("let t = tick::unix_ms();"), "arrows"),
        ("buddy/src/pipeline/a.rs", code("let t = row.tick_unix_ms(); // not Instant::now"), ""),
        ("master/src/core/a.rs", code("#[cfg(test)]\nmod tests { use std::fs; }"), ""),
        ("master/src/core/a/tests.rs", code("use std::time::Instant;"), ""),
        ("buddy/tests/uplink.rs", code("use {heapster_master, heapster_proto};"), ""),
        ("buddy/src/discovery/dns.rs", code("use crate::uplink::X;"), "arrows"),
        ("master/src/sinks/log.rs", code("use crate::actors::X;"), "arrows"),
        ("master/src/sinks/log.rs", code("use super::{Sink,\n    influxdb::Line};"), "strangers"),
        ("master/src/sinks/log.rs", code("crate::sinks::influxdb::f();"), "strangers"),
        ("master/src/sinks/log.rs", code("pub(super) const A: &str = \"as influxdb, \\\"x\";"), ""),
        ("master/src/sinks/influxdb.rs", code("use super::{Sink, http};"), ""),
        ("shared/src/a.rs", "fn f() {}\n".into(), "shared/src/a.rs:1: header"),
        ("shared/src/a.rs", "//! Long.\n".repeat(801), "length"),
        ("shared/src/a.rs", banned(["to", "do!();"]), "shared/src/a.rs:2: banned"),
        ("shared/src/a.rs", banned(["#[ign", "ore]"]), "banned"),
        ("shared/src/a.rs", banned(["actor.do_", "send(x);"]), "banned"),
        ("shared/src/a.rs", banned(["let x = unbounded_", "channel();"]), "banned"),
        ("docs/guide.md", ["see /ho", "me/me/x\n"].concat(), "docs/guide.md:1: paths"),
        ("docs/guide.md", "see [it](nowhere.md)\n".into(), "docs/guide.md:1: links"),
        ("docs/other.md", "# Nobody links here\n".into(), "docs/other.md:1: guides"),
        ("master/src/sinks/README.md", String::new(), "master/src/sinks/README.md:1: readme"),
    ]
}
