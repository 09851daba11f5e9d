//! Bytes that may be held at one place, and what of them is held now.
//!
//! Whatever holds payloads takes a [`Place`] for each, and lets go of it by dropping it, so that
//! nothing that is held is left uncounted, whatever becomes of its holder.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A bound on bytes.
#[derive(Debug)]
pub struct Room {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Room {
    /// Room for this many bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// Takes room, if there is enough. What is larger than all of it may have it alone, since there
    /// would never be enough.
    #[must_use]
    pub fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let fits = |used: usize| {
            let after = used.saturating_add(bytes);
            (used == 0 || after <= self.limit).then_some(after)
        };
        let before = self.used.fetch_update(Relaxed, Relaxed, fits).ok()?;
        self.peak.fetch_max(before.saturating_add(bytes), Relaxed);
        Some(Place { room: Arc::clone(self), bytes })
    }

    /// Takes room whether there is any or not: for who makes room afterwards.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: usize) -> Place {
        let before = self.used.fetch_add(bytes, Relaxed);
        self.peak.fetch_max(before.saturating_add(bytes), Relaxed);
        Place { room: Arc::clone(self), bytes }
    }

    /// Bytes that are held.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The most that were ever held.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Bytes that may be held.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

/// Room that was taken; given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Place {
    /// Changes how much is taken, if there is enough room for that; whether there is.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        let (room, before) = (&self.room, self.bytes);
        let fits = |used: usize| {
            let after = used.saturating_sub(before).saturating_add(bytes);
            (bytes <= before || after <= room.limit).then_some(after)
        };
        let Ok(used) = room.used.fetch_update(Relaxed, Relaxed, fits) else { return false };
        room.peak.fetch_max(used.saturating_sub(before).saturating_add(bytes), Relaxed);
        self.bytes = bytes;
        true
    }

    /// Changes how much is taken, whether there is room for that or not: for who makes room
    /// afterwards.
    pub fn set(&mut self, bytes: usize) {
        let mut more = self.room.take(bytes);
        std::mem::swap(&mut self.bytes, &mut more.bytes);
    }

    /// How much.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let room = Arc::new(Room::new(100));
        let first = room.try_take(60).unwrap();
        assert!(room.try_take(41).is_none());
        let second = room.try_take(40).unwrap();
        assert_eq!((room.used(), first.bytes(), second.bytes()), (100, 60, 40));
        drop(first);
        assert!(room.try_take(60).is_some());
        drop(second);
        assert_eq!((room.used(), room.peak()), (0, 100));
    }

    /// What grows is held to the same bound, and keeps what it has where there is no more.
    #[test]
    fn a_place_grows_and_shrinks() {
        let room = Arc::new(Room::new(100));
        let mut place = room.take(0);
        let other = room.take(30);
        assert!(place.resize(70) && !place.resize(71));
        assert_eq!((room.used(), place.bytes()), (100, 70));
        assert!(place.resize(10));
        assert_eq!((room.used(), room.peak()), (40, 100));
        place.set(200);
        assert_eq!((room.used(), place.bytes()), (230, 200));
        place.set(10);
        assert_eq!((room.used(), place.bytes()), (40, 10));
        drop((place, other));
        assert_eq!(room.used(), 0);
    }

    /// Otherwise a payload that is larger than the room could never pass.
    #[test]
    fn a_giant_has_the_room_alone() {
        let room = Arc::new(Room::new(100));
        let giant = room.try_take(1000).unwrap();
        assert!(room.try_take(1).is_none());
        drop(giant);
        let small = room.try_take(1).unwrap();
        assert!(room.try_take(1000).is_none());
        drop(small);
    }
}
