//! What one poll gives: readings, one a thing, their cells in one list.
//!
//! Most of what a host says is what it said before: the same containers with the same names and the
//! same metrics, other numbers. [`Shapes`] remembers the former from poll to poll, so that a thing
//! which did not change costs its numbers and nothing else, here and in whatever takes the readings:
//! the same `Arc` says that nothing has changed.

mod recorder;
mod shapes;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use heapster_shared::{
    row::Cell,
    schema::{Field, Layout, LayoutCache},
};

use super::Subject;
pub use recorder::{Recalled, Recorder};
pub use shapes::Shapes;

/// What one poll of a host gave.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    readings: Vec<Reading>,
    cells: Vec<Cell>,
}

/// What one poll says of one thing.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Whose it is: the same `Arc` as long as the host says the same of it.
    pub subject: Arc<Subject>,
    /// Measured fields, each once; what the host does not give is left out.
    pub layout: Arc<Layout>,
    /// When the host took it, by its own clock, in milliseconds since 1970. A host that repeats a
    /// time has taken no new sample.
    pub time_ms: i64,
    /// Its counters count from here; 0 when not known.
    pub start_time_ms: i64,
    /// The CPU in use as the host itself works it out, in nanocores, over a time that it does not
    /// tell. Rows never have it: their rates follow from the counter. It is there for whoever has
    /// to answer after the first poll, when there is no other sample to compare with.
    pub given_cpu_nanocores: Option<u64>,
    first_cell: u32,
}

/// A reading by itself, for sources that remember nothing and for tests.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are those of `Reading`
pub struct PlainReading {
    pub subject: Subject,
    pub time_ms: i64,
    pub start_time_ms: i64,
    /// Measured fields, each once.
    pub values: Vec<(Field, Cell)>,
}

impl Readings {
    /// The readings as they are, each subject an `Arc` of its own.
    #[must_use]
    pub fn collect(plain: Vec<PlainReading>, layouts: &Layouts) -> Self {
        let mut readings = Self::default();
        for PlainReading { subject, time_ms, start_time_ms, values } in plain {
            let (fields, cells): (Vec<Field>, Vec<Cell>) = values.into_iter().unzip();
            let layout = layouts.layout(&fields);
            readings.push(Arc::new(subject), layout, (time_ms, start_time_ms), &cells);
        }
        readings
    }

    /// No readings yet, with room for these and some more.
    pub(crate) fn with_room_beyond(&self, readings: usize, cells: usize) -> Self {
        Self::with_room(self.readings.len() + readings, self.cells.len() + cells)
    }

    /// No readings yet, with room for some.
    fn with_room(readings: usize, cells: usize) -> Self {
        let (readings, cells) = (Vec::with_capacity(readings), Vec::with_capacity(cells));
        Self { readings, cells }
    }

    /// Each reading by itself.
    #[must_use]
    pub fn to_plain(&self) -> Vec<PlainReading> {
        let plain = |(reading, cells): (&Reading, &[Cell])| PlainReading {
            subject: Subject::clone(&reading.subject),
            time_ms: reading.time_ms,
            start_time_ms: reading.start_time_ms,
            values: reading.layout.measured().iter().cloned().zip(cells.iter().copied()).collect(),
        };
        self.iter().map(plain).collect()
    }

    /// Number of things that were read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.readings.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// The readings in order, each with a cell a measured field; counters as totals.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Reading, &[Cell])> {
        self.readings.iter().map(|reading| (reading, self.cells(reading)))
    }

    /// The reading at this place in the order, with a cell a measured field.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(&Reading, &[Cell])> {
        self.readings.get(index).map(|reading| (reading, self.cells(reading)))
    }

    /// The reading of the host as a whole.
    #[must_use]
    pub fn node(&self) -> Option<(&Reading, &[Cell])> {
        self.iter().find(|(reading, _)| matches!(*reading.subject, Subject::Node { .. }))
    }

    /// The cells of one of these readings.
    fn cells(&self, reading: &Reading) -> &[Cell] {
        let first = reading.first_cell as usize;
        &self.cells[first..first + reading.layout.measured().len()]
    }

    /// Adds a reading with a cell a measured field.
    ///
    /// # Panics
    /// When the number of cells is not that of the layout.
    pub fn push(
        &mut self,
        subject: Arc<Subject>,
        layout: Arc<Layout>,
        (time_ms, start_time_ms): (i64, i64),
        cells: &[Cell],
    ) {
        assert_eq!(cells.len(), layout.measured().len(), "cells of a reading");
        let first_cell = self.cells.len() as u32;
        self.cells.extend_from_slice(cells);
        let given_cpu_nanocores = None;
        self.readings.push(Reading {
            subject,
            layout,
            time_ms,
            start_time_ms,
            given_cpu_nanocores,
            first_cell,
        });
    }

    /// Adds to the newest reading what the host itself says of its CPU in use; see
    /// [`Reading::given_cpu_nanocores`].
    pub fn give_cpu_nanocores(&mut self, nanocores: Option<u64>) {
        if let Some(reading) = self.readings.last_mut() {
            reading.given_cpu_nanocores = nanocores;
        }
    }
}

/// The layouts of one source, shared by all hosts that it polls.
#[derive(Debug, Default)]
pub struct Layouts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    cache: LayoutCache,
    /// So many were in use when the unused were forgotten last.
    in_use: usize,
}

impl Layouts {
    /// The layout that measures these fields, in this order.
    #[must_use]
    pub fn layout(&self, fields: &[Field]) -> Arc<Layout> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.cache.len() > 64 + 2 * kept.in_use {
            kept.cache.prune();
            kept.in_use = kept.cache.len();
        }
        kept.cache.layout(fields)
    }
}
