//! The form of the answer: as Go indents it, with the members of a recorded answer in their order.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::ser::PrettyFormatter;

use super::*;
use crate::sim::{SimConfig, Truth};

const NOW_MS: i64 = 1_795_345_559_321;

/// A document whose members keep their order.
enum Ordered {
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
    Text(String),
    Number(u64),
    Null,
}

struct OrderedVisitor;

impl<'de> Visitor<'de> for OrderedVisitor {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is in a summary")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Ordered, E> {
        Ok(Ordered::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Ordered, E> {
        Ok(Ordered::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ordered, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Ordered::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Ordered, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Ordered::Object(object))
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderedVisitor)
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, member)| map.serialize_entry(name, member))?;
                map.end()
            }
            Self::List(items) => items.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

/// The document as Go's `MarshalIndent` writes it.
fn indented(document: &Ordered) -> String {
    let mut out = Vec::new();
    let formatter = PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    document.serialize(&mut serializer).unwrap();
    String::from_utf8(out).unwrap()
}

/// The names of the members at each path, in their order; of the objects at one path the one that
/// has the most.
fn orders(value: &Ordered, path: &str, found: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Ordered::Object(members) => {
            let names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
            let longest = found.entry(path.to_owned()).or_default();
            if names.len() > longest.len() {
                *longest = names;
            }
            for (name, member) in members {
                orders(member, &format!("{path}.{name}"), found);
            }
        }
        Ordered::List(items) => items.iter().for_each(|item| orders(item, path, found)),
        _ => {}
    }
}

fn answer(config: SimConfig, behaviour: Behaviour, light: bool) -> String {
    let truth = Truth::new(config, NOW_MS - 3_600_000);
    let view = HostView::new(&truth, 0, behaviour, NOW_MS);
    String::from_utf8(summary(&view, light)).unwrap()
}

fn small() -> SimConfig {
    SimConfig { pods_per_host: 4, sandboxes: true, ..SimConfig::default() }
}

/// Written anew from what it says, the answer is the same to the last space; lists that are empty and
/// members that are missing included.
#[test]
fn answers_are_indented_as_go_does() {
    let bare = SimConfig { pods_per_host: 0, ..small() };
    let empty = SimConfig { containers_per_pod: 0, ..small() };
    let behaviours =
        [Behaviour::Healthy, Behaviour::Starting, Behaviour::Leftovers, Behaviour::Windows];
    for config in [small(), bare, empty] {
        for (behaviour, light) in behaviours.iter().flat_map(|all| [(*all, false), (*all, true)]) {
            let answer = answer(config.clone(), behaviour, light);
            let document: Ordered = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer, indented(&document), "{behaviour:?}");
        }
    }
}

/// Two recorded answers have together all that a kubelet tells of node, pods and containers.
#[test]
fn members_are_those_of_recorded_answers_in_their_order() {
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    for recorded in [
        include_str!("../../../testdata/kubelet-1.20-stats-summary.json"),
        include_str!("../../../testdata/kubelet-1.20-stats-summary-proxied.json"),
    ] {
        orders(&serde_json::from_str(recorded).unwrap(), "", &mut expected);
    }
    let answer = answer(small(), Behaviour::Healthy, false);
    orders(&serde_json::from_str(&answer).unwrap(), "", &mut found);
    // No recorded pod has both a network and volumes.
    found.get_mut(".pods").unwrap().retain(|name| name != "network");
    assert_eq!(found, expected);
}
