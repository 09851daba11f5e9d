//! Requests: series after series, in the form of version 1.0 or of 2.0.

use super::{
    Version,
    owner::Owner,
    plan::FieldPlan,
    symbols::{Symbols, append_refs},
};
use crate::sinks::{
    lines::Body,
    protobuf::{field_len, fixed64_field, open, varint_field, varint_len},
};

/// What one request carries; it may be parted between series.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// What every part needs: the symbols of version 2.0.
    pub(super) head: Vec<u8>,
    /// The series, each a line.
    pub(super) body: Body,
}

/// A value of a series.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) owner: &'a Owner,
    pub(super) field: &'a FieldPlan,
    /// The value's bits: of a NaN they say more than that it is none.
    pub(super) bits: u64,
    pub(super) time_ms: i64,
    /// What the owner's counters count from; 0 when not known.
    pub(super) start_time_ms: i64,
    /// 1, or 0 for what is no sample of ours.
    pub(super) samples: u32,
}

/// Puts series into requests of limited size.
#[derive(Debug)]
pub(super) struct Writer {
    body_bytes: usize,
    done: Vec<Request>,
    body: Body,
    form: Form,
}

#[derive(Debug)]
enum Form {
    One { cuts: Vec<(usize, usize)> },
    Two { symbols: Symbols, refs: Vec<u32> },
}

impl Writer {
    pub(super) fn new(version: Version, body_bytes: usize) -> Self {
        let form = match version {
            Version::One => Form::One { cuts: Vec::new() },
            Version::Two => Form::Two { symbols: Symbols::default(), refs: Vec::new() },
        };
        Self { body_bytes, done: Vec::new(), body: Body::default(), form }
    }

    /// Adds a series with a single value.
    pub(super) fn point(&mut self, point: Point<'_>) {
        let head_bytes = match &mut self.form {
            Form::One { cuts } => {
                series_of_one(point, cuts, &mut self.body.text);
                0
            }
            Form::Two { symbols, refs } => {
                series_of_two(point, symbols, refs, &mut self.body.text);
                symbols.encoded().len()
            }
        };
        self.body.end_line(point.samples);
        if self.body.text.len() + head_bytes >= self.body_bytes {
            self.end_request();
        }
    }

    /// Adds what has no samples, in the form of version 1.0.
    pub(super) fn metadata(&mut self, encoded: &[u8]) {
        if matches!(self.form, Form::One { .. }) {
            self.body.text.extend_from_slice(encoded);
            self.body.end_line(0);
        }
    }

    fn end_request(&mut self) {
        // The next one is likely to be as long.
        let next = Body::with_room(self.body.text.len());
        let body = std::mem::replace(&mut self.body, next);
        let head = match &mut self.form {
            Form::One { .. } => Vec::new(),
            Form::Two { symbols, .. } => symbols.take(),
        };
        self.done.push(Request { head, body });
    }

    pub(super) fn finish(mut self) -> Vec<Request> {
        if !self.body.lines.is_empty() {
            self.end_request();
        }
        self.done
    }
}

/// A series of version 1.0: `WriteRequest.timeseries`.
fn series_of_one(point: Point<'_>, cuts: &mut Vec<(usize, usize)>, out: &mut Vec<u8>) {
    let Point { owner, field, .. } = point;
    cuts.clear();
    cuts.extend(field.parts.iter().map(|part| owner.cut(&part.name)));
    let parts = field.parts.iter().zip(cuts.iter());
    let mut labels_len = owner.encoded.len();
    for (part, (from, to)) in parts.clone() {
        labels_len = labels_len + part.encoded.len() - (to - from);
    }
    let sample_len = sample_len(point.time_ms);
    open(1, labels_len + field_len(sample_len), out);
    let mut copied = 0;
    for (part, (from, to)) in parts {
        out.extend_from_slice(&owner.encoded[copied..*from]);
        out.extend_from_slice(&part.encoded);
        copied = *to;
    }
    out.extend_from_slice(&owner.encoded[copied..]);
    sample(point, sample_len, out);
}

/// A series of version 2.0: `Request.timeseries`.
fn series_of_two(point: Point<'_>, symbols: &mut Symbols, refs: &mut Vec<u32>, out: &mut Vec<u8>) {
    let Point { field, .. } = point;
    symbols.labels(point.owner, &field.parts, refs);
    let refs_len = refs.iter().map(|one| varint_len(u64::from(*one))).sum::<usize>();
    let help = u64::from(symbols.intern(field.family.help.as_bytes()));
    let unit = u64::from(symbols.intern(field.family.unit.as_bytes()));
    let metadata_len = 2 + 1 + varint_len(help) + 1 + varint_len(unit);
    let created = point.start_time_ms.cast_unsigned();
    let has_created = field.family.is_counter && created != 0;
    let created_len = if has_created { 1 + varint_len(created) } else { 0 };
    let sample_len = sample_len(point.time_ms);
    let lengths = [refs_len, sample_len, metadata_len].map(field_len);
    open(5, lengths.iter().sum::<usize>() + created_len, out);
    open(1, refs_len, out);
    append_refs(refs, out);
    sample(point, sample_len, out);
    open(5, metadata_len, out);
    varint_field(1, if field.family.is_counter { 1 } else { 2 }, out);
    varint_field(3, help, out);
    varint_field(4, unit, out);
    if has_created {
        varint_field(6, created, out);
    }
}

const fn sample_len(time_ms: i64) -> usize {
    9 + 1 + varint_len(time_ms.cast_unsigned())
}

/// A sample, which is the same in both versions.
fn sample(point: Point<'_>, len: usize, out: &mut Vec<u8>) {
    open(2, len, out);
    fixed64_field(1, point.bits, out);
    varint_field(2, point.time_ms.cast_unsigned(), out);
}
