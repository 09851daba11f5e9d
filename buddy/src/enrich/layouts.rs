//! Layouts with what enrichment adds, worked out once for all hosts that run alike.

use std::sync::Arc;

use heapster_shared::{
    Map,
    row::Cell,
    schema::{Field, Layout, MetricId, table},
};

use crate::source::Layouts;

/// What is added to a container of a pod.
pub(super) const OF_CONTAINER: [MetricId; 5] = [
    table::CPU_REQUEST,
    table::CPU_LIMIT,
    table::MEMORY_REQUEST,
    table::MEMORY_LIMIT,
    table::RESTART_COUNT,
];

/// What is added to a node.
pub(super) const OF_NODE: [MetricId; 8] = [
    table::CPU_NODE_CAPACITY,
    table::CPU_NODE_ALLOCATABLE,
    table::MEMORY_NODE_CAPACITY,
    table::MEMORY_NODE_ALLOCATABLE,
    table::CPU_REQUEST,
    table::CPU_LIMIT,
    table::MEMORY_REQUEST,
    table::MEMORY_LIMIT,
];

/// Which metrics are added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Added {
    /// All of [`OF_CONTAINER`].
    ToContainer,
    /// Those of [`OF_NODE`] whose bit is set.
    ToNode(u8),
}

/// A layout with the metrics that are added to it.
#[derive(Debug)]
pub(super) struct Widened {
    given: Arc<Layout>,
    added: Added,
    pub(super) layout: Arc<Layout>,
    /// Where the added metrics are. What was measured already is replaced: a source that works a
    /// request out from a weight knows it less well than who made the weight.
    places: Box<[u16]>,
}

/// Found by the address of the layout that the source gave, which is held here.
#[derive(Debug, Default)]
pub(super) struct WidenedLayouts {
    layouts: Layouts,
    known: Map<(usize, Added), Arc<Widened>>,
}

impl Added {
    /// What there is for a node.
    pub(super) fn to_node(cells: &[Cell; OF_NODE.len()]) -> Self {
        let bit = |bits: u8, cell: &Cell| bits << 1 | u8::from(!cell.is_absent());
        Self::ToNode(cells.iter().rev().fold(0, bit))
    }

    fn metrics(self) -> impl Iterator<Item = MetricId> {
        let (all, bits): (&[MetricId], u8) = match self {
            Self::ToContainer => (&OF_CONTAINER, u8::MAX),
            Self::ToNode(bits) => (&OF_NODE, bits),
        };
        all.iter().enumerate().filter(move |(place, _)| bits >> place & 1 == 1).map(|(_, id)| *id)
    }
}

impl Widened {
    /// Whether it is what these metrics make of this layout.
    pub(super) fn is_for(&self, given: &Arc<Layout>, added: Added) -> bool {
        Arc::ptr_eq(&self.given, given) && self.added == added
    }

    /// The cells of the widened layout: those that were measured, and one a metric that is added.
    pub(super) fn fill(
        &self,
        row: &mut Vec<Cell>,
        measured: &[Cell],
        added: impl Iterator<Item = Cell>,
    ) {
        row.clear();
        row.extend_from_slice(measured);
        row.resize(self.layout.measured().len(), Cell::ABSENT);
        for (place, cell) in self.places.iter().zip(added) {
            row[usize::from(*place)] = cell;
        }
    }
}

impl WidenedLayouts {
    /// The layout without any field.
    pub(super) fn empty(&self) -> Arc<Layout> {
        self.layouts.layout(&[])
    }

    pub(super) fn widen(&mut self, given: &Arc<Layout>, added: Added) -> Arc<Widened> {
        let key = (Arc::as_ptr(given).addr(), added);
        if let Some(known) = self.known.get(&key) {
            return Arc::clone(known);
        }
        let mut fields = given.measured().to_vec();
        let mut place = |id: MetricId| {
            let field = Field::plain(id.def());
            let known = fields.iter().position(|known| *known == field);
            let place = known.unwrap_or(fields.len());
            if known.is_none() {
                fields.push(field);
            }
            // A source gives 4096 fields at the most.
            u16::try_from(place).unwrap_or(u16::MAX)
        };
        let places = added.metrics().map(&mut place).collect();
        let layout = match fields.len() == given.measured().len() {
            true => Arc::clone(given),
            false => self.layouts.layout(&fields),
        };
        let widened = Arc::new(Widened { given: Arc::clone(given), added, layout, places });
        self.known.insert(key, Arc::clone(&widened));
        widened
    }

    /// Forgets what no host uses any more.
    pub(super) fn prune(&mut self) {
        self.known.retain(|_, widened| Arc::strong_count(widened) > 1);
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
