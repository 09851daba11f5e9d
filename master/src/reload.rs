//! Sinks that are added, changed and removed while the master runs.
//!
//! [`SinkControl::reload`] reads the configuration again and takes over its sinks;
//! [`SinkControl::replace`] takes them from whoever asks. All that can be wrong is found before
//! anything changes. A sink whose spec is the same is left alone, with its queue, its connections and
//! its counters. One that has another spec for the same place (see [`plan`]) is changed: the new one
//! starts, and has its place among the required sinks, while the old one writes what it holds; what
//! that cannot write in `--drain-time` the buddies send again, to the new one. One that is removed
//! writes what it holds, too, and nobody waits for it any more.

mod answer;
mod plan;
mod read;
mod start;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Addr, ArbiterHandle};
use heapster_shared::{config::FileSettings, spec::Spec};
use tokio::{sync::Mutex, time::timeout};
use tracing::{info, warn};

pub use answer::{ReloadAnswer, ReloadError};
pub use read::{ReadConfig, Reading, reader};
pub(crate) use start::{sink_child, unique_name};

use crate::{
    actors::{
        Drain,
        lineup::{Lineup, Lineups},
        router::{RouterSlot, SinkSlot},
        supervisor::{LetGo, StartSink, Supervisor},
    },
    core::sink_set::{MOST_SINKS, SinkSet},
    sinks::{self, Configured},
};
use plan::{Plan, Step};

/// How long the router may take to finish what it has in hand.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// What a sink may take beyond its deadline to say that it has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The key of the sinks in a file.
const SINK_KEY: &str = "sink";

/// What changes of sinks are made with.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) lineups: Arc<Lineups>,
    pub(crate) router: Arc<RouterSlot>,
    /// Where sinks are started, in turn.
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) drain_time: Duration,
}

/// Changes the sinks of a master that runs.
pub struct SinkControl {
    workshop: Workshop,
    read: Option<ReadConfig>,
    state: Mutex<State>,
}

/// The sinks of the configuration as they run.
struct State {
    running: Vec<Running>,
    /// What the file said when the program started.
    file: Option<FileSettings>,
    /// Sinks started so far.
    started: usize,
}

#[derive(Clone)]
struct Running {
    spec: Spec,
    slot: Arc<SinkSlot>,
}

/// What a change is made of: nothing of it has happened yet.
struct Prepared {
    plan: Plan,
    /// Of the sinks that are to be started, in the order of the plan, which is the configuration's.
    configured: Vec<Option<Configured>>,
    /// The lineup as it is to be, its new sinks missing, with the places of those.
    lineup: Lineup,
    places: Vec<SinkSet>,
}

impl SinkControl {
    /// Control over sinks that run: their specs, with where they are.
    pub(crate) fn new(
        workshop: Workshop,
        sinks: Vec<(Spec, Arc<SinkSlot>)>,
        read: Option<ReadConfig>,
    ) -> Self {
        let file = read.as_ref().and_then(|read| read().ok().flatten()).map(|read| read.file);
        let running: Vec<Running> =
            sinks.into_iter().map(|(spec, slot)| Running { spec, slot }).collect();
        let state = State { started: running.len(), running, file };
        Self { workshop, read, state: Mutex::new(state) }
    }

    /// Whether there is a file to read again.
    #[must_use]
    pub const fn has_file(&self) -> bool {
        self.read.is_some()
    }

    /// Reads the configuration again and takes over its sinks.
    ///
    /// # Errors
    /// When there is no file, or it or a sink in it is wrong: then all is as before.
    pub async fn reload(&self) -> Result<ReloadAnswer, ReloadError> {
        let read = self.read.clone().ok_or(ReloadError::NoFile)?;
        let mut state = self.state.lock().await;
        // Disks take their time, now and then.
        let reading = tokio::task::spawn_blocking(move || read()).await;
        let reading = reading.map_err(|_| ReloadError::wrong("reading failed inside"))?;
        let reading = reading.map_err(ReloadError::Wrong)?.ok_or(ReloadError::NoFile)?;
        let sinks = reading.args.sinks.clone();
        let mut answer = self.apply(&mut state, sinks).await?;
        let before = state.file.get_or_insert_with(|| reading.file.clone());
        answer.needs_restart = before.differing(&reading.file);
        answer.needs_restart.retain(|key| key != SINK_KEY);
        if reading.file.overridden.iter().any(|key| key == SINK_KEY) {
            answer.note =
                "the sinks of the file are not in force: --sink or HEAPSTER_SINK goes before it"
                    .to_owned();
        }
        Ok(answer)
    }

