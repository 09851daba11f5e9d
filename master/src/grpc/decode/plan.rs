//! Where the fields of a layout come from on the wire, and what they are.

use heapster_shared::schema::{Layout, ValueType};

/// Where a field comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldPlan {
    pub(super) column: u16,
    pub(super) kind: FieldKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum FieldKind {
    Gauge,
    /// With its place among the counters.
    Counter(u16),
    Real,
    /// A counter of doubles has no increases.
    RealCounter(u16),
}

impl FieldPlan {
    /// Whether later rows may be differences to its values.
    pub(super) const fn is_integer(self) -> bool {
        matches!(self.kind, FieldKind::Gauge | FieldKind::Counter(_))
    }
}

/// The plans of the measured fields, of which these are the columns on the wire.
pub(super) fn plans(layout: &Layout, columns: &[usize]) -> Box<[FieldPlan]> {
    let measured = columns.iter().zip(layout.measured()).enumerate();
    let plan = measured.map(|(at, (column, field))| {
        let real = field.metric.value_type() == ValueType::Double;
        let kind = match (real, layout.counters().binary_search(&at)) {
            (false, Err(_)) => FieldKind::Gauge,
            (false, Ok(counter)) => FieldKind::Counter(small(counter)),
            (true, Err(_)) => FieldKind::Real,
            (true, Ok(counter)) => FieldKind::RealCounter(small(counter)),
        };
        FieldPlan { column: small(*column), kind }
    });
    plan.collect()
}

/// Indices of fields; a layout has no more than 4096.
fn small(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}
