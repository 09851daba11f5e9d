//! Rows of one layout, from columns to cells.
//!
//! For each entity the last value of every integer field is kept, since later rows of the segment
//! may be differences to it. A value that is absent leaves the kept one as it was.

use std::sync::Arc;

use heapster_proto::v1::block::Form;
use heapster_shared::{
    Set,
    entity::Entity,
    row::{Block, Cell, RowHead},
    schema::Layout,
};

use super::{
    columns::{ColumnReader, Columns, known_increase, optional, too_wide},
    definitions::WireLayout,
    error::{DecodeError, ensure, ensure_within},
    kept::KeptRows,
    members::{Found, Home, Member, Members},
    plan::{FieldKind, FieldPlan, plans},
    wire::{BlockView, ColumnView},
};

/// Farthest that a sample may lie from its tick.
pub(super) const FARTHEST_MS: i64 = 86_400_000;

/// A layout of the segment with the last row of each entity.
pub(super) struct LayoutState {
    layout: Arc<Layout>,
    fields: Box<[FieldPlan]>,
    /// Columns on the wire, also of fields that this program does not know.
    width: usize,
    kept: KeptRows,
}

/// What a block gave beside its rows.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) entities: Vec<u32>,
    pub(super) reason: &'static str,
}

/// What is used again from row to row and from block to block.
#[derive(Default)]
pub(super) struct Scratch {
    cells: Vec<Cell>,
    increases: Vec<Cell>,
    /// The integers of the row before.
    kept: Vec<Cell>,
    /// Entities that had rows of another layout before, with the home that they left.
    pub(super) moved: Vec<(u32, Home)>,
}

/// What the rows of a block are read with.
pub(super) struct Reading<'a> {
    pub(super) tick_ms: i64,
    pub(super) members: &'a mut Members,
    pub(super) refused: &'a mut Refused,
    pub(super) scratch: &'a mut Scratch,
    /// Cells that this layout may keep.
    pub(super) max_kept: usize,
}

impl LayoutState {
    pub(super) fn new(wire: WireLayout) -> Self {
        let layout = wire.layout;
        let fields = plans(&layout, &wire.columns);
        let is_kept = |plan: &&FieldPlan| plan.is_integer();
        let kept = KeptRows::new(wire.id, fields.iter().filter(is_kept).count());
        Self { layout, fields, width: wire.width, kept }
    }

    /// Cells kept.
    pub(super) fn kept(&self) -> usize {
        self.kept.cells()
    }

    /// Gives up the newest row of an entity that is gone.
    pub(super) fn end(&mut self, home: Home) {
        self.kept.free(home.place);
    }

    /// Gives up the rows of entities that are gone and had their newest row in another layout.
    pub(super) fn end_away(&mut self, ids: &Set<u32>) {
        self.kept.end_away(ids);
    }

    /// Notes that the newest row of this entity is of another layout.
    pub(super) fn leave(&mut self, id: u32, home: Home) {
        self.kept.leave(id, home.place);
    }

    /// Cells that so many rows take.
    pub(super) fn size_of(&self, rows: usize) -> usize {
        rows.saturating_mul(self.layout.fields().len().max(1))
    }

    /// The rows of a block; those that cannot be read are refused, the others stand.
    pub(super) fn read(
        &mut self,
        block: &BlockView<'_>,
        columns: &[ColumnView<'_>],
        rows: usize,
        reading: &mut Reading<'_>,
    ) -> Result<Block, DecodeError> {
        let form = Form::try_from(block.form)
            .map_err(|_| DecodeError::Malformed(format!("unknown form {}", block.form)))?;
        let (got, width) = (block.columns, self.width);
        ensure!(got == width, "{got} columns for the {width} fields of layout {}", block.layout);
        let mut columns = self.columns(block, columns, rows)?;
        let mut out = Block::with_capacity(Arc::clone(&self.layout), rows);
        let mut entities = block.entities;
        let scratch = &mut *reading.scratch;
        scratch.cells.clear();
        scratch.cells.resize(self.fields.len(), Cell::ABSENT);
        scratch.increases.clear();
        scratch.increases.resize(self.layout.counters().len(), Cell::ABSENT);
        let mut id = 0_u32;
        for _ in 0..rows {
            let step = entities.next_i32().map_err(|_| too_wide("entities"))?;
            id = id.wrapping_add_signed(step);
            match self.row(id, form, &mut columns, reading)? {
                Ok(head) => out.push(head, &reading.scratch.cells, &reading.scratch.increases),
                Err(reason) => {
                    reading.refused.reason = reason;
                    reading.refused.entities.push(id);
                }
            }
        }
        columns.check()?;
        Ok(out)
    }

    fn columns<'a>(
        &self,
        block: &BlockView<'a>,
        columns: &[ColumnView<'a>],
        rows: usize,
    ) -> Result<Columns<'a>, DecodeError> {
        let fields = self.fields.iter().map(|plan| {
            let column = columns.get(usize::from(plan.column)).copied().unwrap_or_default();
            ColumnReader::new(column, rows)
                .map_err(|error| error.at(&format!("column {}", plan.column)))
        });
        Ok(Columns {
            time: optional("time_ms", block.time_ms, rows)?,
            interval: optional("interval_ms", block.interval_ms, rows)?,
            fields: fields.collect::<Result<_, _>>()?,
        })
    }