    /// Takes over these sinks, until the next reload or the next start.
    ///
    /// # Errors
    /// When one of them is wrong: then all is as before.
    pub async fn replace(&self, sinks: Vec<Spec>) -> Result<ReloadAnswer, ReloadError> {
        let mut state = self.state.lock().await;
        let mut answer = self.apply(&mut state, sinks).await?;
        answer.note = "these sinks are in force until the next reload or start".to_owned();
        Ok(answer)
    }

    async fn apply(
        &self,
        state: &mut State,
        sinks: Vec<Spec>,
    ) -> Result<ReloadAnswer, ReloadError> {
        let prepared = self.prepare(state, &sinks)?;
        let answer = answer::of(&prepared.plan, &state.running, &sinks);
        if prepared.plan.changes_nothing() {
            return Ok(answer);
        }
        let (running, old) = self.start(state, prepared, sinks).await?;
        state.running = running;
        info!(
            added = ?answer.added, changed = ?answer.changed, removed = ?answer.removed,
            "the sinks are others now"
        );
        // Who leaves is handed nothing any more.
        if timeout(SETTLE_TIME, self.workshop.router.settled()).await.is_err() {
            warn!("the router is slow: a sink that leaves may be handed something still");
        }
        old.into_iter().for_each(|slot| self.see_off(slot));
        Ok(answer)
    }

    /// Finds what is wrong with the new sinks.
    fn prepare(&self, state: &State, sinks: &[Spec]) -> Result<Prepared, ReloadError> {
        let specs: Vec<&Spec> = state.running.iter().map(|running| &running.spec).collect();
        let plan = plan::plan(&specs, sinks);
        let mut lineup = (*self.workshop.lineups.now()).clone();
        if lineup.sinks.len() - state.running.len() + sinks.len() > MOST_SINKS {
            let count = sinks.len();
            return Err(ReloadError::Wrong(format!(
                "{count} sinks are more than the {MOST_SINKS} there may be, with those of the program"
            )));
        }
        let mut configured = Vec::new();
        for (spec, step) in sinks.iter().zip(&plan.steps) {
            let is_new = !matches!(step, Step::Keep(_));
            let sink = is_new.then(|| sinks::configure(spec.clone())).transpose();
            let sink =
                sink.map_err(|error| ReloadError::Wrong(format!("sink {}: {error}", spec.name())))?;
            configured.push(sink);
        }
        let places = places(&plan, state, &configured, &mut lineup)?;
        Ok(Prepared { plan, configured, lineup, places })
    }

    /// Starts what is new, and hands to that from then on; gives what is old.
    async fn start(
        &self,
        state: &mut State,
        prepared: Prepared,
        sinks: Vec<Spec>,
    ) -> Result<(Vec<Running>, Vec<Arc<SinkSlot>>), ReloadError> {
        let Prepared { plan, configured, mut lineup, places } = prepared;
        let old: Vec<Arc<SinkSlot>> =
            plan.leaving().map(|index| Arc::clone(&state.running[index].slot)).collect();
        let is_own = |slot: &Arc<SinkSlot>| {
            state.running.iter().any(|running| Arc::ptr_eq(&running.slot, slot))
        };
        let first = lineup.sinks.iter().position(is_own).unwrap_or(lineup.sinks.len().min(1));
        lineup.sinks.retain(|slot| !is_own(slot));
        let mut names: Vec<String> = lineup.sinks.iter().map(|slot| slot.name.clone()).collect();
        names.extend(
            plan.steps
                .iter()
                .filter_map(|step| step.old().map(|index| state.running[index].slot.name.clone())),
        );
        for slot in &old {
            self.let_go(slot).await?;
        }
        let mut running = Vec::new();
        let parts = sinks.into_iter().zip(plan.steps).zip(configured).zip(places);
        for (((spec, step), configured), whom) in parts {
            let slot = match (configured, step.old()) {
                (Some(sink), before) => {
                    let name = before.map(|index| state.running[index].slot.name.clone());
                    let name = name.unwrap_or_else(|| unique_name(&sink.name, &names));
                    names.push(name.clone());
                    self.start_one(state, sink, name, whom).await?
                }
                (None, Some(index)) => Arc::clone(&state.running[index].slot),
                (None, None) => continue,
            };
            running.push(Running { spec, slot });
        }
        let slots = running.iter().map(|running| Arc::clone(&running.slot));
        lineup.sinks.splice(first..first, slots);
        self.workshop.lineups.change(|now| {
            now.leaving.extend(old.iter().cloned());
            *now = Lineup { leaving: std::mem::take(&mut now.leaving), ..lineup };
        });
        Ok((running, old))
    }

