//! What waits for a sink and what it is writing, bounded in bytes together.

use std::{collections::VecDeque, time::Duration};

use heapster_shared::event::Event;
use tokio::time::Instant;

use crate::delivery::{Payload, Ticket};

/// What goes when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FullPolicy {
    /// The oldest payload is dropped and counted: this sink has a hole, and nobody else notices.
    DropOldest,
    /// The oldest payload is given back with [`crate::delivery::Outcome::Retry`] and counted: its
    /// sender keeps it, and sends it again later, to the other sinks as well.
    GiveBackOldest,
}

/// A payload on its way to the peer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) payload: Payload,
    pub(super) ticket: Option<Ticket>,
    /// Samples or events in it.
    pub(super) samples: u64,
    bytes: usize,
    since: Instant,
    /// Whether it has to be written by itself, since a batch that it was part of was refused.
    alone: bool,
}

impl Entry {
    pub(super) fn new(payload: Payload, ticket: Option<Ticket>, now: Instant) -> Self {
        let (samples, bytes) = measure(&payload);
        Self { payload, ticket, samples, bytes, since: now, alone: false }
    }

    /// The tick of rows, or the time of the oldest event.
    pub(super) fn unix_ms(&self) -> i64 {
        match &self.payload {
            Payload::Rows(batch) => batch.tick.0,
            Payload::Events(batch) => batch.events.first().map_or(0, |event| event.last_unix_ms),
            Payload::RoundEnd { tick, .. } => tick.0,
        }
    }
}

/// Samples or events of a payload, and the memory that it takes.
fn measure(payload: &Payload) -> (u64, usize) {
    let frame = size_of::<Entry>();
    match payload {
        Payload::Rows(batch) => (batch.sample_count() as u64, frame + batch.size_bytes()),
        Payload::Events(batch) => {
            let bytes: usize = batch.events.iter().map(event_bytes).sum();
            (batch.events.len() as u64, frame + bytes)
        }
        Payload::RoundEnd { .. } => (0, frame),
    }
}

fn event_bytes(event: &Event) -> usize {
    let texts = [
        &event.uid,
        &event.kind,
        &event.reason,
        &event.message,
        &event.object_kind,
        &event.object_namespace,
        &event.object_name,
        &event.object_uid,
        &event.component,
        &event.host,
    ];
    size_of::<Event>() + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// Entries in the order in which they came. Those taken out to be written still count, until they
/// are done with or given back.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Entry>,
    waiting_samples: u64,
    bytes: usize,
    limit_bytes: usize,
}

