//! Going on where an earlier start of the program ended: its samples are the ones before.
//!
//! All is as if the program had not been stopped, for what is the same thing still, by uid and start
//! time. A sample that was taken before the recalled one, or too long after it, is a first one: no
//! increase is better than one over hours, or over a clock that was set back.

use std::sync::Arc;

use heapster_shared::{entity::Level, schema::Layout};

use super::{
    names::pod_of,
    plan::Plans,
    run::Run,
    samples::{KeptThing, RecalledHost, level_number, name_of},
};
use crate::source::Subject;

/// What is recalled of a host, for the first of its polls.
#[derive(Debug)]
pub(super) struct Recalled {
    host: RecalledHost,
    longest_ms: i64,
    layouts: Vec<Arc<Layout>>,
}

/// One thing as it was.
pub(super) struct Known<'a> {
    kept: &'a KeptThing,
    of: &'a Recalled,
    level: Level,
}

impl Recalled {
    pub(super) const fn new(host: RecalledHost, longest_ms: i64) -> Self {
        Self { host, longest_ms, layouts: Vec::new() }
    }

    /// Makes ready for a poll.
    pub(super) fn prepare(&mut self, plans: &mut Plans) {
        self.layouts = self.host.kept().layouts().map(|fields| plans.layout(&fields)).collect();
    }

    /// The same thing as it was known to the earlier start; `None` for the node's subject.
    pub(super) fn thing(&self, level: Level, subject: Option<&Subject>) -> Option<Known<'_>> {
        let pod = subject.and_then(pod_of);
        let (namespace, pod) = pod.map_or(("", ""), |pod| (&pod.namespace, &pod.name));
        let name = subject.map_or("", |subject| name_of(level, subject));
        let key = (level_number(level), namespace, pod, name);
        let kept = self.host.kept().thing(key)?;
        Some(Known { kept, of: self, level })
    }
}

impl<'a> Known<'a> {
    pub(super) fn uid(&self) -> &'a str {
        &self.kept.uid
    }

    pub(super) const fn start_time_ms(&self) -> i64 {
        self.kept.start_time_ms
    }

    /// When the newest row of a pod was.
    pub(super) const fn row_time_ms(&self) -> Option<i64> {
        self.kept.row_time_ms
    }

    /// Its newest sample, as what a sample of now is compared with.
    pub(super) fn run(&self, plans: &mut Plans, now_ms: i64) -> Run {
        let (kept, longest_ms) = (self.kept, self.of.longest_ms);
        let since_ms = now_ms.saturating_sub(kept.time_ms);
        let place = (kept.layout as usize).checked_sub(1);
        let layout = place.and_then(|place| self.of.layouts.get(place));
        let (totals, increases) = (kept.totals(), kept.increases());
        let fits = |layout: &&Arc<Layout>| {
            let fields = layout.measured().len();
            totals.len() == fields && increases.len() == fields
        };
        match layout.filter(fits) {
            Some(layout) if (0..=longest_ms).contains(&since_ms) => {
                let plan = plans.sample(layout, self.level);
                Run::recalled(plan, (&totals, &increases), (kept.time_ms, kept.interval_ms))
            }
            _ => Run::default(),
        }
    }
}
