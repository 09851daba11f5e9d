//! The forms of a hosts file: an object with `items`, or a list, of [entries](Entry); as JSON or
//! YAML.

use std::{fmt, path::Path};

use heapster_shared::{Map, host::Host};
use serde::{Deserialize, Deserializer, de};

use super::super::entry::Entry;

/// The hosts of a file.
///
/// # Errors
/// A sentence with line and column.
pub(in crate::discovery) fn hosts(path: &Path, text: &str) -> Result<Vec<Host>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("the file is empty; a list without hosts is written {\"items\":[]}".to_owned());
    }
    let list: List = if is_json(path, text) {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?
    };
    check_names(&list)?;
    Ok(list.0.into_iter().flat_map(|entry| entry.0).collect())
}

/// The hosts of a list of groups in JSON, as Prometheus' `http_sd` has it.
///
/// # Errors
/// A sentence with line and column.
pub(in crate::discovery) fn hosts_of_groups(text: &str) -> Result<Vec<Host>, String> {
    if !text.trim_start().starts_with('[') {
        return Err("it is no list of groups with `targets`".to_owned());
    }
    let list: List = serde_json::from_str(text).map_err(|error| error.to_string())?;
    check_names(&list)?;
    Ok(list.0.into_iter().flat_map(|entry| entry.0).collect())
}

fn is_json(path: &Path, text: &str) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "json" => true,
        "yaml" | "yml" => false,
        _ => text.trim_start().starts_with(['{', '[']),
    }
}

/// The entries of a file.
struct List(Vec<Entry>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> de::Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `items`, or a list of groups with `targets`")
    }

    fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<List, M::Error> {
        let mut items = None;
        while let Some(key) = map.next_key::<String>()? {
            if key.eq_ignore_ascii_case("items") {
                items = map.next_value::<Option<Vec<Entry>>>()?.or_else(|| Some(Vec::new()));
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
        items.map(List).ok_or_else(|| de::Error::custom("there is no `items`"))
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, mut seq: S) -> Result<List, S::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            entries.push(entry);
        }
        Ok(List(entries))
    }
}

/// A host's name is its identity, so no two may share one.
fn check_names(list: &List) -> Result<(), String> {
    let mut known: Map<&str, usize> = Map::default();
    for (index, entry) in list.0.iter().enumerate() {
        for host in &entry.0 {
            let Some(first) = known.insert(&host.name, index) else { continue };
            let name = &host.name;
            let (first, second) = (first + 1, index + 1);
            return Err(if first == second {
                format!("entry {first} has `{name}` twice; each host is polled once")
            } else {
                format!(
                    "entries {first} and {second} are both named `{name}`; give each its own name"
                )
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/hosts");

    fn parse_file(name: &str) -> Result<Vec<Host>, String> {
        let path = Path::new(TESTDATA).join(name);
        hosts(&path, &std::fs::read_to_string(&path).unwrap())
    }

    /// `NAME@ADDRESS:PORT LABELS` of each host.
    fn summary(hosts: &[Host]) -> Vec<String> {
        let line = |host: &Host| {
            let port = host.endpoints.first().map_or(0, |endpoint| endpoint.port);
            let labels = host.labels.joined(",");
            format!("{}@{}:{port} {labels}", host.name, host.addresses.join("+"))
        };
        hosts.iter().map(line).collect()
    }

    /// The forms that are in use, each as a file.
    #[test]
    fn good_files() {
        let ancestor = ["node-a@10.0.0.1:0 ", "node-b@10.0.0.2:0 "];
        assert_eq!(summary(&parse_file("ancestor.good.json").unwrap()), ancestor);
        assert_eq!(summary(&parse_file("any-case.good.json").unwrap()), ancestor);
        let groups = [
            "10.0.0.1@10.0.0.1:8080 rack:7,zone:eu",
            "fd00::2@fd00::2:4194 rack:7,zone:eu",
            "web@10.0.0.3:443 ",
        ];
        assert_eq!(summary(&parse_file("file_sd.good.json").unwrap()), groups);
        let yaml = parse_file("file_sd.good.yaml").unwrap();
        assert_eq!(summary(&yaml), groups);
        assert_eq!(yaml[2].endpoints[0].scheme, "https");
        assert_eq!(parse_file("none.good.json").unwrap(), []);
    }

    /// Each says what is wrong and where.
    #[test]
    fn bad_files() {
        for (file, expected) in [
            ("half-written.bad.json", "line 3 column"),
            ("wrong-type.bad.json", "line 3 column"),
            ("no-address.bad.json", "host `node-b` has neither `ip` nor `addresses` at line 4"),
            ("twice.bad.json", "entries 1 and 3 are both named `node-a`"),
            ("twice-in-group.bad.yaml", "entry 1 has `10.0.0.1` twice"),
            ("indent.bad.yaml", "line 3 column"),
            ("bad-port.bad.yaml", "no port: write 1 to 65535"),
            ("no-items.bad.json", "there is no `items`"),
            ("empty.bad.json", "the file is empty"),
            ("scalar.bad.yaml", "an object with `items`, or a list"),
        ] {
            let error = parse_file(file).unwrap_err();
            assert!(error.contains(expected), "{file}: {error}");
        }
    }

    /// The content decides where the name does not.
    #[test]
    fn the_form_is_found_without_an_extension() {
        let json =
            hosts(Path::new("hosts"), "{\"items\":[{\"name\":\"a\",\"ip\":\"b\"}]}").unwrap();
        let yaml = hosts(Path::new("hosts"), "- targets: [\"a:1\"]\n").unwrap();
        assert_eq!((json.len(), yaml.len()), (1, 1));
    }
}
