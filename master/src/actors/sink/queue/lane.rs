//! Entries that wait, by their source: each source has its turn, however much others have waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::Entry;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Lane {
    sources: BTreeMap<Arc<str>, Waiting>,
    /// The sources that have something waiting, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    samples: u64,
    bytes: usize,
    /// When the entry came that has waited longest; `None` where it is not known.
    oldest: Option<Instant>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Lane {
    /// Behind all others of its source.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.is_empty() {
            self.oldest = Some(entry.since);
        }
        self.samples += entry.samples;
        let waiting = self.sources.entry(Arc::clone(&entry.origin.source)).or_default();
        if waiting.entries.is_empty() {
            self.turns.push_back(Arc::clone(&entry.origin.source));
        }
        self.bytes += entry.bytes();
        waiting.bytes += entry.bytes();
        waiting.entries.push_back(entry);
    }

    /// Before all others of its source, whose turn is next.
    pub(super) fn push_front(&mut self, entry: Entry) {
        self.oldest = None;
        self.samples += entry.samples;
        let waiting = self.sources.entry(Arc::clone(&entry.origin.source)).or_default();
        if waiting.entries.is_empty() {
            self.turns.push_front(Arc::clone(&entry.origin.source));
        }
        self.bytes += entry.bytes();
        waiting.bytes += entry.bytes();
        waiting.entries.push_front(entry);
    }

    /// The entry whose turn is next.
    pub(super) fn next(&self) -> Option<&Entry> {
        self.sources.get(self.turns.front()?)?.entries.front()
    }

    /// Takes the entry whose turn is next.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let source = self.turns.pop_front()?;
        let entry = self.pop_of(&source)?;
        if self.sources.contains_key(&source) {
            self.turns.push_back(source);
        }
        Some(entry)
    }

    /// Takes the oldest entry of the source that has the most bytes waiting.
    pub(super) fn pop_of_heaviest(&mut self) -> Option<Entry> {
        let heaviest = self.sources.iter().max_by_key(|(_, waiting)| waiting.bytes);
        let source = Arc::clone(heaviest?.0);
        let entry = self.pop_of(&source)?;
        if !self.sources.contains_key(&source) {
            self.turns.retain(|turn| *turn != source);
        }
        Some(entry)
    }

    fn pop_of(&mut self, source: &Arc<str>) -> Option<Entry> {
        let waiting = self.sources.get_mut(source)?;
        let entry = waiting.entries.pop_front()?;
        waiting.bytes -= entry.bytes();
        if waiting.entries.is_empty() {
            self.sources.remove(source);
        }
        self.samples -= entry.samples;
        self.bytes -= entry.bytes();
        self.oldest = None;
        Some(entry)
    }

    /// When the entry came that has waited longest.
    pub(super) fn oldest(&mut self) -> Option<Instant> {
        if self.oldest.is_none() {
            self.oldest = self.fronts().map(|entry| entry.since).min();
        }
        self.oldest
    }

    /// The first entry of each source.
    pub(super) fn fronts(&self) -> impl Iterator<Item = &Entry> {
        self.sources.values().filter_map(|waiting| waiting.entries.front())
    }

    /// Samples that wait.
    pub(super) const fn samples(&self) -> u64 {
        self.samples
    }

    /// Bytes that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}
