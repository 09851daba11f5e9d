//! Sinks that are added, changed and removed while the master runs.
//!
//! [`SinkControl::reload`] reads the configuration again and takes over its sinks;
//! [`SinkControl::replace`] takes them from whoever asks. All that can be wrong is found before
//! anything changes (`reload/prepare`). A sink whose spec is the same is left alone, with its queue,
//! its connections and its counters. One that has another spec for the same place (`reload/plan`) is
//! changed: the new one starts, and has its place among the required sinks, while the old one writes
//! what it holds; what that cannot write in `--drain-time` the buddies send again, to the new one.
//! One that is removed writes what it holds, too, and nobody waits for it any more.

mod answer;
mod plan;
mod prepare;
mod read;
mod start;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Addr, ArbiterHandle};
use heapster_shared::{config::FileSettings, spec::Spec};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};
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
    core::sink_set::SinkSet,
    sinks::Configured,
};
use prepare::{Prepared, Ready, prepare};

/// How long the router may take to finish what it has in hand.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// What a sink may take beyond its deadline to say that it has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The key of the sinks in a file.
const SINK_KEY: &str = "sink";
const OVERRIDDEN: &str =
    "the sinks of the file are not in force: --sink or HEAPSTER_SINK goes before it";

/// What changes of sinks are made with.
pub(crate) struct Workshop {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) lineups: Arc<Lineups>,
    pub(crate) router: Arc<RouterSlot>,
    /// Where sinks are started, in turn.
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) drain_time: Duration,
    /// Where sinks write.
    pub(crate) runtime: Handle,
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

#[derive(Clone, Debug)]
struct Running {
    spec: Spec,
    slot: Arc<SinkSlot>,
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
    pub async fn reload(self: &Arc<Self>) -> Result<ReloadAnswer, ReloadError> {
        let control = Arc::clone(self);
        self.to_its_end(async move { control.read_and_apply().await }).await
    }

    /// Takes over these sinks, until the next reload or the next start.
    ///
    /// # Errors
    /// When one of them is wrong: then all is as before.
    pub async fn replace(self: &Arc<Self>, sinks: Vec<Spec>) -> Result<ReloadAnswer, ReloadError> {
        let control = Arc::clone(self);
        let mut answer = self
            .to_its_end(async move {
                let mut state = control.state.lock().await;
                control.apply(&mut state, sinks).await
            })
            .await?;
        answer.note = "these sinks are in force until the next reload or start".to_owned();
        Ok(answer)
    }

    /// A change that has begun is made, on the program's own runtime, whether who asked for it waits
    /// or not.
    async fn to_its_end(
        &self,
        change: impl Future<Output = Result<ReloadAnswer, ReloadError>> + Send + 'static,
    ) -> Result<ReloadAnswer, ReloadError> {
        let made = self.workshop.runtime.spawn(change).await;
        made.unwrap_or(Err(ReloadError::Failed))
    }

    async fn read_and_apply(&self) -> Result<ReloadAnswer, ReloadError> {
        let read = self.read.clone().ok_or(ReloadError::NoFile)?;
        let mut state = self.state.lock().await;
        // Disks take their time, now and then.
        let reading = tokio::task::spawn_blocking(move || read()).await;
        let reading = reading.map_err(|_| ReloadError::Failed)?;
        let reading = reading.map_err(ReloadError::Wrong)?.ok_or(ReloadError::NoFile)?;
        let mut answer = self.apply(&mut state, reading.args.sinks).await?;
        let before = state.file.get_or_insert_with(|| reading.file.clone());
        answer.needs_restart = before.differing(&reading.file);
        answer.needs_restart.retain(|key| key != SINK_KEY);
        if reading.file.overridden.iter().any(|key| key == SINK_KEY) {
            OVERRIDDEN.clone_into(&mut answer.note);
        }
        Ok(answer)
    }

    async fn apply(
        &self,
        state: &mut State,
        specs: Vec<Spec>,
    ) -> Result<ReloadAnswer, ReloadError> {
        let lineup = (*self.workshop.lineups.now()).clone();
        let prepared = prepare(&state.running, lineup, &specs)?;
        let answer = answer::of(&prepared.plan, &state.running, &specs);
        if prepared.plan.changes_nothing() {
            return Ok(answer);
        }
        let old = prepared.old.clone();
        state.running = self.start(state, prepared, specs).await?;
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

    /// Starts what is new, and lets payloads go to that from then on.
    async fn start(
        &self,
        state: &mut State,
        prepared: Prepared,
        specs: Vec<Spec>,
    ) -> Result<Vec<Running>, ReloadError> {
        let Prepared { sinks, old, mut lineup, first, .. } = prepared;
        for slot in &old {
            self.let_go(slot).await?;
        }
        let mut running = Vec::new();
        for (spec, ready) in specs.into_iter().zip(sinks) {
            let slot = match ready {
                Ready::Runs(slot) => slot,
                Ready::Starts { sink, name, whom } => {
                    self.start_one(state, *sink, name, whom).await?
                }
            };
            running.push(Running { spec, slot });
        }
        let slots = running.iter().map(|running| Arc::clone(&running.slot));
        lineup.sinks.splice(first..first, slots);
        self.workshop.lineups.change(|now| {
            now.leaving.extend(old);
            *now = Lineup { leaving: std::mem::take(&mut now.leaving), ..lineup };
        });
        Ok(running)
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
