//! How the fields of a layout become time series, worked out once for each layout and level.

use std::hash::BuildHasher;

use heapster_shared::{
    entity::Level,
    row::{Cell, Row},
    schema::{Field, Layout, Metric, ValueType},
    tag,
};

use super::{
    descriptor::Descriptor,
    names::{AUTOSCALING, Form, Model, Name, Since, names},
    resource::Wanted,
    text,
};

const LEVELS: [Level; 6] = [
    Level::Cluster,
    Level::Namespace,
    Level::Node,
    Level::Pod,
    Level::PodContainer,
    Level::SysContainer,
];

/// The series of a layout at each level.
#[derive(Debug)]
pub(super) struct Plans {
    /// Tells the layout from others.
    pub(super) layout: u64,
    levels: [Vec<Series>; LEVELS.len()],
    /// The custom metrics among them.
    pub(super) descriptors: Vec<Descriptor>,
}

/// One series of a row.
#[derive(Debug)]
pub(super) struct Series {
    /// Index of its field, and that of the counter among counters.
    pub(super) field: usize,
    counter: Option<usize>,
    pub(super) model: Model,
    /// `{"metric":{"type":"...","labels":{...`
    pub(super) head: Vec<u8>,
    /// Whether labels of the entity need a comma in front.
    pub(super) has_labels: bool,
    /// `,"metricKind":...,"points":[{"interval":{`
    pub(super) middle: Vec<u8>,
    pub(super) since: Since,
    value: Value,
    /// 1; 0 for a second series of the same sample.
    pub(super) samples: u64,
}

/// How the value is worked out.
#[derive(Clone, Copy, Debug)]
enum Value {
    Int,
    Real,
    Over(ValueType, f64),
    Whole,
    Less(usize),
}

/// A value as it is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    Int(i64),
    Real(f64),
}

impl Plans {
    pub(super) fn new(
        layout: &Layout,
        models: &[Model],
        wanted: &Wanted<'_>,
        hashes: &impl BuildHasher,
    ) -> Self {
        let keys = wanted.keys();
        let plan = Planner { layout, models, wanted, keys };
        let mut descriptors = Vec::new();
        let levels = LEVELS.map(|level| plan.level(level, &mut descriptors));
        Self { layout: hashes.hash_one(layout.fields()), levels, descriptors }
    }

    pub(super) fn at(&self, level: Level) -> &[Series] {
        LEVELS.iter().position(|other| *other == level).map_or(&[], |at| &self.levels[at])
    }
}

struct Planner<'a> {
    layout: &'a Layout,
    models: &'a [Model],
    wanted: &'a Wanted<'a>,
    /// Keys that labels of entities have.
    keys: Vec<String>,
}

