//! Tests of the queue: what is written next, and what goes when it is full.

use heapster_shared::event::Event;

use super::*;
use crate::delivery::EventBatch;

/// A queue, and what makes entries for it.
struct Bench {
    room: Arc<Room>,
    queue: Queue,
}

/// Of an entry with one event.
fn one_bytes() -> usize {
    payload("x", 1).size_bytes()
}

/// A payload with this many events, told by its cluster's name.
fn payload(name: &str, events: usize) -> Payload {
    let events = vec![Event::default(); events];
    Payload::Events(Arc::new(EventBatch { cluster: name.into(), events }))
}

fn names(entries: &[Entry]) -> String {
    let name = |entry: &Entry| match &entry.payload {
        Payload::Events(batch) => batch.cluster.to_string(),
        other => panic!("{other:?}"),
    };
    entries.iter().map(name).collect()
}

impl Bench {
    /// With room for so many entries of one event.
    fn of(entries: usize) -> Self {
        let room = Arc::new(Room::new(entries * one_bytes()));
        Self { queue: Queue::new(Arc::clone(&room)), room }
    }

    /// Pushes an entry of a source; what had to go for it.
    fn push_of(&mut self, source: &str, backfill: bool, name: &str, events: usize) -> String {
        let origin = Origin { source: source.into(), backfill };
        let now = Instant::now();
        let entry = Entry::new(payload(name, events), origin, Slip::Payload(None), now, &self.room);
        names(&self.queue.push(entry))
    }

    fn push(&mut self, name: &str, events: usize) -> String {
        self.push_of("s", false, name, events)
    }

    fn take(&mut self, samples: u64) -> String {
        names(&self.queue.take_batch(samples))
    }
}

#[test]
fn a_full_queue_loses_its_oldest() {
    let mut bench = Bench::of(3);
    for name in ["a", "b", "c"] {
        assert_eq!(bench.push(name, 1), "");
    }
    assert_eq!(bench.push("d", 2), "ab");
    assert_eq!(bench.take(u64::MAX), "cd");
    assert_eq!(bench.queue.bytes(), 0);
}

/// What is being written takes memory too, and cannot be dropped.
#[test]
fn entries_under_way_still_count() {
    let mut bench = Bench::of(4);
    bench.push("a", 1);
    bench.push("b", 1);
    let batch = bench.queue.take_batch(2);
    assert_eq!(names(&batch), "ab");
    bench.push("c", 1);
    bench.push("d", 1);
    assert_eq!(bench.push("e", 1), "c");
    bench.queue.give_back(batch, false);
    assert_eq!(bench.push("f", 1), "a");
    let batch = bench.queue.take_batch(1);
    assert_eq!(names(&batch), "b");
    drop(batch);
    assert_eq!(bench.queue.bytes(), 3 * one_bytes());
}

/// A peer that hangs with a batch must not leave all of the room to those whose rows are in it.
#[test]
fn half_of_the_room_is_never_under_way() {
    let mut bench = Bench::of(8);
    for name in ["a", "b", "c", "d", "e", "f"] {
        bench.push_of("flood", false, name, 1);
    }
    let batch = bench.queue.take_batch(100);
    assert_eq!(names(&batch), "abcd");
    bench.push_of("other", false, "x", 1);
    assert_eq!(bench.push_of("flood", false, "g", 1), "");
    assert_eq!(bench.push_of("flood", false, "h", 1), "e", "the flood pushes out itself");
    assert_eq!(names(&batch), "abcd");
}

#[test]
fn a_giant_is_taken_when_there_is_nothing_else() {
    let mut bench = Bench::of(1);
    assert_eq!(bench.push("a", 100), "");
    assert_eq!(bench.push("b", 1), "a");
    assert_eq!(bench.push("c", 100), "b");
}

#[test]
fn batches_end_at_their_size_and_round_suspects() {
    let mut bench = Bench::of(100);
    for name in ["a", "b", "c", "d"] {
        bench.push(name, 2);
    }
    let batch = bench.queue.take_batch(3);
    assert_eq!(names(&batch), "ab");
    bench.queue.give_back(batch, true);
    assert_eq!([bench.take(100), bench.take(100), bench.take(100)], ["a", "b", "cd"]);
    assert!(bench.queue.is_empty());
}

#[test]
fn due_when_enough_waits_or_after_the_interval() {
    let mut bench = Bench::of(100);
    let interval = Duration::from_secs(1);
    assert_eq!(bench.queue.due(3, interval), None);
    bench.push("a", 2);
    let since = bench.queue.fronts().next().unwrap().since;
    assert_eq!(bench.queue.due(3, interval), Some(since + interval));
    bench.push("b", 1);
    assert_eq!(bench.queue.due(3, interval), Some(since));
    assert_eq!(bench.take(2), "a");
    let since = bench.queue.fronts().next().unwrap().since;
    assert_eq!(bench.queue.due(3, interval), Some(since + interval), "of the one that is left");
}

/// After an outage the graphs of now come before those of then, and what waits of then gives way.
#[test]
fn what_is_fresh_goes_before_what_is_backfilled() {
    let mut bench = Bench::of(4);
    assert_eq!(bench.push_of("s", true, "x", 1), "");
    assert_eq!(bench.push_of("s", true, "y", 1), "");
    assert_eq!(bench.push_of("s", true, "z", 1), "z", "it may have half of the queue");
    bench.push("a", 1);
    bench.push("b", 1);
    assert_eq!(bench.push("c", 1), "x");
    assert_eq!([bench.take(100), bench.take(100)], ["ab", "cy"]);
}

/// One that floods the queue pushes out itself, and delays nobody by more than a turn.
#[test]
fn sources_take_turns() {
    let mut bench = Bench::of(4);
    bench.push_of("flood", false, "a", 1);
    bench.push_of("other", false, "x", 1);
    assert_eq!(bench.push_of("flood", false, "b", 1), "");
    assert_eq!(bench.push_of("flood", false, "c", 1), "");
    assert_eq!(bench.push_of("flood", false, "d", 1), "a");
    assert_eq!(bench.push_of("other", false, "y", 1), "b");
    assert_eq!(bench.take(2), "cx", "one of each");
    let batch = bench.queue.take_batch(1);
    assert_eq!(names(&batch), "d");
    bench.queue.give_back(batch, false);
    assert_eq!(bench.take(100), "dy");
}
