//! What is remembered of one entity's samples, from its start to its restart.

use std::sync::Arc;

use heapster_shared::{entity::Level, row::Cell, schema::Field};

use super::plan::{Plan, Plans};
use crate::source::Reading;

/// No sample was refused; no time is later.
const NONE_REFUSED: i64 = i64::MAX;

/// The newest sample, and what follows from it and the one before.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// `None` where there is no sample.
    plan: Option<Arc<Plan>>,
    /// The plan of the sample before, where that had fields for the pod that this one has not.
    lost_from: Option<Arc<Plan>>,
    /// One cell a field that is kept, then one increase a counter.
    cells: Box<[Cell]>,
    time_ms: i64,
    interval_ms: u32,
    /// It is of an earlier start of the program, and has its counters only.
    is_recalled: bool,
    clock: Clock,
}

/// What a sample is, beside those that are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    New,
    /// The newest one of an earlier start of the program, which gave a row then.
    Recalled,
    /// No newer than the one before.
    Before,
}

/// A sample as others see it.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) time_ms: i64,
    /// 0 where there is no sample before.
    pub(super) interval_ms: u32,
    /// One a field that is kept: of the node and of a pod as a whole all that is measured, of a
    /// container what matters beyond its row.
    pub(super) cells: &'a [Cell],
    /// One a counter.
    pub(super) increases: &'a [Cell],
}

impl Run {
    /// The newest sample of an earlier start of the program: counters and increases, one a field of
    /// the layout that the plan is for.
    pub(super) fn recalled(
        plan: Arc<Plan>,
        (totals, increases): (&[Cell], &[Cell]),
        (time_ms, interval_ms): (i64, u32),
    ) -> Self {
        let (picked, picked_increases) = (plan.pick(totals), plan.pick(increases));
        let totals = picked.as_deref().unwrap_or(totals);
        let increases = picked_increases.as_deref().unwrap_or(increases);
        let kept = plan.kept().iter().map(|field| totals[*field]);
        let grown = plan.counters().iter();
        let grown = grown.map(|at| at.map_or(Cell::ABSENT, |at| increases[at.field]));
        let cells = kept.chain(grown).collect();
        Self { plan: Some(plan), cells, time_ms, interval_ms, is_recalled: true, ..Self::default() }
    }

