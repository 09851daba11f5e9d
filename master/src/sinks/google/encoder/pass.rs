//! One pass over the rows of a write.

use heapster_shared::{Map, row::Row};

use super::{Encoded, requests::Requests};
use crate::sinks::google::{
    names::Since,
    pace::{Pace, Seen, Turn},
    plan::{Number, Plans, Series},
    resource::{EntityText, Part},
    text,
};

pub(super) const NO_START: &str =
    "a total without a known start before its sample cannot be written";
pub(super) const INFINITE: &str = "infinite values cannot be written";

/// What has come of the rows so far.
#[derive(Debug, Default)]
pub(super) struct Pass {
    now_ms: i64,
    encoded: Encoded,
    requests: Requests,
    planned: Map<u64, Seen>,
    /// The time of the row, and that at which a total began, as texts.
    end: Vec<u8>,
    start: Vec<u8>,
    /// What `start` says.
    start_ms: Option<i64>,
}

impl Pass {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { now_ms, ..Self::default() }
    }

    pub(super) fn finish(mut self) -> Encoded {
        self.encoded.waves = self.requests.finish();
        self.encoded
    }

    /// Takes a row.
    pub(super) fn row(&mut self, row: &Row<'_>, plans: &Plans, entity: &EntityText, pace: &Pace) {
        let series = plans.at(row.head.entity.level);
        let (key, time_ms) = (entity.key, row.head.time_ms);
        match pace.turn(&self.planned, key, time_ms, plans.layout, self.now_ms) {
            Turn::TooClose => {}
            Turn::Refused(why) => self.encoded.refuse(why, samples(series, row)),
            Turn::Written => {
                self.encoded.written += samples(series, row);
                self.encoded.rows.push((key, time_ms));
            }
            Turn::Write(seen) => {
                let seen = self.write(row, series, entity, seen);
                self.planned.insert(key, seen);
                self.encoded.rows.push((key, time_ms));
            }
        }
    }

    /// Writes the series of a row; gives what to remember of it.
    fn write(
        &mut self,
        row: &Row<'_>,
        series: &[Series],
        entity: &EntityText,
        mut seen: Seen,
    ) -> Seen {
        text::time(row.head.time_ms, &mut self.end);
        let anew_ms = row.head.time_ms - i64::from(row.head.interval_ms) + 1;
        let follows = seen.follows;
        for one in series.iter().filter(|one| follows && one.began_anew(row)) {
            seen.begin(one.field, anew_ms);
        }
        self.requests.begin_row(entity.key, &seen, series.len());
        for one in series {
            let Some(value) = one.value(row.cells) else { continue };
            if matches!(value, Number::Real(real) if !real.is_finite()) {
                self.encoded.refuse(INFINITE, one.samples);
            } else if self.begins(one, row, entity, &seen) {
                let out = self.requests.begin_series(one.samples);
                let times = Times { start: &self.start, end: &self.end };
                push(one, entity.part(one.model), &times, value, out);
            } else {
                self.encoded.refuse(NO_START, one.samples);
            }
        }
        seen
    }

    /// Works out when a total began; whether it can be written.
    fn begins(&mut self, one: &Series, row: &Row<'_>, entity: &EntityText, seen: &Seen) -> bool {
        let begin_ms = match one.since {
            Since::Gauge => return true,
            Since::Start => seen.start(one.field, row.head.entity.start_time_ms),
            Since::PodStart => seen.start(one.field, entity.pod_start_ms),
        };
        if self.start_ms != Some(begin_ms) {
            text::time(begin_ms, &mut self.start);
            self.start_ms = Some(begin_ms);
        }
        begin_ms > 0 && begin_ms < row.head.time_ms
    }
}

/// The samples of a row that have a series.
fn samples(series: &[Series], row: &Row<'_>) -> u64 {
    let there = series.iter().filter(|series| series.value(row.cells).is_some());
    there.map(|series| series.samples).sum()
}

/// The times of a point.
struct Times<'a> {
    start: &'a [u8],
    end: &'a [u8],
}

/// Appends a series with its point.
fn push(one: &Series, part: &Part, times: &Times<'_>, value: Number, out: &mut Vec<u8>) {
    out.extend_from_slice(&one.head);
    if one.has_labels && !part.labels.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(&part.labels);
    out.extend_from_slice(&part.resource);
    out.extend_from_slice(&one.middle);
    if one.since != Since::Gauge {
        out.extend_from_slice(b"\"startTime\":\"");
        out.extend_from_slice(times.start);
        out.extend_from_slice(b"\",");
    }
    out.extend_from_slice(b"\"endTime\":\"");
    out.extend_from_slice(times.end);
    out.extend_from_slice(b"\"},\"value\":{");
    match value {
        Number::Int(int) => {
            // 64 bits are a text in JSON, which has doubles only.
            out.extend_from_slice(b"\"int64Value\":\"");
            out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
            out.extend_from_slice(b"\"}}]}");
        }
        Number::Real(real) => {
            out.extend_from_slice(b"\"doubleValue\":");
            out.extend_from_slice(ryu::Buffer::new().format_finite(real).as_bytes());
            out.extend_from_slice(b"}}]}");
        }
    }
}
