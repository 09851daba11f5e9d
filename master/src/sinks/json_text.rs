//! Labels as JSON for the sinks that write it straight from rows: they are the same from row to row,
//! and written once for each entity or layout. And digests of what a series is,
//! for sinks that give what they write an identity of its own.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use heapster_shared::{
    entity::Entity,
    schema::{Field, FieldLabels},
};
use ring::digest::{Context, SHA256};

use super::{LabelRules, json};

/// What a peer wants the names of labels to be like.
pub(super) type Rename = fn(&str) -> Cow<'_, str>;

/// Names as they are.
pub(super) const fn unchanged(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

/// The labels of an entity as members of an object, `"a":"b","c":"d"`, in the order of their names. A
/// name is there once, and none that fields have: readers of JSON disagree about names that come
/// twice.
pub(super) fn labels(
    cluster: &str,
    entity: &Entity,
    rules: &LabelRules,
    rename: Rename,
) -> Vec<u8> {
    let mut labels = BTreeMap::new();
    rules.visit(cluster, entity, |name, value| {
        let name = rename(name);
        if !name.trim().is_empty() {
            labels.entry(name).or_insert(value);
        }
    });
    for taken in [FieldLabels::Resource, FieldLabels::Accelerator] {
        for name in taken.names().iter().filter_map(|name| rules.name(name)) {
            labels.remove(&rename(name));
        }
    }
    members(labels.iter().map(|(name, value)| (name.as_ref(), *value)))
}

/// The labels that tell fields of one metric apart, in the same form.
pub(super) fn field_labels(field: &Field, rules: &LabelRules, rename: Rename) -> Vec<u8> {
    let mut labels = BTreeMap::new();
    for (name, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
        if let Some(name) = rules.name(name) {
            labels.entry(rename(name)).or_insert(value);
        }
    }
    members(labels.iter().map(|(name, value)| (name.as_ref(), *value)))
}

fn members<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        separate(&mut out);
        json::pair(name, value, &mut out);
    }
    out
}

/// Puts a comma between members.
fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
}

/// Joins the members of two objects.
pub(super) fn join(first: &[u8], second: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(first);
    if !first.is_empty() && !second.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(second);
}

/// A digest of some parts as text of 22 characters that need no escape. Nobody can choose labels such
/// that two series have the same.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // With its length, so that parts cannot run into each other.
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    BASE64_URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use heapster_shared::{
        entity::{Definition, EntityTable, Labels, Level},
        schema::table,
        tag,
    };
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn pod(labels: &[(&str, &str)]) -> std::sync::Arc<Entity> {
        EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Pod,
            name: "web-1".into(),
            uid: "u1".into(),
            start_time_ms: 0,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    }

    fn object(members: &[u8]) -> Value {
        let text = [b"{", members, b"}"].concat();
        serde_json::from_slice(&text).unwrap()
    }

    /// Also where a rule gives two labels one name, or an entity has a label that is a field's.
    #[test]
    fn a_name_is_there_once() {
        let rules = LabelRules::new("", "pod_id:type").unwrap();
        let entity = pod(&[(tag::RESOURCE_ID, "/mine"), (tag::NAMESPACE_NAME, "shop")]);
        let text = String::from_utf8(labels("lab", &entity, &rules, unchanged)).unwrap();
        assert_eq!(text.matches("\"type\"").count(), 1, "{text}");
        assert!(!text.contains("resource_id"), "{text}");
        let field = Field::resource(table::FILESYSTEM_USAGE.def(), "/data");
        let mut both = Vec::new();
        join(text.as_bytes(), &field_labels(&field, &rules, unchanged), &mut both);
        let both = object(&both);
        assert_eq!((&both["resource_id"], &both["pod_name"]), (&"/data".into(), &"web-1".into()));
        assert_eq!(both["cluster_name"], "lab");
    }

    #[test]
    fn digests_differ_by_where_parts_end() {
        let of = |parts: &[&str]| digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["ab", ""]), of(&["a", "b"]));
        assert_eq!(of(&[]).len(), 22);
    }

    proptest! {
        /// Whatever a label says, a reader of JSON reads it.
        #[test]
        fn labels_are_read_back(name in "[^\\s]\\PC{0,20}", value in any::<String>()) {
            prop_assume!(!tag::is_own(&name) && !value.is_empty());
            let entity = pod(&[(&name, &value)]);
            let read = object(&labels("", &entity, &LabelRules::default(), unchanged));
            prop_assert_eq!(read[&name].as_str(), Some(value.as_str()));
        }
    }
}
