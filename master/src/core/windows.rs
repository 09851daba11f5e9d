//! Rows of a longer interval made of those of shorter ones: what a sink with `min_interval` is given.
//!
//! Time is cut at the multiples of the interval since 1970. A window is what lies between two cuts,
//! the later one included, in one cluster. Of each entity and layout it makes one row, at the time of
//! the newest that it has, with that one's labels: of a counter the newest value, of a gauge the mean,
//! of an increase the sum, of a rate the sum of increases by the sum of their intervals. What it makes
//! does not depend on the order in which rows come, nor on how often one comes.
//!
//! A window closes when the round of its last tick is over; where nobody tells of that, some seconds
//! after it should have been, and one of the past some seconds after its newest row came. When windows
//! take more than a quarter of the room, the oldest close early. A row that comes after its window has
//! closed opens it again: what is made of it is true of what it was made of, at its own time.
//!
//! A window keeps the tickets of its rows, and gives them out newest tick first. Settled in that order,
//! what is sent again after a crash in between is the beginning of a window. So its row has an
//! earlier time, and takes the place of none that was made of the whole.

mod closed;
mod group;
mod groups;

use std::{sync::Arc, time::Duration};

use heapster_shared::{Map, row::RowBatch};

pub use self::closed::Closed;
use self::groups::Groups;
use super::room::{Place, Room};

/// How long a window waits, past its time, for what may still come.
pub const GRACE: Duration = Duration::from_secs(10);
/// What is remembered of a frame that waits for its answer.
const TICKET_BYTES: usize = 1 << 10;

/// The windows that are open, each with what stands for the tickets of its rows.
#[derive(Debug)]
pub struct Windows<T> {
    interval_ms: i64,
    room: Arc<Room>,
    /// In the order in which they were opened.
    open: Vec<Window<T>>,
    /// The newest round of each cluster that is over.
    ended: Map<Arc<str>, i64>,
}

#[derive(Debug)]
struct Window<T> {
    cluster: Arc<str>,
    end_ms: i64,
    /// All that came was of the past: no round will end for it.
    late: bool,
    opened_ms: i64,
    added_ms: i64,
    newest_tick: i64,
    tickets: Vec<(i64, T)>,
    groups: Groups,
    samples: u64,
    place: Place,
}

impl<T> Windows<T> {
    /// No windows yet, which take their memory of this room.
    #[must_use]
    pub fn new(interval: Duration, room: Arc<Room>) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { interval_ms, room, open: Vec::new(), ended: Map::default() }
    }

    /// Adds rows to their window.
    pub fn add(&mut self, batch: &RowBatch, ticket: Option<T>, backfill: bool, now_ms: i64) {
        let tick = batch.tick.0;
        let end_ms = tick.saturating_add((-tick).rem_euclid(self.interval_ms));
        let late = backfill || self.ended.get(&batch.cluster).is_some_and(|ended| *ended >= end_ms);
        let window = self.window(&batch.cluster, end_ms, now_ms);
        window.late &= late;
        window.added_ms = now_ms;
        window.newest_tick = window.newest_tick.max(tick);
        window.samples += batch.sample_count() as u64;
        let mut bytes = window.place.bytes();
        if let Some(ticket) = ticket {
            window.tickets.push((tick, ticket));
            bytes += TICKET_BYTES;
        }
        for block in &batch.blocks {
            let group = window.groups.of(block.layout());
            bytes += block.rows().map(|row| group.add(&row)).sum::<usize>();
        }
        window.place.set(bytes);
    }

    fn window(&mut self, cluster: &Arc<str>, end_ms: i64, now_ms: i64) -> &mut Window<T> {
        let same = |window: &Window<T>| window.end_ms == end_ms && window.cluster == *cluster;
        let index = self.open.iter().rposition(same).unwrap_or_else(|| {
            self.open.push(Window {
                cluster: Arc::clone(cluster),
                end_ms,
                late: true,
                opened_ms: now_ms,
                added_ms: now_ms,
                newest_tick: i64::MIN,
                tickets: Vec::new(),
                groups: Groups::default(),
                samples: 0,
                place: self.room.take(0),
            });
            self.open.len() - 1
        });
        &mut self.open[index]
    }

    /// Closes the windows of a cluster whose last round is over.
    pub fn end_round(&mut self, cluster: &Arc<str>, tick: i64) -> Vec<Closed<T>> {
        let ended = self.ended.entry(Arc::clone(cluster)).or_insert(tick);
        *ended = (*ended).max(tick);
        self.close(|window| !window.late && window.end_ms <= tick && window.cluster == *cluster)
    }

    /// Closes the windows whose time is over, and the oldest of those that take too much room.
    pub fn close_due(&mut self, now_ms: i64) -> Vec<Closed<T>> {
        for window in &mut self.open {
            // A clock that was set back.
            window.added_ms = window.added_ms.min(now_ms);
            window.opened_ms = window.opened_ms.min(now_ms);
        }
        let interval_ms = self.interval_ms;
        let mut closed = self.close(|window| window.due_ms(interval_ms) <= now_ms);
        let mut excess = self.bytes().saturating_sub(self.room.limit() / 4);
        let early = self.close(|window| {
            let goes = excess > 0;
            excess = excess.saturating_sub(window.place.bytes());
            goes
        });
        closed.extend(early.into_iter().map(|window| Closed { early: true, ..window }));
        closed
    }

    /// When [`Windows::close_due`] has something to do next.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        self.open.iter().map(|window| window.due_ms(self.interval_ms)).min()
    }

    /// Closes all.
    pub fn close_all(&mut self) -> Vec<Closed<T>> {
        self.close(|_| true)
    }

    /// Gives all up: the samples in them, and their tickets.
    pub fn give_up(&mut self) -> (u64, Vec<T>) {
        let mut samples = 0;
        let tickets = std::mem::take(&mut self.open).into_iter().flat_map(|window| {
            samples += window.samples;
            window.tickets.into_iter().map(|(_, ticket)| ticket)
        });
        let tickets = tickets.collect();
        (samples, tickets)
    }

    /// Samples that wait in windows.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.open.iter().map(|window| window.samples).sum()
    }

    /// What they take.
    fn bytes(&self) -> usize {
        self.open.iter().map(|window| window.place.bytes()).sum()
    }

    fn close(&mut self, mut which: impl FnMut(&Window<T>) -> bool) -> Vec<Closed<T>> {
        let closed = self.open.extract_if(.., |window| which(window));
        closed.map(Window::closed).collect()
    }
}

impl<T> Window<T> {
    fn due_ms(&self, interval_ms: i64) -> i64 {
        let grace_ms = i64::try_from(GRACE.as_millis()).unwrap_or(0);
        let from = if self.late { self.added_ms } else { self.opened_ms + interval_ms };
        from.saturating_add(grace_ms)
    }
}

#[cfg(test)]
mod tests;
