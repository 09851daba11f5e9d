//! The samples of a host as they are written: protobuf, so that a later version may add to them.

use std::sync::Arc;

use heapster_shared::{
    entity::{Labels, Level},
    row::Cell,
    schema::{CustomMetric, Field, Kind, Metric, ValueType, table},
};

use crate::pipeline::plan::Plan;

/// A host.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::pipeline) struct KeptHost {
    #[prost(string, tag = "1")]
    pub(super) cluster: String,
    #[prost(string, tag = "2")]
    pub(super) host: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) layouts: Vec<KeptLayout>,
    /// Sorted by their keys when they were read.
    #[prost(message, repeated, tag = "4")]
    pub(super) things: Vec<KeptThing>,
}

/// The counters that some samples have.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::pipeline) struct KeptLayout {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<KeptField>,
}

/// A counter.
#[derive(Clone, PartialEq, prost::Message)]
struct KeptField {
    #[prost(string, tag = "1")]
    metric: String,
    /// Of a metric that the schema does not have.
    #[prost(string, optional, tag = "2")]
    custom_unit: Option<String>,
    /// Names and values in turn.
    #[prost(string, repeated, tag = "3")]
    labels: Vec<String>,
}

/// A thing and its newest sample.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::pipeline) struct KeptThing {
    #[prost(uint32, tag = "1")]
    pub(super) level: u32,
    #[prost(string, tag = "2")]
    pub(super) namespace: String,
    #[prost(string, tag = "3")]
    pub(super) pod: String,
    #[prost(string, tag = "4")]
    pub(super) name: String,
    #[prost(string, tag = "5")]
    pub(in crate::pipeline) uid: String,
    #[prost(sint64, tag = "6")]
    pub(in crate::pipeline) start_time_ms: i64,
    #[prost(sint64, optional, tag = "7")]
    pub(in crate::pipeline) row_time_ms: Option<i64>,
    /// One more than the place of its layout; 0 where there is no sample.
    #[prost(uint32, tag = "8")]
    pub(in crate::pipeline) layout: u32,
    #[prost(sint64, tag = "9")]
    pub(in crate::pipeline) time_ms: i64,
    #[prost(uint32, tag = "10")]
    pub(in crate::pipeline) interval_ms: u32,
    #[prost(int64, repeated, tag = "11")]
    pub(super) totals: Vec<i64>,
    #[prost(int64, repeated, tag = "12")]
    pub(super) increases: Vec<i64>,
}

/// What tells a thing of a host from others: level, namespace, pod, name.
pub(in crate::pipeline) type Key<'a> = (u32, &'a str, &'a str, &'a str);

/// The layouts that are written so far.
#[derive(Default)]
pub(super) struct Forms {
    pub(super) layouts: Vec<KeptLayout>,
    plans: Vec<*const Plan>,
}

impl Forms {
    /// The number of the counters of a plan.
    pub(super) fn layout(&mut self, plan: &Arc<Plan>) -> u32 {
        let address = Arc::as_ptr(plan);
        let known = self.plans.iter().position(|known| *known == address);
        let place = known.unwrap_or_else(|| {
            let measured = plan.layout.measured();
            let counters = plan.counters().iter().flatten();
            let fields = counters.map(|at| KeptField::of(&measured[at.field])).collect();
            self.layouts.push(KeptLayout { fields });
            self.plans.push(address);
            self.plans.len() - 1
        });
        place as u32 + 1
    }
}

impl KeptHost {
    /// The fields of each layout.
    pub(in crate::pipeline) fn layouts(&self) -> impl Iterator<Item = Vec<Field>> {
        self.layouts.iter().map(|layout| layout.fields.iter().map(KeptField::to_field).collect())
    }

    pub(in crate::pipeline) fn thing(&self, key: Key<'_>) -> Option<&KeptThing> {
        let found = self.things.binary_search_by(|thing| thing.key().cmp(&key));
        found.ok().map(|place| &self.things[place])
    }
}

impl KeptThing {
    pub(super) fn key(&self) -> Key<'_> {
        (self.level, &self.namespace, &self.pod, &self.name)
    }

    pub(in crate::pipeline) fn totals(&self) -> Vec<Cell> {
        self.totals.iter().map(|bits| Cell::int(*bits)).collect()
    }

    pub(in crate::pipeline) fn increases(&self) -> Vec<Cell> {
        self.increases.iter().map(|bits| Cell::int(*bits)).collect()
    }
}

impl KeptField {
    fn of(field: &Field) -> Self {
        let custom_unit = match &field.metric {
            Metric::Known(_) => None,
            Metric::Custom(metric) => Some(metric.unit.to_string()),
        };
        let labels = field.labels.iter().flat_map(|labels| labels.iter());
        Self {
            metric: field.metric.name().to_owned(),
            custom_unit,
            labels: labels.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect(),
        }
    }

    /// A metric that this version does not know becomes one that no reading has.
    fn to_field(&self) -> Field {
        let known = table::by_name(&self.metric).filter(|_| self.custom_unit.is_none());
        let metric = known.map_or_else(|| Metric::Custom(Arc::new(self.custom())), Metric::Known);
        let pairs = self.labels.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
        let labels: Labels = pairs.collect();
        Field { metric, labels: (!labels.is_empty()).then(|| Arc::new(labels)) }
    }

    fn custom(&self) -> CustomMetric {
        CustomMetric {
            name: self.metric.as_str().into(),
            kind: Kind::Cumulative,
            value_type: ValueType::Int64,
            unit: self.custom_unit.as_deref().unwrap_or_default().into(),
        }
    }
}

/// Only integers have increases; `i64::MIN` is no value, here as there.
pub(super) fn bits(cell: Cell) -> i64 {
    cell.as_int().unwrap_or(i64::MIN)
}

/// Part of the format: never another one.
pub(in crate::pipeline) const fn number(level: Level) -> u32 {
    match level {
        Level::Cluster | Level::Namespace => 0,
        Level::Node => 1,
        Level::Pod => 2,
        Level::PodContainer => 3,
        Level::SysContainer => 4,
    }
}
