//! A line a sample: the encoder of all protocols whose lines have a single value. What is the same
//! for every line of an entity or a field is written once and kept; a sample then costs a few copies
//! and two numbers.

use std::sync::{Arc, Mutex, PoisonError};

use heapster_shared::{
    entity::Entity,
    row::{Cell, Row, RowBatch},
    schema::{Field, Layout, ValueType},
};

use super::{SinkError, apart, lines::Body, weak_cache::WeakCache};
use crate::delivery::Payload;

/// How a protocol writes a line.
pub(super) trait LineFormat: Send + 'static {
    /// What each line of this entity has; `None` when its rows are not written.
    fn entity(&self, cluster: &str, entity: &Entity) -> Option<Box<[u8]>>;

    /// What each line of this field has; `None` when it is not written.
    fn field(&self, field: &Field) -> Option<FieldText>;

    /// The sample's time, from milliseconds since 1970 to the unit of the protocol.
    fn time(&self, time_ms: i64) -> i64;

    /// Appends a line.
    fn line(&self, out: &mut Vec<u8>, line: &Line<'_>);
}

/// What each line of a field has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct FieldText {
    /// Its name.
    pub(super) name: Box<[u8]>,
    /// The labels that tell fields of one metric apart.
    pub(super) labels: Box<[u8]>,
}

/// One sample and what its line is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// From [`LineFormat::entity`].
    pub(super) entity: &'a [u8],
    /// From [`LineFormat::field`].
    pub(super) field: &'a FieldText,
    /// Finite.
    pub(super) value: Number,
    /// From [`LineFormat::time`], and in digits.
    pub(super) time: (i64, &'a str),
}

/// A value of a sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    /// Of an integer metric.
    Int(i64),
    /// Of any other.
    Real(f64),
}

impl Number {
    fn of(cell: Cell, value_type: ValueType) -> Self {
        match value_type {
            ValueType::Int64 => Self::Int(cell.as_int().unwrap_or_default()),
            ValueType::Double => Self::Real(cell.as_real().unwrap_or_default()),
        }
    }

    const fn is_finite(self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Real(value) => value.is_finite(),
        }
    }

    /// Whether it is less than 0.
    pub(super) const fn is_negative(self) -> bool {
        match self {
            Self::Int(value) => value < 0,
            Self::Real(value) => value < 0.0,
        }
    }

    /// Appends its decimal digits.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Int(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Self::Real(value) => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
            }
        }
    }
}

/// What became of some rows.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The lines, in bodies of limited size.
    pub(super) bodies: Vec<Body>,
    /// Samples that no line can carry, because they are infinite.
    pub(super) infinite: u64,
    /// Samples that are not written because the format leaves their entity or field out.
    pub(super) left_out: u64,
}

/// Rows to lines; keeps what it has worked out for entities and layouts that are still alive.
#[derive(Debug)]
pub(super) struct SampleLines<F> {
    format: F,
    body_bytes: usize,
    entities: WeakCache<Entity, Option<Box<[u8]>>>,
    fields: WeakCache<Layout, Arc<[Option<FieldText>]>>,
}

impl<F: LineFormat> SampleLines<F> {
    /// An encoder that starts a new body after `body_bytes`.
    pub(super) fn new(format: F, body_bytes: usize) -> Self {
        let (entities, fields) = (WeakCache::default(), WeakCache::default());
        Self { format, body_bytes, entities, fields }
    }

