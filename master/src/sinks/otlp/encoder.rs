//! Rows as `ResourceMetrics`, each a line of a request: a request is as many of them as there is room
//! for. Lengths come before what they are of, so each row is gone through twice, and nothing is
//! allocated for it.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    row::{Row, RowBatch},
    schema::Layout,
};

use super::{
    names::Instrument,
    plan::{MetricPlan, Plan, PointPlan},
    resource,
};
use crate::sinks::{
    LabelRules,
    lines::Body,
    protobuf::{bytes_field, double_field, field_len, fixed64_field, open, varint_field},
    weak_cache::WeakCache,
};

/// Rows to requests; keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct Encoder {
    labels: Arc<LabelRules>,
    body_bytes: usize,
    resources: WeakCache<Entity, Box<[u8]>>,
    plans: WeakCache<Layout, Plan>,
    /// Who wrote this, as the field of `ScopeMetrics`.
    scope: Vec<u8>,
    /// Lengths of the metrics of a row.
    lengths: Vec<Lengths>,
}

/// How long a metric of a row is, and its points alone.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    metric: usize,
    data: usize,
}

/// The times of a row, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Times {
    /// What sums count from; 0 when not known.
    start: u64,
    end: u64,
}

/// `AggregationTemporality.CUMULATIVE` as a field, and `is_monotonic` as another.
const TEMPORALITY_LEN: usize = 2;
const MONOTONIC_LEN: usize = 2;

impl Encoder {
    /// An encoder that starts a new request after `body_bytes`.
    pub(super) fn new(labels: Arc<LabelRules>, body_bytes: usize) -> Self {
        let mut inner = Vec::new();
        bytes_field(1, b"heapster", &mut inner);
        bytes_field(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut inner);
        let mut scope = Vec::new();
        bytes_field(1, &inner, &mut scope);
        let (resources, plans) = (WeakCache::default(), WeakCache::default());
        Self { labels, body_bytes, resources, plans, scope, lengths: Vec::new() }
    }

    /// The requests that these batches become.
    pub(super) fn encode<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a RowBatch>,
    ) -> Vec<Body> {
        let Self { labels, body_bytes, resources, plans, scope, lengths } = self;
        let (mut bodies, mut body) = (Vec::new(), Body::default());
        for batch in batches {
            for block in &batch.blocks {
                let plan = plans.get(block.layout(), |_| Plan::default());
                for row in block.rows() {
                    let entity = &row.head.entity;
                    let resource = resources
                        .get(entity, |entity| resource::encode(&batch.cluster, entity, labels));
                    let metrics = plan.at(entity.level, block.layout(), labels);
                    encode_row(&row, metrics, [resource, scope], lengths, &mut body);
                    if body.text.len() >= *body_bytes {
                        let next = Body::with_room(body.text.len());
                        bodies.push(std::mem::replace(&mut body, next));
                    }
                }
            }
        }
        if !body.lines.is_empty() {
            bodies.push(body);
        }
        bodies
    }
}

/// Appends a row, unless it has no value at all.
fn encode_row(
    row: &Row<'_>,
    metrics: &[MetricPlan],
    [resource, scope]: [&[u8]; 2],
    lengths: &mut Vec<Lengths>,
    body: &mut Body,
) {
    let nanoseconds = |ms: i64| u64::try_from(ms).unwrap_or_default().saturating_mul(1_000_000);
    let start_ms = row.head.entity.start_time_ms;
    let start_ms = if start_ms > row.head.time_ms { 0 } else { start_ms };
    let times = Times { start: nanoseconds(start_ms), end: nanoseconds(row.head.time_ms) };
    lengths.clear();
    lengths.extend(metrics.iter().map(|metric| measure(metric, row, times)));
    let with_points = |lengths: &&Lengths| lengths.metric > 0;
    let metrics_len: usize =
        lengths.iter().filter(with_points).map(|lengths| field_len(lengths.metric)).sum();
    if metrics_len == 0 {
        return;
    }
    let out = &mut body.text;
    let scope_len = scope.len() + metrics_len;
    open(1, resource.len() + field_len(scope_len), out);
    out.extend_from_slice(resource);
    open(2, scope_len, out);
    out.extend_from_slice(scope);
    let mut samples = 0;
    for (metric, lengths) in metrics.iter().zip(lengths.iter()) {
        if lengths.metric > 0 {
            samples += encode_metric(metric, *lengths, row, times, out);
        }
    }
    body.end_line(samples);
}

/// The points of a metric that a row has a value for.
fn points<'a>(metric: &'a MetricPlan, row: &Row<'a>) -> impl Iterator<Item = &'a PointPlan> {
    let cells = row.cells;
    metric.points.iter().filter(move |point| !cells[point.index].is_absent())
}

const fn point_len(point: &PointPlan, times: Times, instrument: Instrument) -> usize {
    // The time and the value are a key and eight bytes each, and so is the start.
    18 + start_len(times, instrument) + point.attributes.len()
}

const fn start_len(times: Times, instrument: Instrument) -> usize {
    if matches!(instrument, Instrument::Counter) && times.start > 0 { 9 } else { 0 }
}

fn measure(metric: &MetricPlan, row: &Row<'_>, times: Times) -> Lengths {
    let instrument = metric.instrument;
    let points = points(metric, row).map(|point| field_len(point_len(point, times, instrument)));
    let points: usize = points.sum();
    if points == 0 {
        return Lengths::default();
    }
    let about = match instrument {
        Instrument::Gauge => 0,
        Instrument::UpDownCounter => TEMPORALITY_LEN,
        Instrument::Counter => TEMPORALITY_LEN + MONOTONIC_LEN,
    };
    let data = points + about;
    Lengths { metric: metric.head.len() + field_len(data), data }
}

/// Appends a metric; says how many points it has.
fn encode_metric(
    metric: &MetricPlan,
    lengths: Lengths,
    row: &Row<'_>,
    times: Times,
    out: &mut Vec<u8>,
) -> u32 {
    let instrument = metric.instrument;
    open(2, lengths.metric, out);
    out.extend_from_slice(&metric.head);
    open(if instrument == Instrument::Gauge { 5 } else { 7 }, lengths.data, out);
    let mut count = 0;
    for point in points(metric, row) {
        open(1, point_len(point, times, instrument), out);
        if start_len(times, instrument) > 0 {
            fixed64_field(2, times.start, out);
        }
        fixed64_field(3, times.end, out);
        let cell = row.cells[point.index];
        if point.is_int {
            fixed64_field(6, cell.as_int().unwrap_or_default().cast_unsigned(), out);
        } else {
            let value = cell.to_real(point.value_type).unwrap_or_default();
            double_field(4, value / point.divisor, out);
        }
        out.extend_from_slice(&point.attributes);
        count += 1;
    }
    if instrument != Instrument::Gauge {
        varint_field(2, 2, out);
    }
    if instrument == Instrument::Counter {
        varint_field(3, 1, out);
    }
    count
}
