//! The metrics that Heapster knows, and how a row's fields are described.
//!
//! [`table::METRICS`] is the one list: `docs/storage-schema.md` and the schema endpoint are made
//! from it. Names, units and levels are those of the Go Heapster 1.5, so that dashboards move over.

mod layout;
pub mod table;

use std::sync::Arc;

pub(crate) use layout::Step;
pub use layout::{Derivation, Derived, Field, Layout, LayoutCache, Projection, RateUnit};

use crate::entity::Level;

/// Number of a metric in the schema: part of the wire format, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct MetricId(pub u32);

/// Whether a value is the state at a time or a total since a start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A total since the entity's start, which only a restart sets back.
    Cumulative,
    /// The state at the time of the sample.
    Gauge,
}

/// The type of a metric's values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// Signed 64-bit integers.
    Int64,
    /// IEEE 754 doubles.
    Double,
}

/// The unit of a metric's values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Thousandths of one CPU.
    Millicores,
    /// Per cent, 0 to 100.
    Percent,
    /// A part of a whole, 1 being all of it.
    Ratio,
    /// Things or bytes a second.
    PerSecond,
}

impl Unit {
    /// The unit as the schema endpoint names it; a count has no unit, as in the ancestor.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
            Self::Nanoseconds => "ns",
            Self::Millicores => "millicores",
            Self::Percent => "percent",
            Self::Ratio => "ratio",
            Self::PerSecond => "1/s",
        }
    }
}

/// The labels that tell fields of one metric apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldLabels {
    /// The metric has one value an entity.
    None,
    /// `resource_id`: a device, or a volume as `Volume:NAME`.
    Resource,
    /// `make`, `model`, `accelerator_id`.
    Accelerator,
}

impl FieldLabels {
    /// The names of the labels.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Resource => &["resource_id"],
            Self::Accelerator => &["make", "model", "accelerator_id"],
        }
    }
}

/// One metric of the schema.
#[derive(Debug)]
pub struct MetricDef {
    /// Number on the wire.
    pub id: MetricId,
    /// Name, `group/what`.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// Type of the values.
    pub value_type: ValueType,
    /// Unit of the values.
    pub unit: Unit,
    /// Levels at which it is measured or summed.
    pub levels: &'static [Level],
    /// Labels that its fields carry.
    pub labels: FieldLabels,
    /// The counter whose increase a second this metric is.
    pub rate_of: Option<MetricId>,
    /// What it says, in a sentence.
    pub description: &'static str,
}

/// A metric that the table does not have, known by the name its buddy gave it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CustomMetric {
    /// Full name, `custom/NAME`.
    pub name: Arc<str>,
    /// Counter or gauge.
    pub kind: Kind,
    /// Type of the values.
    pub value_type: ValueType,
    /// Unit as its buddy names it; may be empty.
    pub unit: Arc<str>,
}

impl CustomMetric {
    /// Whether a custom metric may have this name, `custom/` apart: letters, digits and `_-./:`.
    #[must_use]
    pub fn is_legal_name(name: &str) -> bool {
        !name.is_empty() && name.chars().all(Self::is_legal_in_names)
    }

    /// Whether this may be part of a name.
    #[must_use]
    pub fn is_legal_in_names(character: char) -> bool {
        character.is_ascii_alphanumeric() || "_-./:".contains(character)
    }
}

/// A metric of the table or a custom one.
#[derive(Clone, Debug)]
pub enum Metric {
    /// Of the table.
    Known(&'static MetricDef),
    /// By name.
    Custom(Arc<CustomMetric>),
}

impl Metric {
    /// Full name, such as `cpu/usage` or `custom/queue_length`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Known(def) => def.name,
            Self::Custom(custom) => &custom.name,
        }
    }

    /// Counter or gauge.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Known(def) => def.kind,
            Self::Custom(custom) => custom.kind,
        }
    }

    /// Type of the values.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Known(def) => def.value_type,
            Self::Custom(custom) => custom.value_type,
        }
    }

    /// The metric that is the rate of this counter, where there is one.
    #[must_use]
    pub fn rate(&self) -> Option<&'static MetricDef> {
        match self {
            Self::Known(def) => table::rate_of(def.id),
            Self::Custom(_) => None,
        }
    }
}

impl From<&'static MetricDef> for Metric {
    fn from(def: &'static MetricDef) -> Self {
        Self::Known(def)
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a.id == b.id,
            (Self::Custom(a), Self::Custom(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Metric {}

impl std::hash::Hash for Metric {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Known(def) => def.id.hash(state),
            Self::Custom(custom) => custom.hash(state),
        }
    }
}
