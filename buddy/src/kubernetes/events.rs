//! The events of a cluster, from now on, each once.
//!
//! An event is known by its uid, and one that happens again comes with a higher count. Both are
//! remembered, so that what a new list says after a gap is passed on where it is news, and only
//! there. What there was before the watch began is no news, except where it happens again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use compact_str::CompactString;
use heapster_shared::{Map, event::Event, tick::unix_ms};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::{
    cluster::Cluster,
    state::{Board, WatchState},
    watch::Sink,
    wire::{EventObject, Object},
};

/// Events that wait for their reader. When it is full the watch waits, and the API server keeps the
/// events meanwhile: none is dropped here.
const QUEUE: usize = 1_024;
/// Events that are remembered, at 100 bytes or so each; then half of them, the oldest, are forgotten.
const REMEMBERED: usize = 100_000;
/// The clocks of the API server's clients and of this machine differ by less than this.
const CLOCK_SKEW_MS: i64 = 60_000;

/// The events of a cluster, as they happen. The watch ends with it.
pub struct EventWatch {
    events: mpsc::Receiver<Event>,
    board: Arc<Board>,
    counters: Arc<Counters>,
    _cluster: Arc<Cluster>,
    _stop: DropGuard,
}

impl EventWatch {
    /// Begins to watch.
    #[must_use]
    pub fn start(cluster: &Arc<Cluster>) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let board = Arc::new(Board::new(EventObject::RESOURCE));
        let counters = Arc::<Counters>::default();
        let news = News::new(sender, unix_ms(), Arc::clone(&counters));
        let watch = cluster.watch(&board, news).starting_now();
        let stop = tokio_util::sync::CancellationToken::new();
        cluster.spawn::<EventObject, _>(watch, stop.clone());
        let (_cluster, _stop) = (Arc::clone(cluster), stop.drop_guard());
        Self { events, board, counters, _cluster, _stop }
    }

    /// The next event that is new or happened again. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// How the watch does.
    #[must_use]
    pub fn state(&self) -> WatchState {
        self.board.state()
    }

    /// How many events there were so far.
    #[must_use]
    pub fn counts(&self) -> EventCounts {
        let Counters { observed, deduplicated } = &*self.counters;
        EventCounts { observed: observed.load(Relaxed), deduplicated: deduplicated.load(Relaxed) }
    }
}

/// How many events there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventCounts {
    /// Events that the API server told of, without those from before the start.
    pub observed: u64,
    /// Of those: told of before, with the same count, and not told again.
    pub deduplicated: u64,
}

#[derive(Debug, Default)]
struct Counters {
    observed: AtomicU64,
    deduplicated: AtomicU64,
}

/// Passes on what was not passed on before.
struct News {
    sender: mpsc::Sender<Event>,
    began_unix_ms: i64,
    passed_on: Map<CompactString, Passed>,
    counters: Arc<Counters>,
}

/// An event as it was passed on last.
#[derive(Clone, Copy)]
struct Passed {
    count: u32,
    last_unix_ms: i64,
}

impl News {
    fn new(sender: mpsc::Sender<Event>, began_unix_ms: i64, counters: Arc<Counters>) -> Self {
        Self { sender, began_unix_ms, passed_on: Map::default(), counters }
    }

    /// Whether an event is news, in which case it is remembered.
    fn is_news(&mut self, event: &Event) -> bool {
        let known = self.passed_on.get(event.uid.as_str());
        if known.is_some_and(|known| event.count <= known.count) {
            return false;
        }
        if self.passed_on.len() >= REMEMBERED {
            self.forget();
        }
        let passed = Passed { count: event.count, last_unix_ms: event.last_unix_ms };
        self.passed_on.insert(event.uid.as_str().into(), passed);
        true
    }

    fn forget(&mut self) {
        let mut times: Vec<i64> =
            self.passed_on.values().map(|passed| passed.last_unix_ms).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.passed_on.retain(|_, passed| passed.last_unix_ms > median);
    }

    async fn pass_on(&mut self, event: Event) {
        self.counters.observed.fetch_add(1, Relaxed);
        if self.is_news(&event) {
            // Fails only where the reader is gone, and then the watch is about to end.
            let _ = self.sender.send(event).await;
        } else {
            self.counters.deduplicated.fetch_add(1, Relaxed);
        }
    }
}

impl Sink<EventObject> for News {
    fn begin(&mut self) {}

    /// A list after a gap: what happened before the watch began is old, the rest may be news.
    async fn page(&mut self, objects: Vec<EventObject>) {
        let since = self.began_unix_ms - CLOCK_SKEW_MS;
        for event in objects.into_iter().map(Event::from) {
            if event.last_unix_ms >= since {
                self.pass_on(event).await;
            }
        }
    }

    fn complete(&mut self) {}

    async fn applied(&mut self, object: EventObject) {
        self.pass_on(object.into()).await;
    }

    /// It expired; that it happened is still true.
    fn deleted(&mut self, _: EventObject) {}

    fn len(&self) -> usize {
        self.passed_on.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(uid: &str, count: u32, last_unix_ms: i64) -> Event {
        Event { uid: uid.into(), count, last_unix_ms, ..Event::default() }
    }

    #[test]
    fn an_event_is_news_once_for_each_count() {
        let mut news = News::new(mpsc::channel(1).0, 0, Arc::default());
        assert!(news.is_news(&event("a", 1, 1)));
        assert!(!news.is_news(&event("a", 1, 2)));
        assert!(news.is_news(&event("a", 3, 3)) && !news.is_news(&event("a", 2, 2)));
        assert!(news.is_news(&event("b", 1, 1)));
    }

    /// Memory is bounded; what is forgotten is the oldest, even where all have one time.
    #[test]
    fn only_so_many_are_remembered() {
        let mut news = News::new(mpsc::channel(1).0, 0, Arc::default());
        for index in 0..REMEMBERED + 10 {
            assert!(news.is_news(&event(&index.to_string(), 1, index as i64)));
        }
        assert!(news.passed_on.len() < REMEMBERED / 2 + 20);
        let newest = (REMEMBERED + 9).to_string();
        assert!(!news.is_news(&event(&newest, 1, 0)));
        let mut news = News::new(mpsc::channel(1).0, 0, Arc::default());
        for index in 0..2 * REMEMBERED {
            news.is_news(&event(&index.to_string(), 1, 7));
        }
        assert!(news.passed_on.len() <= REMEMBERED);
    }
}
