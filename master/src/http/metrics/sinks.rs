//! What `/metrics` says of sinks.

use std::collections::HashMap;

use super::{Column, seconds, write_columns};
use crate::{
    http::prometheus::{Exposition, Kind},
    status::SinkStatus,
};

const SINKS: &[Column<NamedSink>] = &[
    ("heapster_sink_ok", Kind::Gauge, "Whether its state is ok.", |it| {
        f64::from(u8::from(it.sink.state == "ok"))
    }),
    ("heapster_sink_required", Kind::Gauge, "Whether acknowledgements wait for it.", |it| {
        f64::from(u8::from(it.sink.required))
    }),
    (
        "heapster_sink_accepted_samples_total",
        Kind::Counter,
        "Samples offered to it that it wants.",
        |it| it.sink.accepted as f64,
    ),
    (
        "heapster_sink_accepted_rows_total",
        Kind::Counter,
        "Rows that these samples came in.",
        |it| it.sink.accepted_rows as f64,
    ),
    (
        "heapster_sink_filtered_samples_total",
        Kind::Counter,
        "Samples that its filters left out.",
        |it| it.sink.filtered as f64,
    ),
    ("heapster_sink_held_samples", Kind::Gauge, "Samples waiting for its min_interval.", |it| {
        it.sink.held as f64
    }),
    (
        "heapster_sink_merged_samples_total",
        Kind::Counter,
        "Samples that became one with others for its min_interval.",
        |it| it.sink.merged as f64,
    ),
    ("heapster_sink_delivered_samples_total", Kind::Counter, "Samples that its peer has.", |it| {
        it.sink.delivered as f64
    }),
    (
        "heapster_sink_rejected_samples_total",
        Kind::Counter,
        "Samples that its peer refused.",
        |it| it.sink.rejected as f64,
    ),
    (
        "heapster_sink_given_back_samples_total",
        Kind::Counter,
        "Samples its full queue gave back to their buddies.",
        |it| it.sink.given_back as f64,
    ),
    ("heapster_sink_retries_total", Kind::Counter, "Writes that failed and were repeated.", |it| {
        it.sink.retries as f64
    }),
    ("heapster_sink_queue_bytes", Kind::Gauge, "Bytes waiting.", |it| it.sink.queue_bytes as f64),
    ("heapster_sink_queue_limit_bytes", Kind::Gauge, "Bytes that may wait.", |it| {
        it.sink.queue_limit_bytes as f64
    }),
    (
        "heapster_sink_oldest_timestamp_seconds",
        Kind::Gauge,
        "Tick of the oldest payload waiting; 0 for none.",
        |it| seconds(it.sink.oldest_unix_ms),
    ),
    (
        "heapster_sink_lag_seconds",
        Kind::Gauge,
        "Age of the oldest payload waiting; 0 for none.",
        |it| it.sink.lag_ms as f64 / 1e3,
    ),
    (
        "heapster_sink_written_timestamp_seconds",
        Kind::Gauge,
        "When a write last succeeded; 0 for never.",
        |it| seconds(it.sink.written_unix_ms),
    ),
];

/// A sink and a name that no other has: two may write to different databases of one server.
struct NamedSink {
    name: String,
    sink: SinkStatus,
}

/// Writes the families of sinks.
pub(super) fn write(out: &mut Exposition, sinks: &[SinkStatus]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let named = sinks.iter().map(|sink| {
        let times = seen.entry(sink.name.clone()).or_default();
        *times += 1;
        let name = match *times {
            1 => sink.name.clone(),
            times => format!("{}#{times}", sink.name),
        };
        NamedSink { name, sink: sink.clone() }
    });
    let named: Vec<_> = named.collect();
    write_columns(out, SINKS, &named, |it| {
        vec![("sink", it.name.clone()), ("kind", it.sink.kind.clone())]
    });
    write_dropped(out, &named);
}

fn write_dropped(out: &mut Exposition, sinks: &[NamedSink]) {
    let help = "Samples lost to it, by reason.";
    let mut family = out.family("heapster_sink_dropped_samples_total", Kind::Counter, help);
    for NamedSink { name, sink } in sinks {
        let dropped = sink.dropped_by_reason;
        for (reason, samples) in [
            ("queue_full", dropped.queue_full),
            ("mailbox_full", dropped.mailbox_full),
            ("stopped", dropped.stopped),
        ] {
            let labels = [("sink", name.as_str()), ("kind", &sink.kind), ("reason", reason)];
            family.sample(&labels, samples as f64);
        }
    }
}