    async fn let_go(&self, slot: &SinkSlot) -> Result<(), ReloadError> {
        let gone = LetGo { name: slot.name.clone() };
        self.workshop.supervisor.send(gone).await.map_err(|_| ReloadError::Stopping)
    }

    async fn start_one(
        &self,
        state: &mut State,
        sink: Configured,
        name: String,
        whom: SinkSet,
    ) -> Result<Arc<SinkSlot>, ReloadError> {
        let arbiters = &self.workshop.arbiters;
        let arbiter = arbiters[state.started % arbiters.len()].clone();
        state.started += 1;
        let start = StartSink { child: sink_child(sink, name, arbiter), whom };
        let started = self.workshop.supervisor.send(start).await;
        started.ok().flatten().ok_or(ReloadError::Stopping)
    }

    /// Lets a sink write what it holds, for as long as it may.
    fn see_off(&self, slot: Arc<SinkSlot>) {
        let (lineups, time) = (Arc::clone(&self.workshop.lineups), self.workshop.drain_time);
        tokio::spawn(async move {
            let deadline = Instant::now() + time;
            if let Some(handle) = slot.handle() {
                let drained = timeout(time + GRACE, handle.drain.send(Drain { deadline })).await;
                if !matches!(drained, Ok(Ok(()))) {
                    warn!(sink = slot.name, "a sink that was removed did not end in time");
                }
            }
            lineups.change(|lineup| lineup.leaving.retain(|one| !Arc::ptr_eq(one, &slot)));
            info!(sink = slot.name, "a sink that was removed or changed has ended");
        });
    }
}

/// What payloads are marked with for each sink. Those of sinks that stay required stay, those of the
/// others are given back first.
fn places(
    plan: &Plan,
    state: &State,
    configured: &[Option<Configured>],
    lineup: &mut Lineup,
) -> Result<Vec<SinkSet>, ReloadError> {
    let whom = |index: usize| state.running[index].slot.whom;
    let stays = |step: &Step, sink: &Option<Configured>| {
        let required = |index| sink.as_ref().map_or(whom(index) != SinkSet::OTHERS, is_required);
        step.old().filter(|index| required(*index)).map(whom)
    };
    let steps = || plan.steps.iter().zip(configured);
    let kept: SinkSet =
        steps().filter_map(|(step, sink)| stays(step, sink)).fold(SinkSet::EMPTY, SinkSet::with);
    let own = (0..state.running.len()).map(whom).fold(SinkSet::EMPTY, SinkSet::with);
    let gone = own.without(kept).without(SinkSet::OTHERS);
    if !gone.is_empty() {
        lineup.roster.remove(gone);
    }
    let place = |(step, sink): (&Step, &Option<Configured>)| {
        let kept = stays(step, sink).filter(|whom| *whom != SinkSet::OTHERS);
        let required = sink.as_ref().is_some_and(is_required);
        kept.or_else(|| lineup.place(required))
    };
    let places: Option<Vec<SinkSet>> = steps().map(place).collect();
    places.ok_or_else(|| ReloadError::wrong("more sinks are required than there may be"))
}

const fn is_required(sink: &Configured) -> bool {
    sink.options.required
}
