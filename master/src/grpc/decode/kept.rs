//! The integers of the newest row of each entity, which later rows may be differences to.
//!
//! This is most of what a segment costs in memory, so that it grows by pages and holds nothing but
//! the values: where the row of an entity is, its [`Member`] knows.

use heapster_shared::{Map, Set, row::Cell};

use super::members::{Home, Member};

/// Rows of a page. The first page starts smaller: some layouts have one row only.
const PAGE_ROWS: usize = 64;

/// The newest rows of one layout.
#[derive(Debug)]
pub(super) struct KeptRows {
    layout: u32,
    width: usize,
    pages: Vec<Vec<Cell>>,
    free: Vec<u32>,
    /// Places of entities whose newest row is of another layout.
    away: Map<u32, u32>,
}

impl KeptRows {
    /// No rows; they have this many integers.
    pub(super) fn new(layout: u32, width: usize) -> Self {
        Self { layout, width, pages: Vec::new(), free: Vec::new(), away: Map::default() }
    }

    /// Cells that there is room for.
    pub(super) fn cells(&self) -> usize {
        let full = self.pages.len().saturating_sub(1) * PAGE_ROWS * self.width;
        full + self.pages.last().map_or(0, Vec::len)
    }

    /// The place of an entity's row, if it has one.
    #[inline]
    pub(super) fn place(&self, id: u32, member: &Member) -> Option<u32> {
        if member.home.layout == self.layout {
            return Some(member.home.place);
        }
        self.away.get(&id).copied()
    }

    /// The row at a place.
    #[inline]
    pub(super) fn row(&mut self, place: u32) -> &mut [Cell] {
        if self.width == 0 {
            return &mut [];
        }
        let place = place as usize;
        let start = place % PAGE_ROWS * self.width;
        &mut self.pages[place / PAGE_ROWS][start..start + self.width]
    }

    /// A place for the first row of an entity.
    pub(super) fn add(&mut self) -> u32 {
        if self.width == 0 {
            return 0;
        }
        if let Some(place) = self.free.pop() {
            self.row(place).fill(Cell::ABSENT);
            return place;
        }
        let page_cells = PAGE_ROWS * self.width;
        if self.pages.last().is_none_or(|page| page.len() >= page_cells) {
            self.pages.push(Vec::new());
        }
        let (last, width) = (self.pages.len() - 1, self.width);
        let page = &mut self.pages[last];
        if page.len() == page.capacity() {
            let more = if last == 0 { page.len().max(width) } else { page_cells };
            page.reserve_exact(more);
        }
        let place = last * PAGE_ROWS + page.len() / width;
        page.resize(page.len() + width, Cell::ABSENT);
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
        if self.width > 0 {
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

    /// A thousand layouts with a row each must not take a thousand pages.
    #[test]
    fn few_rows_take_little_and_many_little_more() {
        let mut kept = KeptRows::new(1, 10);
        kept.add();
        let capacity = |kept: &KeptRows| kept.pages.iter().map(Vec::capacity).sum::<usize>();
        assert_eq!(capacity(&kept), 10);
        (1..1000).for_each(|place| assert_eq!(kept.add(), place));
        assert!(capacity(&kept) <= 1024 * 10, "{}", capacity(&kept));
        assert_eq!(kept.cells(), 1000 * 10);
    }

    #[test]
    fn rows_stand_apart_and_a_place_is_used_again() {
        let mut kept = KeptRows::new(1, 2);
        for place in 0..200 {
            assert_eq!(kept.add(), place);
            kept.row(place).fill(Cell::int(place.into()));
        }
        assert_eq!(kept.row(77), [Cell::int(77), Cell::int(77)]);
        kept.free(77);
        assert_eq!(kept.add(), 77);
        assert_eq!(kept.row(77), [Cell::ABSENT, Cell::ABSENT], "nothing is left of the one before");
        assert_eq!(kept.row(78), [Cell::int(78), Cell::int(78)]);
    }
}
