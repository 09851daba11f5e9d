//! The labels of a thing, worked out once: as the messages of version 1.0, from which those of 2.0
//! take their texts.

use std::hash::{Hash, Hasher};

use heapster_shared::entity::{Entity, Level};

use crate::{
    prometheus,
    sinks::{
        LabelRules,
        protobuf::{bytes_field, field_len, open, varint_len},
    },
};

/// The label that has the name of a metric.
pub(super) const NAME: &[u8] = b"__name__";

/// The labels that all series of an entity have, sorted, as messages of version 1.0 one after the
/// other.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) level: Level,
    pub(super) encoded: Box<[u8]>,
    labels: Box<[LabelAt]>,
    /// Where the name of a metric belongs.
    name_cut: u32,
}

/// Where a label lies.
#[derive(Clone, Copy, Debug)]
struct LabelAt {
    start: u32,
    name: [u32; 2],
    value: [u32; 2],
}

/// A label of one field, or its name, as a message of version 1.0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) name: Box<[u8]>,
    pub(super) value: Box<[u8]>,
    pub(super) encoded: Box<[u8]>,
}

/// Things with the same labels own the same series.
impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        self.level == other.level && self.encoded == other.encoded
    }
}

impl Eq for Owner {}

impl Hash for Owner {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.level.hash(state);
        self.encoded.hash(state);
    }
}

impl Owner {
    pub(super) fn new(cluster: &str, entity: &Entity, rules: &LabelRules) -> Self {
        let sorted = prometheus::of_entity(|visit| rules.visit(cluster, entity, visit));
        let mut encoded = Vec::new();
        let mut labels = Vec::with_capacity(sorted.len());
        for (name, value) in sorted {
            let start = encoded.len();
            append(name.as_bytes(), value.as_bytes(), &mut encoded);
            let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
            let value_start = encoded.len() - value.len();
            let name_end = value_start - 1 - varint_len(value.len() as u64);
            labels.push(LabelAt {
                start: at(start),
                name: [at(name_end - name.len()), at(name_end)],
                value: [at(value_start), at(encoded.len())],
            });
        }
        let (encoded, labels) = (encoded.into_boxed_slice(), labels.into_boxed_slice());
        let mut owner = Self { level: entity.level, encoded, labels, name_cut: 0 };
        owner.name_cut = u32::try_from(owner.search(NAME).0).unwrap_or_default();
        owner
    }

    /// Its labels, as name and value.
    pub(super) fn labels(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.labels.iter().map(|label| (self.text(label.name), self.text(label.value)))
    }

    /// Where a label of a field belongs among the encoded ones: what stands between the two offsets
    /// is a label of the same name, which gives way.
    pub(super) fn cut(&self, name: &[u8]) -> (usize, usize) {
        // No label of a thing has the name that metrics have.
        if name == NAME {
            return (self.name_cut as usize, self.name_cut as usize);
        }
        self.search(name)
    }

    fn search(&self, name: &[u8]) -> (usize, usize) {
        let (from, to) = self.place(name);
        let offset = |place: usize| {
            self.labels.get(place).map_or(self.encoded.len(), |label| label.start as usize)
        };
        (offset(from), offset(to))
    }

    /// The same by the places of its labels.
    pub(super) fn place(&self, name: &[u8]) -> (usize, usize) {
        let from = self.labels.partition_point(|label| self.text(label.name) < name);
        let gives_way = self.labels.get(from).is_some_and(|label| self.text(label.name) == name);
        (from, from + usize::from(gives_way))
    }

    fn text(&self, [start, end]: [u32; 2]) -> &[u8] {
        &self.encoded[start as usize..end as usize]
    }
}

impl Part {
    pub(super) fn new(name: &[u8], value: &[u8]) -> Self {
        let mut encoded = Vec::new();
        append(name, value, &mut encoded);
        Self { name: name.into(), value: value.into(), encoded: encoded.into() }
    }
}

/// Appends a label as the field of a series: its name and its value.
fn append(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    open(1, field_len(name.len()) + field_len(value.len()), out);
    bytes_field(1, name, out);
    bytes_field(2, value, out);
}

#[cfg(test)]
mod tests {
    use heapster_shared::entity::{Definition, EntityTable, Labels};

    use super::*;

    fn owner(labels: &[(&str, &str)]) -> Owner {
        let entity = EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Pod,
            name: "web-1".into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: labels.iter().copied().collect::<Labels>(),
        });
        Owner::new("lab", &entity, &LabelRules::default())
    }

    #[test]
    fn labels_are_read_back_as_they_were_given() {
        let long = "x".repeat(300);
        let owner = owner(&[("Zone", &long)]);
        let labels: Vec<_> = owner.labels().collect();
        let wanted: [(&[u8], &[u8]); 3] =
            [(b"Zone", long.as_bytes()), (b"cluster_name", b"lab"), (b"pod_name", b"web-1")];
        assert_eq!(labels, wanted);
    }

    /// `__name__` sorts behind capitals, and a field's label replaces that of the thing.
    #[test]
    fn labels_of_fields_go_where_they_sort() {
        let owner = owner(&[("Zone", "a"), ("resource_id", "b")]);
        let (from, to) = owner.cut(NAME);
        assert_eq!((from, to), (owner.labels[1].start as usize, from));
        let (from, to) = owner.cut(b"resource_id");
        assert_eq!((from, to), (owner.labels[3].start as usize, owner.encoded.len()));
        assert_eq!(owner.cut(b"zz"), (owner.encoded.len(), owner.encoded.len()));
        assert_eq!(owner.place(b"resource_id"), (3, 4));
        assert_eq!(owner.place(b"b"), (1, 1));
    }
}
