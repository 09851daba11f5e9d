//! The newest samples of a host, kept for the next start of the program.
//!
//! A pipeline that starts anew has nothing to compare a host's first sample with: no increases, no
//! rates. What it would need is little: of each thing who it is, when its newest sample was taken,
//! and the counters in it. [`HostSamples`] has that. It is cheap to make, so that it can be with
//! every poll; bytes are made of it where there is time for that. [`RecalledHost`] is what the next
//! start reads of them.

mod form;

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{entity::Level, row::Cell};
use prost::Message;

use super::{names::pod_of, plan::Plan, pod::Pod, run::Sample, things::Things};
use crate::source::Subject;
use form::{Forms, KeptHost};
pub(super) use form::{KeptThing, number as level_number};

/// What the next sample of each thing on a host is compared with.
#[derive(Clone, Debug)]
pub struct HostSamples {
    cluster: Arc<str>,
    host: CompactString,
    things: Vec<Sampled>,
    /// Of each sample its counters, then their increases.
    cells: Vec<Cell>,
}

/// One thing and its newest sample.
#[derive(Clone, Debug)]
struct Sampled {
    level: Level,
    /// `None` for the node.
    subject: Option<Arc<Subject>>,
    uid: CompactString,
    start_time_ms: i64,
    /// Of a pod, whose rows have times of their own.
    row_time_ms: Option<i64>,
    sample: Option<SampleOf>,
}

#[derive(Clone, Debug)]
struct SampleOf {
    plan: Arc<Plan>,
    time_ms: i64,
    interval_ms: u32,
    first_cell: usize,
}

/// What an earlier start of the program knew of a host.
#[derive(Clone, PartialEq, Debug)]
pub struct RecalledHost(KeptHost);

impl HostSamples {
    pub(super) fn new(cluster: &Arc<str>, host: &str) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            host: host.into(),
            things: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// The host that it is of, by its id.
    #[must_use]
    pub const fn host(&self) -> &CompactString {
        &self.host
    }

    /// As bytes, which [`RecalledHost::decode`] takes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut forms = Forms::default();
        let things = self.things.iter().map(|thing| self.thing(&mut forms, thing)).collect();
        let (cluster, host) = (self.cluster.to_string(), self.host.to_string());
        KeptHost { cluster, host, layouts: forms.layouts, things }.encode_to_vec()
    }

    fn thing(&self, forms: &mut Forms, thing: &Sampled) -> KeptThing {
        let subject = thing.subject.as_deref();
        let pod = subject.and_then(pod_of);
        let mut kept = KeptThing {
            level: level_number(thing.level),
            namespace: pod.map(|pod| pod.namespace.to_string()).unwrap_or_default(),
            pod: pod.map(|pod| pod.name.to_string()).unwrap_or_default(),
            name: subject.map_or("", |subject| name_of(thing.level, subject)).to_owned(),
            uid: thing.uid.to_string(),
            start_time_ms: thing.start_time_ms,
            row_time_ms: thing.row_time_ms,
            ..KeptThing::default()
        };
        if let Some(sample) = &thing.sample {
            let counters = sample.plan.counters().iter().flatten().count();
            let cells = &self.cells[sample.first_cell..][..2 * counters];
            let (totals, increases) = cells.split_at(counters);
            kept.layout = forms.layout(&sample.plan);
            (kept.time_ms, kept.interval_ms) = (sample.time_ms, sample.interval_ms);
            kept.totals = totals.iter().map(|cell| form::bits(*cell)).collect();
            kept.increases = increases.iter().map(|cell| form::bits(*cell)).collect();
        }
        kept
    }

    pub(super) fn add_node(&mut self, start_time_ms: i64, sample: Option<Sample<'_>>) {
        let sample = sample.map(|sample| self.sample(sample));
        self.things.push(Sampled {
            level: Level::Node,
            subject: None,
            uid: CompactString::default(),
            start_time_ms,
            row_time_ms: None,
            sample,
        });
    }

    /// Adds pods with what is measured of them as a whole, and containers.
    pub(super) fn add_things(&mut self, things: &Things) {
        self.things.reserve_exact(things.things.len() + things.pods.len());
        for pod in &things.pods {
            self.add_pod(pod, things);
        }
        for thing in things.things.iter().filter(|thing| !thing.is_pod) {
            let sample = thing.run.newest().map(|sample| self.sample(sample));
            self.things.push(Sampled {
                level: thing.subject.level(),
                subject: Some(Arc::clone(&thing.subject)),
                uid: thing.entity.as_ref().map(|entity| entity.uid.clone()).unwrap_or_default(),
                start_time_ms: thing.start_time_ms,
                row_time_ms: None,
                sample,
            });
        }
    }

    fn add_pod(&mut self, pod: &Pod, things: &Things) {
        let own = things.things[pod.things.clone()].iter().find(|thing| thing.is_pod);
        let sample = own.and_then(|own| own.run.newest()).map(|sample| self.sample(sample));
        self.things.push(Sampled {
            level: Level::Pod,
            subject: Some(Arc::clone(pod.subject())),
            uid: pod.uid().into(),
            start_time_ms: pod.start_time_ms(),
            row_time_ms: pod.row_time_ms(),
            sample,
        });
    }

    fn sample(&mut self, sample: Sample<'_>) -> SampleOf {
        let first_cell = self.cells.len();
        let counters = || sample.plan.counters().iter().zip(sample.increases);
        let totals = counters().filter_map(|(at, _)| Some(sample.cells[(*at)?.kept]));
        self.cells.extend(totals);
        self.cells.extend(counters().filter_map(|(at, increase)| at.map(|_| *increase)));
        SampleOf {
            plan: Arc::clone(sample.plan),
            time_ms: sample.time_ms,
            interval_ms: sample.interval_ms,
            first_cell,
        }
    }
}

impl RecalledHost {
    /// Reads what [`HostSamples::encode`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        let mut kept = KeptHost::decode(bytes)?;
        kept.things.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(Self(kept))
    }

    /// The cluster of the host.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.0.cluster
    }

    /// The host, by its id.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    pub(super) const fn kept(&self) -> &KeptHost {
        &self.0
    }
}

/// The name of a container; that of a pod stands with its namespace, whatever names the pod here.
pub(super) fn name_of(level: Level, subject: &Subject) -> &str {
    match subject {
        _ if level == Level::Pod => "",
        Subject::PodContainer { name, .. } | Subject::SysContainer { name, .. } => name,
        Subject::Node { .. } | Subject::Pod { .. } => "",
    }
}
