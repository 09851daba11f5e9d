//! What the fields of a layout become at a level, worked out once: metrics, each with the points of
//! the fields that share its name.

use std::sync::OnceLock;

use heapster_shared::{
    entity::Level,
    schema::{Field, Layout, ValueType},
};

use super::{
    names::{Instrument, Name, name},
    resource::append,
};
use crate::sinks::{LabelRules, protobuf::bytes_field};

/// The metrics of a layout at each level that it is met at.
#[derive(Debug, Default)]
pub(super) struct Plan {
    levels: [OnceLock<Box<[MetricPlan]>>; 6],
}

/// One metric.
#[derive(Debug)]
pub(super) struct MetricPlan {
    /// Name, description and unit, encoded.
    pub(super) head: Vec<u8>,
    pub(super) instrument: Instrument,
    pub(super) points: Vec<PointPlan>,
    name: String,
}

/// One point: where its cell is and what becomes of it.
#[derive(Debug)]
pub(super) struct PointPlan {
    pub(super) index: usize,
    pub(super) value_type: ValueType,
    pub(super) divisor: f64,
    /// Whether it is written as an integer.
    pub(super) is_int: bool,
    /// Its attributes, encoded.
    pub(super) attributes: Vec<u8>,
}

impl Plan {
    pub(super) fn at(&self, level: Level, layout: &Layout, rules: &LabelRules) -> &[MetricPlan] {
        let place = match level {
            Level::Cluster => 0,
            Level::Namespace => 1,
            Level::Node => 2,
            Level::Pod => 3,
            Level::PodContainer => 4,
            Level::SysContainer => 5,
        };
        self.levels[place].get_or_init(|| metrics(layout, level, rules))
    }
}

fn metrics(layout: &Layout, level: Level, rules: &LabelRules) -> Box<[MetricPlan]> {
    let mut metrics: Vec<MetricPlan> = Vec::new();
    for (index, field) in layout.fields().iter().enumerate() {
        let name = name(field, level);
        let point = PointPlan::new(index, field, &name, rules);
        match metrics.iter_mut().find(|metric| metric.name == name.name) {
            Some(metric) => metric.points.push(point),
            None => metrics.push(MetricPlan::new(field, name, point)),
        }
    }
    metrics.into()
}

impl MetricPlan {
    fn new(field: &Field, name: Name, point: PointPlan) -> Self {
        let description = match &field.metric {
            heapster_shared::schema::Metric::Known(def) => def.description,
            heapster_shared::schema::Metric::Custom(_) => "",
        };
        let mut head = Vec::new();
        bytes_field(1, name.name.as_bytes(), &mut head);
        bytes_field(2, description.as_bytes(), &mut head);
        bytes_field(3, name.unit.as_bytes(), &mut head);
        Self { head, instrument: name.instrument, points: vec![point], name: name.name }
    }
}

impl PointPlan {
    fn new(index: usize, field: &Field, name: &Name, rules: &LabelRules) -> Self {
        let mut attributes = Vec::new();
        for (key, value) in &name.attributes {
            append(7, key, value, &mut attributes);
        }
        let labels = field.labels.iter().flat_map(|labels| labels.iter());
        for (label, value) in labels.filter(|_| !name.has_labels) {
            if let Some(key) = rules.name(label) {
                append(7, key, value, &mut attributes);
            }
        }
        let value_type = field.metric.value_type();
        // Whole bytes and counts stay whole; seconds and cores are parts.
        let is_int = value_type == ValueType::Int64 && name.divisor.to_bits() == 1f64.to_bits();
        Self { index, value_type, divisor: name.divisor, is_int, attributes }
    }
}