    pub(super) fn newest(&self) -> Option<Sample<'_>> {
        let plan = self.plan.as_ref()?;
        let (cells, increases) = self.cells.split_at(plan.kept().len());
        let (time_ms, interval_ms) = (self.time_ms, self.interval_ms);
        Some(Sample { plan, time_ms, interval_ms, cells, increases })
    }

    /// The plan of the newest sample, and that of the one before where something was lost.
    pub(super) fn plans(&self) -> Option<(&Arc<Plan>, Option<&Arc<Plan>>)> {
        Some((self.plan.as_ref()?, self.lost_from.as_ref()))
    }

    /// Takes a sample, unless it is no newer than the one before.
    pub(super) fn observe(
        &mut self,
        plans: &mut Plans,
        level: Level,
        reading: &Reading,
        cells: &[Cell],
    ) -> Seen {
        let was_recalled = std::mem::take(&mut self.is_recalled);
        if was_recalled && reading.time_ms == self.time_ms {
            self.complete(plans.sample(&reading.layout, level), cells);
            return Seen::Recalled;
        }
        if !self.is_new(reading.time_ms) {
            return Seen::Before;
        }
        let before_ms = self.plan.is_some().then_some(self.time_ms);
        self.interval_ms = before_ms.map_or(0, |before_ms| interval(before_ms, reading.time_ms));
        self.time_ms = reading.time_ms;
        let plan = match self.plan.take() {
            Some(plan) if plan.is_for(&reading.layout) => {
                self.lost_from = None;
                plan
            }
            before => {
                let plan = plans.sample(&reading.layout, level);
                self.change_plan(before, &plan);
                plan
            }
        };
        match plan.pick(cells) {
            None => self.put(&plan, cells),
            Some(picked) => self.put(&plan, &picked),
        }
        self.plan = Some(plan);
        Seen::New
    }

    /// The host repeats the recalled sample: now all of it is known, and not its counters alone.
    fn complete(&mut self, plan: Arc<Plan>, cells: &[Cell]) {
        let Some(before) = self.plan.take() else { return };
        let (measured, increases) = (before.layout.measured(), &self.cells[before.kept().len()..]);
        let increase_of = |field: &Field| {
            let place = before.layout.counters().iter().position(|at| measured[*at] == *field);
            place.map_or(Cell::ABSENT, |place| increases[place])
        };
        let picked = plan.pick(cells);
        let now = picked.as_deref().unwrap_or(cells);
        let fields = plan.layout.measured();
        let grown = plan.counters().iter();
        let grown = grown.map(|at| at.map_or(Cell::ABSENT, |at| increase_of(&fields[at.field])));
        self.cells = plan.kept().iter().map(|field| now[*field]).chain(grown).collect();
        self.plan = Some(plan);
    }

    /// Arranges the cells of the sample before as the new plan has them; absent is what that
    /// sample had not.
    fn change_plan(&mut self, before: Option<Arc<Plan>>, plan: &Plan) {
        self.lost_from = None;
        let layout = &plan.layout;
        let before = before.as_ref();
        if before.is_some_and(|before| Arc::ptr_eq(&before.layout, layout)) {
            return;
        }
        let mut cells = vec![Cell::ABSENT; plan.kept().len() + plan.counters().len()];
        let cell_of = |field: &Field| {
            let (known, mut kept) = (before?.layout.measured(), before?.kept().iter());
            kept.position(|place| known[*place] == *field).map(|place| self.cells[place])
        };
        for at in plan.counters().iter().flatten() {
            cells[at.kept] = cell_of(&layout.measured()[at.field]).unwrap_or(Cell::ABSENT);
        }
        self.cells = cells.into();
        self.lost_from = before.filter(|before| plan.lost(before).next().is_some()).cloned();
    }

    /// Works out increases over the cells of the sample before, and puts these in their place.
    fn put(&mut self, plan: &Plan, now: &[Cell]) {
        let (cells, increases) = self.cells.split_at_mut(plan.kept().len());
        for (grown, at) in increases.iter_mut().zip(plan.counters()) {
            *grown = at.map_or(Cell::ABSENT, |at| increase(cells[at.kept], now[at.field]));
        }
        for (cell, field) in cells.iter_mut().zip(plan.kept()) {
            *cell = now[*field];
        }
    }

    fn is_new(&mut self, time_ms: i64) -> bool {
        if self.plan.is_none() {
            return true;
        }
        match self.clock.compare(time_ms, self.time_ms) {
            Order::Later => true,
            Order::NotLater => false,
            Order::SetBack => {
                self.plan = None;
                true
            }
        }
    }
}

/// Tells old samples from a clock that was set back.
#[derive(Debug)]
pub(super) struct Clock {
    refused_ms: i64,
}

/// How a time lies to the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Later,
    NotLater,
    /// The host's clock was set back: there is nothing to compare with.
    SetBack,
}

impl Default for Clock {
    fn default() -> Self {
        Self { refused_ms: NONE_REFUSED }
    }
}

impl Clock {
    /// A sample from the past is an old one when it comes once. Where samples of the past move on,
    /// the host's clock was set back.
    pub(super) fn compare(&mut self, time_ms: i64, before_ms: i64) -> Order {
        if time_ms == before_ms {
            return Order::NotLater;
        }
        let is_later = time_ms > before_ms;
        if is_later || time_ms > self.refused_ms {
            self.refused_ms = NONE_REFUSED;
            return if is_later { Order::Later } else { Order::SetBack };
        }
        self.refused_ms = time_ms;
        Order::NotLater
    }
}

/// 0 where it does not fit, which says that there is none.
pub(super) fn interval(before_ms: i64, now_ms: i64) -> u32 {
    u32::try_from(now_ms.saturating_sub(before_ms)).unwrap_or(0)
}

/// How much an integer counter grew; absent where that is not known.
fn increase(earlier: Cell, now: Cell) -> Cell {
    match (earlier.as_int(), now.as_int()) {
        (Some(earlier), Some(now)) if earlier >= 0 && now >= earlier => Cell::int(now - earlier),
        _ => Cell::ABSENT,
    }
}
