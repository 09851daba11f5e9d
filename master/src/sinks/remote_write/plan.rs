//! What the fields of a layout become, worked out once for each layout and level.

use std::sync::{Arc, OnceLock};

use heapster_shared::{
    entity::Level,
    schema::{Field, Layout, ValueType},
};

use super::owner::{NAME, Part};
use crate::{
    prometheus::{self, Family, LEVELS, level_index},
    sinks::LabelRules,
};

/// The fields of a layout at each level that it is met at.
#[derive(Debug, Default)]
pub(super) struct Plan {
    levels: [OnceLock<Arc<Fields>>; LEVELS.len()],
}

/// The fields of a layout at a level.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) fields: Box<[FieldPlan]>,
    /// Fields that are left out, because others have their name and labels in Prometheus.
    pub(super) clashing: Box<[usize]>,
}

/// One field: a series for each thing.
#[derive(Debug)]
pub(super) struct FieldPlan {
    /// Where its cell is.
    pub(super) index: usize,
    pub(super) value_type: ValueType,
    pub(super) family: Arc<Family>,
    /// The labels that its series has beside those of the thing, the name among them; sorted.
    pub(super) parts: Box<[Part]>,
}

impl Plan {
    /// The fields at a level; those that are new are shown to `learn`.
    pub(super) fn at(
        &self,
        level: Level,
        layout: &Layout,
        rules: &LabelRules,
        mut learn: impl FnMut(&Arc<Family>),
    ) -> &Arc<Fields> {
        self.levels[level_index(level)].get_or_init(|| {
            let fields = Fields::new(layout, level, rules);
            fields.fields.iter().for_each(|field| learn(&field.family));
            Arc::new(fields)
        })
    }
}

impl Fields {
    fn new(layout: &Layout, level: Level, rules: &LabelRules) -> Self {
        let mut fields: Vec<FieldPlan> = Vec::new();
        let mut clashing = Vec::new();
        for (index, field) in layout.fields().iter().enumerate() {
            let plan = FieldPlan::new(index, field, level, rules);
            if fields.iter().any(|other| other.parts == plan.parts) {
                clashing.push(index);
            } else {
                fields.push(plan);
            }
        }
        Self { fields: fields.into(), clashing: clashing.into() }
    }

    /// Whether it has a series with these labels.
    pub(super) fn has(&self, parts: &[Part]) -> bool {
        self.fields.iter().any(|field| *field.parts == *parts)
    }
}

impl FieldPlan {
    fn new(index: usize, field: &Field, level: Level, rules: &LabelRules) -> Self {
        let family = Family::of(&field.metric, level);
        let labels = prometheus::of_field(field, |label| rules.name(label));
        let mut parts: Vec<Part> = labels
            .iter()
            .map(|(name, value)| Part::new(name.as_bytes(), value.as_bytes()))
            .collect();
        parts.push(Part::new(NAME, family.name.as_bytes()));
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        let value_type = field.metric.value_type();
        Self { index, value_type, family: Arc::new(family), parts: parts.into() }
    }
}
