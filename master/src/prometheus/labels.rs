//! Labels: legal names, values that receivers take, sorted, each name once.

use std::borrow::Cow;

use heapster_shared::{schema::Field, tag};

/// The longest value that is written. Mimir and what is built on it refuse a whole request for a
/// longer one.
const LONGEST_VALUE: usize = 2048;
/// The longest name, for the same reason.
const LONGEST_NAME: usize = 1024;

/// Tags that are left out: the level is in the name, and the others say again what the names of node
/// and namespace say. Under another name they are written.
const LEFT_OUT: [&str; 4] = [tag::TYPE, tag::HOSTNAME, tag::HOST_ID, tag::NAMESPACE_ID];

/// The labels of an entity, which calls what it is given with each of its tags.
pub(crate) fn of_entity<'a>(
    visit: impl FnOnce(&mut dyn FnMut(&'a str, &'a str)),
) -> Vec<(Cow<'a, str>, &'a str)> {
    let mut labels = Vec::new();
    visit(&mut |name, value| {
        if !LEFT_OUT.contains(&name) {
            push(&mut labels, name, value);
        }
    });
    sorted(labels)
}

/// The labels that tell the fields of a metric apart, under the names that `rename` gives them.
pub(crate) fn of_field<'a>(
    field: &'a Field,
    rename: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<(Cow<'a, str>, &'a str)> {
    let mut labels = Vec::new();
    for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
        if let Some(name) = rename(label) {
            push(&mut labels, name, value);
        }
    }
    sorted(labels)
}

fn push<'a>(labels: &mut Vec<(Cow<'a, str>, &'a str)>, name: &'a str, value: &'a str) {
    let (name, value) = (label_name(name), label_value(value));
    if !name.is_empty() && !value.is_empty() {
        labels.push((name, value));
    }
}

/// By name; of one name the first stays, which is the nearer one.
fn sorted<'a>(mut labels: Vec<(Cow<'a, str>, &'a str)>) -> Vec<(Cow<'a, str>, &'a str)> {
    labels.sort_by(|(one, _), (other, _)| one.cmp(other));
    labels.dedup_by(|(later, _), (earlier, _)| later == earlier);
    labels
}

/// A name of a label with what is not allowed in it replaced by `_`. Names that begin with two of
/// these belong to Prometheus itself.
fn label_name(name: &str) -> Cow<'_, str> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = !name.starts_with(|c: char| c.is_ascii_digit()) && !name.starts_with("__");
    if begins_well && name.len() <= LONGEST_NAME && name.chars().all(is_legal) {
        return Cow::Borrowed(name);
    }
    let mut legal: String = name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    while legal.starts_with("__") {
        legal.remove(0);
    }
    if legal.starts_with(|c: char| c.is_ascii_digit()) {
        legal.insert(0, '_');
    }
    legal.truncate(LONGEST_NAME);
    Cow::Owned(legal)
}

/// As much of a value as receivers take.
fn label_value(value: &str) -> &str {
    &value[..value.floor_char_boundary(LONGEST_VALUE)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_legal() {
        for (name, legal) in [
            ("pod_name", "pod_name"),
            ("app.kubernetes.io/name", "app_kubernetes_io_name"),
            ("__name__", "_name__"),
            ("größe", "gr__e"),
            ("0day", "_0day"),
            ("", ""),
        ] {
            assert_eq!(label_name(name), legal);
        }
    }

    #[test]
    fn labels_are_sorted_and_each_is_there_once() {
        let labels = of_entity(|visit| {
            for (name, value) in
                [("type", "pod"), ("b", "1"), ("a.b", "2"), ("a-b", "3"), ("c", ""), ("Z", "4")]
            {
                visit(name, value);
            }
        });
        let wanted = [("Z", "4"), ("a_b", "2"), ("b", "1")];
        assert_eq!(labels, wanted.map(|(name, value)| (Cow::Borrowed(name), value)));
    }

    proptest! {
        /// Whatever a cluster calls its labels, no receiver can object to the name or the value.
        #[test]
        fn anything_becomes_legal(name in ".{0,40}", text in ".{0,40}") {
            let value = text.repeat(60);
            let legal = label_name(&name);
            prop_assert!(!legal.starts_with("__"));
            prop_assert!(!legal.starts_with(|c: char| c.is_ascii_digit()));
            prop_assert!(legal.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            prop_assert_eq!(legal.is_empty(), name.is_empty());
            let cut = label_value(&value);
            prop_assert!(cut.len() <= LONGEST_VALUE && value.starts_with(cut));
        }
    }
}
