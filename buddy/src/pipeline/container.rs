//! A container: its entity and its row.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, Level},
    row::RowHead,
};

use super::{
    Poll,
    identity::{Identity, is_same_start},
    run::{Run, Sample, Seen},
    things::Thing,
};
use crate::source::{Reading, Subject};

/// The whole that a thing is a part of.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) entity: &'a Arc<Entity>,
    /// It is another value than in the poll before.
    pub(super) is_new: bool,
}

impl Thing {
    /// Takes in the reading of a container, and adds its row where the sample is new.
    pub(super) fn container(&mut self, poll: &mut Poll<'_>, whole: Whole<'_>, level: Level) {
        let Some((reading, cells)) = poll.readings.get(self.take_reading()) else { return };
        let says_more =
            self.is_changed || !is_same_start(self.start_time_ms, reading.start_time_ms);
        if says_more || whole.is_new {
            self.identify(poll, whole, level, reading);
        }
        let blocks = match self.run.observe(poll.plans, level, reading, cells) {
            Seen::New => &mut *poll.blocks,
            Seen::Recalled => &mut *poll.recalled_blocks,
            Seen::Before => return,
        };
        if let (Some(entity), Some(sample)) = (&self.entity, self.run.newest()) {
            let head = sample.head(Arc::clone(entity));
            let picked = sample.plan.pick(cells);
            let row = picked.as_deref().unwrap_or(cells);
            blocks.push(&sample.plan.layout, head, row, sample.increases);
        }
    }

    fn identify(&mut self, poll: &mut Poll<'_>, whole: Whole<'_>, level: Level, reading: &Reading) {
        let (Subject::PodContainer { name, uid, labels, .. }
        | Subject::SysContainer { name, uid, labels }) = &*self.subject
        else {
            return;
        };
        let mut known_uid = self.entity.as_ref().map_or("", |entity| entity.uid.as_str());
        let recalled = poll.recalled.filter(|_| self.entity.is_none());
        if let Some(known) = recalled.and_then(|all| all.thing(level, Some(&*self.subject))) {
            known_uid = known.uid();
            self.start_time_ms = known.start_time_ms();
            self.run = known.run(poll.plans, reading.time_ms);
        }
        let now = Identity::new((known_uid, self.start_time_ms), (uid, reading.start_time_ms));
        if now.is_restarted {
            self.run = Run::default();
        }
        self.start_time_ms = now.start_time_ms;
        self.is_changed = false;
        let definition = Definition {
            parent: Some(Arc::clone(whole.entity)),
            level,
            name: name.clone(),
            uid: now.uid,
            start_time_ms: now.start_time_ms,
            labels: labels.clone(),
        };
        poll.ids.renew(&mut self.entity, definition);
    }
}

impl Sample<'_> {
    pub(super) fn head(&self, entity: Arc<Entity>) -> RowHead {
        RowHead { entity, time_ms: self.time_ms, interval_ms: self.interval_ms }
    }
}