impl Queue {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { waiting: VecDeque::new(), waiting_samples: 0, bytes: 0, limit_bytes }
    }

    /// Adds an entry; gives those that had to go for it, oldest first, which may be the entry
    /// itself. One that is larger than the whole queue is taken when there is nothing else, since
    /// it would never be written otherwise.
    #[must_use]
    pub(super) fn push(&mut self, entry: Entry) -> Vec<Entry> {
        self.bytes += entry.bytes;
        self.waiting_samples += entry.samples;
        let own_bytes = entry.bytes;
        self.waiting.push_back(entry);
        let mut gone = Vec::new();
        while self.bytes > self.limit_bytes && self.bytes > own_bytes {
            let Some(oldest) = self.pop() else { break };
            self.bytes -= oldest.bytes;
            gone.push(oldest);
        }
        gone
    }

    /// Takes the oldest entries, until they have this many samples.
    pub(super) fn take_batch(&mut self, samples: u64) -> Vec<Entry> {
        let mut batch: Vec<Entry> = Vec::new();
        let mut taken = 0;
        while taken < samples {
            let alone = self.waiting.front().is_some_and(|entry| entry.alone);
            if alone && !batch.is_empty() {
                break;
            }
            let Some(entry) = self.pop() else { break };
            taken += entry.samples;
            batch.push(entry);
            if alone {
                break;
            }
        }
        batch
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front()?;
        self.waiting_samples -= entry.samples;
        Some(entry)
    }

    /// Puts a batch that was not written back where it was.
    pub(super) fn give_back(&mut self, batch: Vec<Entry>, alone: bool) {
        for mut entry in batch.into_iter().rev() {
            self.waiting_samples += entry.samples;
            entry.alone |= alone;
            self.waiting.push_front(entry);
        }
    }

    /// Counts a batch no longer.
    pub(super) fn forget(&mut self, batch: &[Entry]) {
        self.bytes -= batch.iter().map(|entry| entry.bytes).sum::<usize>();
    }

    /// Takes all that waits, and counts it no longer.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        let all: Vec<Entry> = std::mem::take(&mut self.waiting).into();
        self.waiting_samples = 0;
        self.forget(&all);
        all
    }

    /// When a batch is to be written: at once when enough waits, else when the oldest entry has
    /// waited for the interval. `None` when nothing waits.
    pub(super) fn due(&self, batch_samples: u64, flush_interval: Duration) -> Option<Instant> {
        let oldest = self.waiting.front()?;
        if self.waiting_samples >= batch_samples || oldest.alone {
            return Some(oldest.since);
        }
        Some(oldest.since + flush_interval)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.waiting.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::EventBatch;

    /// A payload with this many events, told by its cluster's name.
    fn entry(name: &str, events: usize) -> Entry {
        let events = vec![Event::default(); events];
        let batch = EventBatch { cluster: name.into(), events };
        Entry::new(Payload::Events(Arc::new(batch)), None, Instant::now())
    }

    fn names(entries: &[Entry]) -> String {
        let name = |entry: &Entry| match &entry.payload {
            Payload::Events(batch) => batch.cluster.to_string(),
            other => panic!("{other:?}"),
        };
        entries.iter().map(name).collect()
    }

    fn one_bytes() -> usize {
        entry("x", 1).bytes
    }

    #[test]
    fn a_full_queue_loses_its_oldest() {
        let mut queue = Queue::new(3 * one_bytes());
        for name in ["a", "b", "c"] {
            assert!(queue.push(entry(name, 1)).is_empty());
        }
        assert_eq!(names(&queue.push(entry("d", 2))), "ab");
        assert_eq!(names(&queue.take_batch(u64::MAX)), "cd");
    }

    /// What is being written takes memory too, and cannot be dropped.
    #[test]
    fn entries_under_way_still_count() {
        let mut queue = Queue::new(2 * one_bytes());
        let _ = queue.push(entry("a", 1));
        let _ = queue.push(entry("b", 1));
        let batch = queue.take_batch(2);
        assert_eq!(names(&queue.push(entry("c", 1))), "c");
        queue.give_back(batch, false);
        assert_eq!(names(&queue.push(entry("d", 1))), "a");
        let batch = queue.take_batch(1);
        assert_eq!(names(&batch), "b");
        queue.forget(&batch);
        assert_eq!(queue.bytes(), one_bytes());
    }

    #[test]
    fn a_giant_is_taken_when_there_is_nothing_else() {
        let mut queue = Queue::new(one_bytes());
        assert_eq!(names(&queue.push(entry("a", 100))), "");
        assert_eq!(names(&queue.push(entry("b", 1))), "a");
        assert_eq!(names(&queue.push(entry("c", 100))), "b");
    }

    #[test]
    fn batches_end_at_their_size_and_round_suspects() {
        let mut queue = Queue::new(usize::MAX);
        for name in ["a", "b", "c", "d"] {
            let _ = queue.push(entry(name, 2));
        }
        let batch = queue.take_batch(3);
        assert_eq!(names(&batch), "ab");
        queue.give_back(batch, true);
        assert_eq!(names(&queue.take_batch(100)), "a");
        assert_eq!(names(&queue.take_batch(100)), "b");
        assert_eq!(names(&queue.take_batch(100)), "cd");
        assert!(queue.is_empty());
    }

    #[test]
    fn due_when_enough_waits_or_after_the_interval() {
        let mut queue = Queue::new(usize::MAX);
        let interval = Duration::from_secs(1);
        assert_eq!(queue.due(3, interval), None);
        let _ = queue.push(entry("a", 2));
        let since = queue.oldest().unwrap().since;
        assert_eq!(queue.due(3, interval), Some(since + interval));
        let _ = queue.push(entry("b", 1));
        assert_eq!(queue.due(3, interval), Some(since));
    }
}
