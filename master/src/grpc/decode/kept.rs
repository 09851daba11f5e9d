//! The integers of the newest row of each entity, which later rows may be differences to.
//!
//! This is most of what a segment costs in memory, so that it holds nothing but the values, packed:
//! where the row of an entity is, its [`Member`] knows.

use heapster_shared::{Map, Set, row::Cell};

use super::members::{Home, Member};
use crate::core::packed::PackedCells;

/// The newest rows of one layout.
#[derive(Debug)]
pub(super) struct KeptRows {
    layout: u32,
    width: usize,
    rows: Vec<PackedCells>,
    free: Vec<u32>,
    /// Places of entities whose newest row is of another layout.
    away: Map<u32, u32>,
}

impl KeptRows {
    /// No rows; they have this many integers.
    pub(super) fn new(layout: u32, width: usize) -> Self {
        Self { layout, width, rows: Vec::new(), free: Vec::new(), away: Map::default() }
    }

    /// Cells that there are places for.
    pub(super) const fn cells(&self) -> usize {
        self.rows.len() * self.width
    }

    /// The place of an entity's row, if it has one.
    #[inline]
    pub(super) fn place(&self, id: u32, member: &Member) -> Option<u32> {
        if member.home.layout == self.layout {
            return Some(member.home.place);
        }
        self.away.get(&id).copied()
    }

    /// Reads the row at a place into a list that was used before.
    #[inline]
    pub(super) fn load(&self, place: u32, cells: &mut Vec<Cell>) {
        cells.resize(self.width, Cell::ABSENT);
        if let Some(row) = self.rows.get(place as usize) {
            row.read(self.width, cells);
        }
    }

    /// Replaces the row at a place.
    #[inline]
    pub(super) fn store(&mut self, place: u32, cells: &[Cell]) {
        if let Some(row) = self.rows.get_mut(place as usize) {
            row.set(cells, &[]);
        }
    }

    /// A place for the first row of an entity, where all is absent.
    pub(super) fn add(&mut self) -> u32 {
        if self.width == 0 {
            return 0;
        }
        if let Some(place) = self.free.pop() {
            return place;
        }
        let place = self.rows.len();
        if place == self.rows.capacity() {
            // Some layouts have one row only, others those of all containers.
            self.rows.reserve_exact((place / 8).max(1));
        }
        self.rows.push(PackedCells::default());
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Notes that an entity's newest row was of another layout; its row here stays.
    pub(super) fn leave(&mut self, id: u32, place: u32) {
        self.away.insert(id, place);
    }

    /// Notes that an entity's newest row is of this layout.
    pub(super) fn come_home(&mut self, id: u32) {
        if !self.away.is_empty() {
            self.away.remove(&id);
        }
    }

    /// Gives a place up.
    pub(super) fn free(&mut self, place: u32) {
        if let Some(row) = self.rows.get_mut(place as usize) {
            *row = PackedCells::default();
            self.free.push(place);
        }
    }

    /// Forgets entities that are gone, but for those whose home this is: few of many or many of few,
    /// whichever is less work.
    pub(super) fn end_away(&mut self, ids: &Set<u32>) {
        let away = &mut self.away;
        let gone: Vec<u32> = if ids.len() <= away.len() {
            ids.iter().filter_map(|id| away.remove(id)).collect()
        } else {
            away.extract_if(|id, _| ids.contains(id)).map(|(_, place)| place).collect()
        };
        gone.into_iter().for_each(|place| self.free(place));
    }

    /// The home of an entity whose newest row is at this place.
    pub(super) const fn home(&self, place: u32) -> Home {
        Home { layout: self.layout, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kept: &KeptRows, place: u32) -> Vec<Cell> {
        let mut cells = Vec::new();
        kept.load(place, &mut cells);
        cells
    }

    /// A thousand layouts with a row each must not take the places of many rows.
    #[test]
    fn few_rows_take_little_and_many_little_more() {
        let mut kept = KeptRows::new(1, 10);
        kept.add();
        assert_eq!((kept.rows.capacity(), kept.cells()), (1, 10));
        (1..1000).for_each(|place| assert_eq!(kept.add(), place));
        assert!(kept.rows.capacity() <= 1125, "{}", kept.rows.capacity());
        assert_eq!(kept.cells(), 1000 * 10);
    }

    #[test]
    fn rows_stand_apart_and_a_place_is_used_again() {
        let mut kept = KeptRows::new(1, 2);
        for place in 0..200 {
            assert_eq!(kept.add(), place);
            kept.store(place, &[Cell::int(place.into()); 2]);
        }
        assert_eq!(row(&kept, 77), [Cell::int(77); 2]);
        kept.free(77);
        assert_eq!(kept.add(), 77);
        assert_eq!(row(&kept, 77), [Cell::ABSENT; 2], "nothing is left of the one before");
        assert_eq!(row(&kept, 78), [Cell::int(78); 2]);
        assert_eq!(kept.cells(), 400);
    }

    /// Rows of doubles only keep nothing, and need no place.
    #[test]
    fn rows_without_integers_take_nothing() {
        let mut kept = KeptRows::new(1, 0);
        assert_eq!((kept.add(), kept.add()), (0, 0));
        kept.store(0, &[]);
        kept.free(0);
        assert_eq!((row(&kept, 0), kept.cells()), (vec![], 0));
    }
}