impl Planner<'_> {
    fn level(&self, level: Level, descriptors: &mut Vec<Descriptor>) -> Vec<Series> {
        let mut all = Vec::new();
        for (index, field) in self.layout.fields().iter().enumerate() {
            let before = all.len();
            for model in self.models {
                match model {
                    Model::Google | Model::Legacy => {
                        self.named(*model, level, index, field, &mut all)
                    }
                    // What has a name of Google's is not written twice.
                    Model::Custom if all.len() > before => {}
                    Model::Custom => all.push(self.custom(*model, index, field, descriptors)),
                    Model::Machine if is_autoscaling(field) && level == Level::Node => {
                        all.push(self.custom(*model, index, field, descriptors));
                    }
                    Model::Machine => {}
                }
            }
            for second in all.iter_mut().skip(before + 1) {
                second.samples = 0;
            }
        }
        all
    }

    fn named(
        &self,
        model: Model,
        level: Level,
        index: usize,
        field: &Field,
        all: &mut Vec<Series>,
    ) {
        let Metric::Known(def) = &field.metric else { return };
        for name in names(model, level, def) {
            if let Some(value) = self.value(field, name.form) {
                let labels = named_labels(name, field);
                all.push(self.series(model, index, name.name, &labels, name.since, value));
            }
        }
    }

    fn custom(
        &self,
        model: Model,
        index: usize,
        field: &Field,
        descriptors: &mut Vec<Descriptor>,
    ) -> Series {
        let metric = &field.metric;
        let name = text::custom_type(metric.name());
        let value = match metric.value_type() {
            ValueType::Int64 => Value::Int,
            ValueType::Double => Value::Real,
        };
        let labels = self.field_labels(field);
        if !descriptors.iter().any(|known| known.name == name) {
            let keys = if model == Model::Machine {
                vec![tag::HOSTNAME.to_owned()]
            } else {
                labels.iter().map(|(key, _)| key).chain(&self.keys).cloned().collect()
            };
            descriptors.push(Descriptor::new(name.clone(), metric, keys));
        }
        self.series(model, index, &name, &labels, Since::of(metric.kind()), value)
    }

    /// The labels of a field, less those whose keys an entity's may have.
    fn field_labels(&self, field: &Field) -> Vec<(String, String)> {
        let mut labels: Vec<(String, String)> = Vec::new();
        for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
            let Some(key) = self.wanted.rules.name(label).map(text::key) else { continue };
            let taken = self.keys.contains(&key) || labels.iter().any(|(other, _)| *other == key);
            if !taken {
                labels.push((key, value.to_owned()));
            }
        }
        labels
    }

    fn value(&self, field: &Field, form: Form) -> Option<Value> {
        Some(match form {
            Form::Int => Value::Int,
            Form::Over(divisor) => Value::Over(field.metric.value_type(), divisor),
            Form::Whole => Value::Whole,
            Form::Less(other) => Value::Less(self.layout.index_of(other.def())?),
        })
    }

    fn series(
        &self,
        model: Model,
        field: usize,
        name: &str,
        labels: &[(String, String)],
        since: Since,
        value: Value,
    ) -> Series {
        let mut pairs = Vec::new();
        for (key, value) in labels {
            text::pair(key, value, &mut pairs);
        }
        let mut head = b"{\"metric\":{\"type\":".to_vec();
        text::quoted(name, &mut head);
        head.extend_from_slice(b",\"labels\":{");
        head.extend_from_slice(&pairs);
        let kind = if since == Since::Gauge { "GAUGE" } else { "CUMULATIVE" };
        let middle = format!(
            ",\"metricKind\":\"{kind}\",\"valueType\":\"{}\",\"points\":[{{\"interval\":{{",
            if value.is_int() { "INT64" } else { "DOUBLE" }
        );
        let counter = self.layout.counters().binary_search(&field).ok();
        let (has_labels, middle) = (!pairs.is_empty(), middle.into_bytes());
        Series { field, counter, model, head, has_labels, middle, since, value, samples: 1 }
    }
}

fn is_autoscaling(field: &Field) -> bool {
    matches!(&field.metric, Metric::Known(def) if AUTOSCALING.contains(&def.id))
}

/// The labels of a series that Google has a name for.
fn named_labels(name: &Name, field: &Field) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some((key, value)) = name.label {
        labels.push((key.to_owned(), value.to_owned()));
    }
    for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
        if label != tag::RESOURCE_ID {
            labels.push((text::key(label), value.to_owned()));
        } else if !name.resource.is_empty() {
            let value = value.strip_prefix("Volume:").unwrap_or(value);
            labels.push((name.resource.to_owned(), value.to_owned()));
        }
    }
    labels
}

impl Value {
    const fn is_int(self) -> bool {
        matches!(self, Self::Int | Self::Whole | Self::Less(_))
    }
}

impl Series {
    /// Its value in a row; `None` when there is none.
    pub(super) fn value(&self, cells: &[Cell]) -> Option<Number> {
        let cell = cells[self.field];
        Some(match self.value {
            Value::Int => Number::Int(cell.as_int()?),
            Value::Real => Number::Real(cell.as_real()?),
            Value::Over(of, divisor) => Number::Real(cell.to_real(of)? / divisor),
            #[allow(clippy::cast_possible_truncation)] // what is larger stays at the largest
            Value::Whole => Number::Int(cell.as_real()?.round() as i64),
            Value::Less(other) => {
                Number::Int(cell.as_int()?.saturating_sub(cells[other].as_int()?))
            }
        })
    }

    /// Whether its total began anew within the row's interval: it is there, and its increase is not.
    pub(super) fn began_anew(&self, row: &Row<'_>) -> bool {
        let increase = self.counter.map(|counter| row.increases[counter]);
        row.head.interval_ms > 0 && increase.is_some_and(Cell::is_absent)
    }
}