    /// Reads the next row of the columns into the scratch; its head, or why there is none.
    #[inline]
    fn row(
        &mut self,
        id: u32,
        form: Form,
        columns: &mut Columns<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<Result<RowHead, &'static str>, DecodeError> {
        let time_ms = columns.time.as_mut().and_then(ColumnReader::int).unwrap_or(0);
        let interval_ms = columns.interval.as_mut().and_then(ColumnReader::int).unwrap_or(0);
        let member = match reading.members.find(id) {
            Found::Member(member) => member,
            Found::Foreign => {
                columns.skip();
                return Ok(Err("its level is not known to this master"));
            }
            Found::Nothing => {
                let what = format!("entity {id} is not defined in this segment");
                return Err(DecodeError::Malformed(what));
            }
        };
        let place = match (self.kept.place(id, member), form) {
            (Some(place), _) => place,
            (None, Form::Absolute) => self.add(reading.max_kept)?,
            (None, Form::Difference) => {
                columns.skip();
                return Ok(Err("a difference without a row before it"));
            }
        };
        self.settle(id, place, member, &mut reading.scratch.moved);
        // The values first: a later row may be a difference to one whose time is refused.
        if !self.values(form, place, &mut columns.fields, reading.scratch) {
            member.home = Home::NONE;
            self.kept.free(place);
            return Ok(Err("a difference that leaves the range of 64-bit integers"));
        }
        Ok(head(&member.entity, reading.tick_ms, time_ms, interval_ms))
    }

    fn add(&mut self, max_kept: usize) -> Result<u32, DecodeError> {
        let place = self.kept.add();
        ensure_within!(
            self.kept.cells() <= max_kept,
            "more than {max_kept} values to remember in one segment"
        );
        Ok(place)
    }

    /// Makes this layout the entity's home.
    #[inline]
    fn settle(&mut self, id: u32, place: u32, member: &mut Member, moved: &mut Vec<(u32, Home)>) {
        let home = self.kept.home(place);
        if member.home == home {
            return;
        }
        let left = std::mem::replace(&mut member.home, home);
        self.kept.come_home(id);
        if left != Home::NONE {
            moved.push((id, left));
        }
    }

    /// Reads the values of a row; false when a difference leaves the range of integers.
    #[inline]
    fn values(
        &mut self,
        form: Form,
        place: u32,
        columns: &mut [ColumnReader<'_>],
        scratch: &mut Scratch,
    ) -> bool {
        self.kept.load(place, &mut scratch.kept);
        let mut kept = scratch.kept.iter_mut();
        let mut in_range = true;
        for ((plan, column), cell) in self.fields.iter().zip(columns).zip(&mut scratch.cells) {
            let counter = match plan.kind {
                FieldKind::Real => {
                    *cell = column.real();
                    continue;
                }
                FieldKind::RealCounter(counter) => {
                    *cell = column.real();
                    scratch.increases[usize::from(counter)] = Cell::ABSENT;
                    continue;
                }
                FieldKind::Gauge => None,
                FieldKind::Counter(counter) => Some(counter),
            };
            let Some(last) = kept.next() else { return false };
            let Some((value, increase)) = integer(column, form, last) else {
                in_range = false;
                continue;
            };
            *cell = value;
            if let Some(counter) = counter {
                scratch.increases[usize::from(counter)] = increase;
            }
        }
        self.kept.store(place, &scratch.kept);
        in_range
    }
}

/// The value and increase of an integer field; none when it leaves the range.
#[inline]
fn integer(column: &mut ColumnReader<'_>, form: Form, last: &mut Cell) -> Option<(Cell, Cell)> {
    let told = column.increase();
    let Some(sent) = column.int() else { return Some((Cell::ABSENT, Cell::ABSENT)) };
    let (value, increase) = match (form, last.as_int()) {
        (Form::Absolute, _) => (sent, told),
        // The field was absent until now: it starts here, and what it grew by is not known.
        (Form::Difference, None) => (sent, Cell::ABSENT),
        (Form::Difference, Some(before)) => (before.checked_add(sent)?, known_increase(sent)),
    };
    *last = Cell::int(value);
    Some((*last, increase))
}

#[inline]
fn head(
    entity: &Arc<Entity>,
    tick_ms: i64,
    time_ms: i64,
    interval_ms: i64,
) -> Result<RowHead, &'static str> {
    if !(-FARTHEST_MS..=FARTHEST_MS).contains(&time_ms) {
        return Err("its time is more than a day from the tick");
    }
    let interval_ms = u32::try_from(interval_ms).map_err(|_| "its interval is out of range")?;
    Ok(RowHead { entity: Arc::clone(entity), time_ms: tick_ms + time_ms, interval_ms })
}
