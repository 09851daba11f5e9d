//! Layouts: which fields a row has, and which of them follow from others.

mod projection;

use std::sync::Arc;

pub use projection::Projection;

use super::{Kind, Metric, MetricDef, Unit, ValueType, table};
use crate::{Map, entity::Labels};

/// One field of a row: a metric, and labels where the metric has several fields.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Field {
    /// What is measured.
    pub metric: Metric,
    /// `resource_id` and the like; `None` for no labels.
    pub labels: Option<Arc<Labels>>,
}

impl Field {
    /// A field without labels.
    #[must_use]
    pub fn plain(metric: &'static MetricDef) -> Self {
        Self { metric: Metric::Known(metric), labels: None }
    }

    /// A field of one device or volume.
    #[must_use]
    pub fn resource(metric: &'static MetricDef, resource_id: &str) -> Self {
        let labels = Labels::from_iter([(crate::tag::RESOURCE_ID, resource_id)]);
        Self { metric: Metric::Known(metric), labels: Some(Arc::new(labels)) }
    }
}

/// How a derived field follows from the measured ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivation {
    /// The increase of the measured counter at this index, over the row's interval.
    Rate {
        /// Index of the counter among the measured fields.
        counter: usize,
    },
    /// The time from the entity's start to the sample.
    Uptime,
}

/// A field that is worked out where rows are read, and never sent.
#[derive(Clone, Copy, Debug)]
pub struct Derived {
    /// Index of the field in the layout.
    pub field: usize,
    /// Where its value comes from.
    pub from: Derivation,
}

/// How a rate follows from an increase and an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateUnit {
    /// The increase a second, as a double.
    PerSecond,
    /// Nanoseconds of CPU time as whole thousandths of one CPU.
    Millicores,
}

impl RateUnit {
    /// That of a rate's metric.
    #[must_use]
    pub fn of(metric: &Metric) -> Self {
        match metric {
            Metric::Known(def)
                if def.unit == Unit::Millicores && def.value_type == ValueType::Int64 =>
            {
                Self::Millicores
            }
            _ => Self::PerSecond,
        }
    }
}

/// A [`Derived`] with what it takes looked up, so that a row costs its arithmetic only.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The rate of the increase at this place among the increases of a row.
    Rate { increase: usize, unit: RateUnit },
    /// The time from the entity's start to the sample.
    Uptime,
}

/// The fields of a row: first the measured ones, then those derived from them.
#[derive(Debug)]
pub struct Layout {
    fields: Box<[Field]>,
    measured: usize,
    counters: Box<[usize]>,
    derived: Box<[Derived]>,
    /// One a derived field.
    steps: Box<[Step]>,
}

impl Layout {
    /// The layout that measures these fields; rates and the uptime are added where they are not
    /// measured themselves.
    #[must_use]
    pub fn new(measured: Vec<Field>) -> Self {
        let count = measured.len();
        let counters: Box<[usize]> =
            (0..count).filter(|index| measured[*index].metric.kind() == Kind::Cumulative).collect();
        let mut fields = measured;
        let mut derived = Vec::new();
        let mut derive = |fields: &mut Vec<Field>, field: Field, from: Derivation| {
            if !fields[..count].contains(&field) {
                derived.push(Derived { field: fields.len(), from });
                fields.push(field);
            }
        };
        for counter in 0..count {
            if let Some(rate) = fields[counter].metric.rate() {
                let labels = fields[counter].labels.clone();
                let field = Field { metric: Metric::Known(rate), labels };
                derive(&mut fields, field, Derivation::Rate { counter });
            }
        }
        let uptime = Field::plain(table::UPTIME.def());
        derive(&mut fields, uptime, Derivation::Uptime);
        let steps = derived.iter().map(|derived| step(&fields, &counters, derived)).collect();
        Self {
            fields: fields.into_boxed_slice(),
            measured: count,
            counters,
            derived: derived.into_boxed_slice(),
            steps,
        }
    }

    /// All fields, measured ones first.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields that are measured and sent.
    #[must_use]
    pub fn measured(&self) -> &[Field] {
        &self.fields[..self.measured]
    }

    /// Indices of the measured fields that are counters, in order.
    #[must_use]
    pub fn counters(&self) -> &[usize] {
        &self.counters
    }

    /// The fields that follow from measured ones.
    #[must_use]
    pub fn derived(&self) -> &[Derived] {
        &self.derived
    }

    /// How the derived fields are worked out, one a field in their order.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Index of the field of this metric that has no labels.
    #[must_use]
    pub fn index_of(&self, metric: &'static MetricDef) -> Option<usize> {
        let wanted = Field::plain(metric);
        self.fields.iter().position(|field| *field == wanted)
    }
}

fn step(fields: &[Field], counters: &[usize], derived: &Derived) -> Step {
    match derived.from {
        Derivation::Rate { counter } => {
            let unit = RateUnit::of(&fields[derived.field].metric);
            // A rate is derived from a counter, and every counter is in the list.
            let increase = counters.partition_point(|known| *known < counter);
            Step::Rate { increase, unit }
        }
        Derivation::Uptime => Step::Uptime,
    }
}

/// One layout for each list of measured fields, so that rows of the same kind share theirs.
#[derive(Debug, Default)]
pub struct LayoutCache {
    layouts: Map<Vec<Field>, Arc<Layout>>,
}

impl LayoutCache {
    /// The layout that measures these fields, in this order.
    pub fn layout(&mut self, measured: &[Field]) -> Arc<Layout> {
        if let Some(layout) = self.layouts.get(measured) {
            return Arc::clone(layout);
        }
        let layout = Arc::new(Layout::new(measured.to_vec()));
        self.layouts.insert(measured.to_vec(), Arc::clone(&layout));
        layout
    }

    /// Forgets the layouts that nobody uses any more.
    pub fn prune(&mut self) {
        self.layouts.retain(|_, layout| Arc::strong_count(layout) > 1);
    }

    /// Number of layouts kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layouts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layouts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod's summed rate is measured as it is; a container's follows from its counter, and each
    /// device has a rate of its own.
    #[test]
    fn rates_follow_unless_measured() {
        let container = Layout::new(vec![
            Field::plain(table::CPU_USAGE.def()),
            Field::resource(table::DISK_IO_READ_BYTES.def(), "sda"),
            Field::resource(table::DISK_IO_READ_BYTES.def(), "sdb"),
        ]);
        let names: Vec<_> = container.fields().iter().map(|field| field.metric.name()).collect();
        let rate = "disk/io_read_bytes_rate";
        assert_eq!(names[3..], ["cpu/usage_rate", rate, rate, "uptime"]);
        assert_eq!(container.derived()[2].from, Derivation::Rate { counter: 2 });
        assert_eq!(container.fields()[5].labels, container.fields()[2].labels);

        let pod = Layout::new(vec![Field::plain(table::CPU_USAGE_RATE.def())]);
        assert_eq!(pod.derived().len(), 1);
        assert!(pod.counters().is_empty());
    }
}
