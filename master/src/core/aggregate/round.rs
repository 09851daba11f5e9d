//! The rows of one round that count towards its sums.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use heapster_shared::{
    Map,
    entity::{Entity, EntityId, Level},
    row::{Cell, Row},
    tag,
};

use super::{absent, add};

/// What an entity's values count towards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The namespace at this place.
    Of(u32),
    Node,
    /// A pod without a namespace.
    Nothing,
}

/// Rows that came for one tick, and who has ended it. A list of values, written on as rows come:
/// the sums are made once, when the round closes.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) deadline_ms: i64,
    pub(super) ended: BTreeSet<String>,
    pub(super) misses_rows: bool,
    senders: BTreeSet<String>,
    namespaces: Vec<Namespace>,
    places: Map<CompactString, u32>,
    parts: Vec<Part>,
    /// For each part as many values as are summed.
    values: Vec<Cell>,
    /// The parts of entities.
    rows: Map<EntityId, u32>,
}

#[derive(Debug)]
struct Namespace {
    name: CompactString,
    uid: CompactString,
}

/// Sums of a namespace.
#[derive(Debug)]
pub(super) struct Sum<'a> {
    pub(super) uid: &'a str,
    pub(super) values: Vec<Cell>,
}

/// The sums of a round.
#[derive(Debug)]
pub(super) struct RoundSums<'a> {
    /// By name.
    pub(super) namespaces: BTreeMap<&'a str, Sum<'a>>,
    /// Of the nodes, where there are any.
    pub(super) nodes: Option<Vec<Cell>>,
}

impl Round {
    /// An empty round, in the memory of one that is over.
    pub(super) fn renewed(mut self, deadline_ms: i64) -> Self {
        self.namespaces.clear();
        self.places.clear();
        self.parts.clear();
        self.values.clear();
        self.rows.clear();
        self.ended.clear();
        self.senders.clear();
        Self { deadline_ms, misses_rows: false, ..self }
    }

    /// Notes that a buddy sent rows.
    pub(super) fn sent_by(&mut self, buddy: &str) {
        if !self.senders.contains(buddy) {
            self.senders.insert(buddy.to_owned());
        }
    }

    /// Whether rows may be missing: some are known to be, or a buddy has not come to its end.
    pub(super) fn is_incomplete(&self) -> bool {
        self.misses_rows || !self.senders.is_subset(&self.ended)
    }

    /// Counts a row of a pod or a node; the newest of an entity counts.
    pub(super) fn count(&mut self, row: &Row<'_>, columns: &[Option<usize>]) {
        let entity = &row.head.entity;
        let part = match entity.level {
            Level::Pod => self.namespace_of(entity),
            _ => Part::Node,
        };
        let values = columns.iter().map(|at| at.map_or(Cell::ABSENT, |at| row.cells[at]));
        let next = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        let index = *self.rows.entry(entity.id).or_insert(next) as usize;
        if index == self.parts.len() {
            self.parts.push(part);
            self.values.extend(values);
            return;
        }
        self.parts[index] = part;
        let known = &mut self.values[index * columns.len()..(index + 1) * columns.len()];
        known.iter_mut().zip(values).for_each(|(known, value)| *known = value);
    }

    fn namespace_of(&mut self, pod: &Entity) -> Part {
        let Some(name) = pod.namespace().filter(|name| !name.is_empty()) else {
            return Part::Nothing;
        };
        let known = self.places.get(name).copied();
        let place = known.unwrap_or_else(|| {
            let place = u32::try_from(self.namespaces.len()).unwrap_or(u32::MAX);
            self.namespaces.push(Namespace { name: name.into(), uid: CompactString::default() });
            self.places.insert(name.into(), place);
            place
        });
        let namespace = &mut self.namespaces[place as usize];
        if namespace.uid.is_empty()
            && let Some(uid) = pod.label(tag::NAMESPACE_ID)
        {
            namespace.uid = uid.into();
        }
        Part::Of(place)
    }

    /// The sums, of rows with this many values.
    pub(super) fn sums(&self, width: usize) -> RoundSums<'_> {
        let mut sums: Vec<Option<Vec<Cell>>> = vec![None; self.namespaces.len()];
        let mut nodes = None;
        for (part, values) in self.parts.iter().zip(self.values.chunks_exact(width.max(1))) {
            let sum = match part {
                Part::Of(place) => &mut sums[*place as usize],
                Part::Node => &mut nodes,
                Part::Nothing => continue,
            };
            add(sum.get_or_insert_with(|| absent(width)), values);
        }
        let named = self.namespaces.iter().zip(sums);
        let named = named.filter_map(|(Namespace { name, uid }, values)| {
            Some((name.as_str(), Sum { uid, values: values? }))
        });
        RoundSums { namespaces: named.collect(), nodes }
    }
}
