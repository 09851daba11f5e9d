//! Which part may know which: `cli → {master, buddy} → {proto, shared}`, and the pure parts know no
//! actor, no clock and no socket.

use super::tree::{File, Tree, has_word};

/// Words that may not be in the code of some files.
struct Arrow {
    /// Beginnings of the paths that it holds for.
    within: &'static [&'static str],
    /// Beginnings of those among them that it does not hold for.
    except: &'static [&'static str],
    words: &'static [&'static str],
    what_to_do: &'static str,
}

const ARROWS: [Arrow; 8] = [
    Arrow {
        within: &["master/"],
        except: &[],
        words: &["heapster_buddy"],
        what_to_do: "the master knows no buddy: what both need belongs in shared",
    },
    Arrow {
        within: &["buddy/"],
        except: &[],
        words: &["heapster_master"],
        what_to_do: "the buddy knows no master: what both need belongs in shared",
    },
    Arrow {
        within: &["shared/", "proto/"],
        except: &[],
        words: &[
            "heapster_master",
            "heapster_buddy",
            "heapster_testkit",
            "tokio",
            "actix",
            "reqwest",
        ],
        what_to_do: "shared and proto know nothing above them, open no socket and start no task",
    },
    Arrow {
        within: &["master/", "buddy/", "cli/", "shared/"],
        except: &["master/src/grpc", "buddy/src/uplink", "cli/src/conformance"],
        words: &["heapster_proto"],
        what_to_do: "generated types stay in grpc, uplink and conformance: convert them there",
    },
    Arrow {
        within: &["cli/src/conformance"],
        except: &[],
        words: &["heapster_master", "heapster_buddy"],
        what_to_do: "conformance judges by the contract, and shares no code with the own programs",
    },
    Arrow {
        within: &["master/src/core", "buddy/src/pipeline", "buddy/src/enrich"],
        except: &[],
        words: &[
            "actix",
            "tokio",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "unix_ms(",
            "std::fs",
            "std::net",
            "reqwest",
            "tonic",
        ],
        what_to_do: "pure parts know no actor, clock, file or socket: take it as an argument",
    },
    Arrow {
        within: &["master/src/sinks/"],
        except: &[],
        words: &["crate::actors", "crate::core", "crate::grpc", "crate::http"],
        what_to_do: "a sink knows payloads and its own options only",
    },
    Arrow {
        within: &["buddy/src/discovery", "buddy/src/source"],
        except: &[],
        words: &["crate::uplink", "crate::spool", "crate::pipeline"],
        what_to_do: "discoveries and sources know hosts and readings, never the stream",
    },
];

/// Forbidden words, by the table above.
pub(crate) fn imports(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for arrow in &ARROWS {
        let starts = |file: &File, with: &[&str]| with.iter().any(|p| file.path.starts_with(p));
        let held = |file: &&File| starts(file, arrow.within) && !starts(file, arrow.except);
        for file in tree.ending(".rs").filter(held) {
            for (number, line) in file.production() {
                if arrow.words.iter().any(|word| has_word(line, word)) {
                    violations.push(file.violation(number, "arrows", arrow.what_to_do));
                }
            }
        }
    }
    violations
}

/// No sink uses another one; helpers that are no sinks themselves may be shared.
pub(crate) fn sinks_are_strangers(tree: &Tree) -> Vec<String> {
    let sinks = tree.get("master/src/sinks.rs").map(listed).unwrap_or_default();
    let mut violations = Vec::new();
    for file in tree.ending(".rs") {
        let Some(rest) = file.path.strip_prefix("master/src/sinks/") else { continue };
        let own = rest.split(['/', '.']).next().unwrap_or_default();
        let top_level = !rest.contains('/');
        for (number, statement) in statements(file) {
            let reaches_sinks =
                has_word(&statement, "crate::sinks") || top_level && has_word(&statement, "super");
            let stranger = sinks.iter().any(|sink| sink != own && has_word(&statement, sink));
            if reaches_sinks && stranger {
                let what_to_do = "a sink knows no other sink: move what both need to a helper";
                violations.push(file.violation(number, "strangers", what_to_do));
            }
        }
    }
    violations
}

/// The words of `sinks! { ... }`.
fn listed(file: &File) -> Vec<String> {
    let code: Vec<&str> = file.code().map(|(_, line)| line).collect();
    let code = code.join("\n");
    let Some((_, list)) = code.rsplit_once("sinks! {") else { return Vec::new() };
    let list = list.split('}').next().unwrap_or_default();
    list.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// A line of code without what stands between quotes.
fn without_texts(line: &str) -> String {
    let line = line.replace("\\\"", "");
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The code in front of the tests, without its texts, cut at each `;`, with the number of the line
/// where it ends.
fn statements(file: &File) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for (number, line) in file.production() {
        let line = without_texts(line);
        let mut pieces = line.split(';').peekable();
        while let Some(piece) = pieces.next() {
            current.push_str(piece);
            current.push('\n');
            if pieces.peek().is_some() {
                statements.push((number, std::mem::take(&mut current)));
            }
        }
    }
    statements
}
