//! What a host's things looked like in the poll before.
//!
//! A thing is known by the hash of its key and not by the key, which would be the longest text that
//! is kept of it. The hash has 64 bits and a secret start, so that nobody who names containers can
//! make two keys meet.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use heapster_shared::schema::{Field, Layout};

use crate::source::Subject;

/// What a host's things looked like in the poll before, in the order of that poll. `N` is what a
/// source remembers of each thing beside, because it follows from the same part of the answer.
#[derive(Debug)]
pub struct Shapes<N = ()> {
    pub(super) shapes: Vec<Shape<N>>,
    /// Places in the list above, by key.
    places: HashTable<u32>,
    hasher: RandomState,
    pub(super) round: u32,
    /// Whether the newest poll was recorded to its end.
    pub(super) whole: bool,
    /// Cells of the poll before.
    pub(super) cells: u32,
}

#[derive(Debug)]
pub(super) struct Shape<N> {
    /// Hash of its key.
    pub(super) key: u64,
    pub(super) fingerprint: u64,
    pub(super) subject: Arc<Subject>,
    pub(super) layout: Option<Arc<Layout>>,
    pub(super) note: N,
    /// The poll that saw it last.
    pub(super) round: u32,
    /// Its place in that poll.
    pub(super) turn: u32,
}

impl<N> Default for Shapes<N> {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::default(),
            round: 0,
            whole: true,
            cells: 0,
        }
    }
}

impl<N> Shapes<N> {
    /// Number of things that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Makes each thing of the next poll be looked at anew, because what one is called may hang on
    /// the others. What turns out the same keeps its `Arc`.
    pub fn doubt(&mut self) {
        self.shapes.iter_mut().for_each(|shape| shape.fingerprint = !shape.fingerprint);
    }

    /// Whether a thing of this key and fingerprint was there in the poll before.
    #[must_use]
    pub fn knows(&self, key: &str, fingerprint: u64) -> bool {
        let place = self.find(self.fingerprint(key));
        place.is_some_and(|place| self.shapes[place].fingerprint == fingerprint)
    }

    /// A fingerprint that is the same for the same content, and for these shapes only.
    #[must_use]
    pub fn fingerprint<T: Hash + ?Sized>(&self, content: &T) -> u64 {
        self.hasher.hash_one(content)
    }

    pub(super) fn find(&self, key: u64) -> Option<usize> {
        let is_it = |place: &u32| self.shapes[*place as usize].key == key;
        self.places.find(key, is_it).map(|place| *place as usize)
    }

    pub(super) fn insert(&mut self, shape: Shape<N>) -> usize {
        let (place, key) = (self.shapes.len(), shape.key);
        self.shapes.push(shape);
        let Self { shapes, places, .. } = self;
        places.insert_unique(key, place as u32, |place| shapes[*place as usize].key);
        place
    }

    /// Forgets what was in none of the newest polls, and takes over their order.
    pub(super) fn settle(&mut self, polls: u32) {
        let round = self.round;
        self.shapes.retain(|shape| round.wrapping_sub(shape.round) < polls);
        self.shapes.sort_unstable_by_key(|shape| shape.turn);
        self.shapes.shrink_to_fit();
        let Self { shapes, places, .. } = self;
        places.clear();
        let rehash = |place: &u32| shapes[*place as usize].key;
        places.shrink_to(shapes.len(), rehash);
        for (place, shape) in shapes.iter().enumerate() {
            places.insert_unique(shape.key, place as u32, rehash);
        }
    }
}

impl<N> Shape<N> {
    /// Looks at it anew; what turns out the same keeps its `Arc`.
    pub(super) fn renew(&mut self, fingerprint: u64, subject: Arc<Subject>, note: N) {
        self.fingerprint = fingerprint;
        self.note = note;
        if self.subject != subject {
            self.subject = subject;
        }
    }

    /// The first so many fields of the poll before.
    pub(super) fn measured(&self, most: usize) -> &[Field] {
        let fields = self.layout.as_ref().map_or(&[][..], |layout| layout.measured());
        &fields[..fields.len().min(most)]
    }
}