    /// The lines of some batches.
    pub(super) fn encode<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a RowBatch>,
    ) -> Encoded {
        let mut encoded = Encoded::default();
        let mut body = Body::default();
        for batch in batches {
            for block in &batch.blocks {
                let Self { format, .. } = self;
                let fields = Arc::clone(self.fields.get(block.layout(), |layout| {
                    layout.fields().iter().map(|field| format.field(field)).collect()
                }));
                for row in block.rows() {
                    self.row(&batch.cluster, &row, &fields, &mut body, &mut encoded);
                    if body.text.len() >= self.body_bytes {
                        let next = Body::with_room(body.text.len());
                        encoded.bodies.push(std::mem::replace(&mut body, next));
                    }
                }
            }
        }
        if !body.lines.is_empty() {
            encoded.bodies.push(body);
        }
        encoded
    }

    fn row(
        &mut self,
        cluster: &str,
        row: &Row<'_>,
        fields: &[Option<FieldText>],
        body: &mut Body,
        encoded: &mut Encoded,
    ) {
        let Self { format, .. } = self;
        let entity = self.entities.get(&row.head.entity, |entity| format.entity(cluster, entity));
        let time = format.time(row.head.time_ms);
        let mut digits = itoa::Buffer::new();
        let time = (time, digits.format(time));
        for ((field, definition), cell) in fields.iter().zip(row.layout.fields()).zip(row.cells) {
            if cell.is_absent() {
                continue;
            }
            let (Some(entity), Some(field)) = (entity, field) else {
                encoded.left_out += 1;
                continue;
            };
            let value = Number::of(*cell, definition.metric.value_type());
            if !value.is_finite() {
                encoded.infinite += 1;
                continue;
            }
            format.line(&mut body.text, &Line { entity, field, value, time });
            body.end_line(1);
        }
    }
}

/// An encoder that a sink shares with the threads that encode for it.
#[derive(Debug)]
pub(super) struct SharedLines<F>(Arc<Mutex<SampleLines<F>>>);

impl<F: LineFormat> SharedLines<F> {
    /// See [`SampleLines::new`].
    pub(super) fn new(format: F, body_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(SampleLines::new(format, body_bytes))))
    }

    /// The lines of the rows among these payloads, made where it holds up nobody.
    ///
    /// # Errors
    /// When encoding panicked.
    pub(super) async fn encode(&self, payloads: &[Payload]) -> Result<Encoded, SinkError> {
        let rows = apart::rows(payloads);
        if rows.is_empty() {
            return Ok(Encoded::default());
        }
        let lines = Arc::clone(&self.0);
        apart::apart(move || {
            // A panic in here leaves at worst an entry of a cache unmade.
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.encode(rows.iter().map(Arc::as_ref))
        })
        .await
    }
}

#[cfg(test)]
pub(super) mod testing;

#[cfg(test)]
mod tests {
    use heapster_shared::schema::table;

    use super::*;

    struct Plain;

    impl LineFormat for Plain {
        fn entity(&self, _: &str, entity: &Entity) -> Option<Box<[u8]>> {
            (entity.name != "shop").then(|| entity.name.as_bytes().into())
        }

        fn field(&self, _: &Field) -> Option<FieldText> {
            Some(FieldText::default())
        }

        fn time(&self, time_ms: i64) -> i64 {
            time_ms
        }

        fn line(&self, out: &mut Vec<u8>, line: &Line<'_>) {
            out.extend_from_slice(line.entity);
            line.value.write(out);
        }
    }

    /// Every sample is a line, or counted as one that is left out or cannot be written.
    #[test]
    fn every_sample_is_accounted_for() {
        let fields = vec![
            Field::plain(table::NETWORK_RX_RATE.def()),
            Field::plain(table::MEMORY_USAGE.def()),
            Field::plain(table::MEMORY_RSS.def()),
        ];
        let cells = [Cell::real(f64::INFINITY), Cell::int(-7), Cell::ABSENT];
        let batch = testing::batch(fields, &cells);
        let mut lines = SampleLines::new(Plain, 20);
        let encoded = lines.encode([&batch]);
        let written: u64 = encoded.bodies.iter().map(Body::samples).sum();
        assert_eq!((written, encoded.infinite, encoded.left_out), (5, 5, 2));
        assert!(encoded.bodies.len() > 1, "a body ends when it is full");
        assert!(encoded.bodies[0].text.starts_with(b"lab-7"));
    }
}
