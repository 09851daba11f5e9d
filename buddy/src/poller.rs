//! The poller: at each tick asks every host once, and passes rows on as each host answers.
//!
//! Owns the hosts' pipelines. A host that is slow or dead costs its own rows and nobody else's:
//! starts are spread over the first part of the tick, each host has a deadline, and hosts that
//! failed before wait in a lane of their own, so that they never hold up those that work. A host
//! that is still busy when the next tick comes is not asked again; ticks that were missed are
//! skipped.

mod ask;
mod recalled;
mod round;
mod schedule;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use compact_str::CompactString;
use heapster_shared::{
    Map,
    host::{Host, HostState},
    row::RowBatch,
    tick::{Resolution, Tick},
};
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    discovery::Listing,
    enrich::Enricher,
    metrics_api::MetricsStore,
    pipeline::{HostSamples, Plans, RecalledHost},
    source::Source,
};
use ask::{Answer, Ask, Failure, Lanes};
use recalled::Recalled;
use round::Round;
pub use round::RoundEnd;
pub use schedule::Clock;
use schedule::Schedule;
use slot::Slot;

/// What never changes while the poller runs.
#[derive(Clone, Debug)]
pub struct PollerConfig {
    /// Of every row.
    pub cluster: Arc<str>,
    /// What a host may take to answer; `None` for 10 s, or two thirds of the resolution where that
    /// is less.
    pub host_timeout: Option<Duration>,
    /// Hosts that are asked at once: so many that answered before, and as many that failed.
    pub concurrency: usize,
}

/// Which hosts to poll, and how often.
#[derive(Clone, Debug)]
pub struct PollerInputs {
    /// The hosts that were found here.
    pub listing: watch::Receiver<Listing>,
    /// The hosts that the master wants polled: where there is such a list it goes before what was
    /// found here. A host that is not in it any more is not asked again, and what it was asked
    /// before is still taken in.
    pub assignment: watch::Receiver<Option<Arc<Vec<Host>>>>,
    /// The distance between ticks.
    pub resolution: watch::Receiver<Resolution>,
}

/// Where the results go.
#[derive(Debug)]
pub struct PollerOutputs {
    /// Rows and ends of rounds, in order. While it is full no answer is taken in, and hosts run
    /// late.
    pub polled: mpsc::Sender<Polled>,
    /// How polling each host went, renewed at the end of each round.
    pub states: watch::Sender<Arc<Vec<HostState>>>,
}

/// What polling gives.
#[derive(Debug)]
pub enum Polled {
    /// The rows of one host.
    Rows(RowBatch),
    /// What the next start of the program needs to know of the host whose rows came last.
    Samples(HostSamples),
    /// All hosts have answered for the tick, or have run out of time.
    RoundEnd(RoundEnd),
}

/// Polls hosts until it is cancelled.
pub struct Poller {
    config: PollerConfig,
    sources: Arc<[Arc<dyn Source>]>,
    schedule: Schedule,
    inputs: PollerInputs,
    outputs: PollerOutputs,
    lanes: Lanes,
    enricher: Option<Enricher>,
    plans: Plans,
    hosts: Map<CompactString, Slot>,
    polls: JoinSet<Answer>,
    asked: Map<Id, (Arc<Host>, Tick)>,
    rounds: Vec<Round>,
    /// Where the newest usage is kept for the metrics API.
    metrics: Option<Arc<MetricsStore>>,
    keeps_samples: bool,
    recalled: Recalled,
}

impl Poller {
    /// A poller that has not started.
    #[must_use]
    pub fn new(
        config: PollerConfig,
        sources: Vec<Arc<dyn Source>>,
        clock: Clock,
        inputs: PollerInputs,
        outputs: PollerOutputs,
    ) -> Self {
        let lanes = Lanes::new(config.concurrency);
        Self {
            config,
            sources: sources.into(),
            schedule: Schedule::new(clock),
            inputs,
            outputs,
            lanes,
            enricher: None,
            plans: Plans::default(),
            hosts: Map::default(),
            polls: JoinSet::new(),
            asked: Map::default(),
            rounds: Vec::new(),
            metrics: None,
            keeps_samples: false,
            recalled: Recalled::default(),
        }
    }

    /// The same with what enriches readings before they become rows.
    #[must_use]
    pub fn enriched(mut self, enricher: Option<Enricher>) -> Self {
        self.enricher = enricher;
        self
    }

    /// Also puts what each poll gives into the store of the metrics API.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Option<Arc<MetricsStore>>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Also gives, after the rows of a host, what the next start of the program needs to go on there.
    #[must_use]
    pub const fn keeping_samples(mut self, keeps_samples: bool) -> Self {
        self.keeps_samples = keeps_samples;
        self
    }

    /// Goes on where an earlier start of the program ended: for the hosts of the first round.
    #[must_use]
    pub fn recalling(mut self, hosts: Vec<RecalledHost>) -> Self {
        self.recalled = Recalled::of(&self.config.cluster, hosts);
        self
    }

    /// Polls until `cancel`, or until nobody takes the rows any more. A round without hosts is a
    /// round, so this begins when it is known which hosts there are.
    pub async fn run(mut self, cancel: CancellationToken) {
        self.take_hosts();
        let stopped = cancel.cancelled();
        tokio::pin!(stopped);
        loop {
            let resolution = *self.inputs.resolution.borrow_and_update();
            let results = tokio::select! {
                () = &mut stopped => return,
                Some(done) = self.polls.join_next_with_id() => self.finish(done),
                tick = self.schedule.next(resolution) => self.start_round(tick, resolution),
                Ok(()) = self.inputs.listing.changed() => self.take_hosts(),
                Ok(()) = self.inputs.assignment.changed() => self.take_hosts(),
                Ok(()) = self.inputs.resolution.changed() => continue,
            };
            for result in results {
                tokio::select! {
                    () = &mut stopped => return,
                    sent = self.outputs.polled.send(result) => if sent.is_err() { return },
                }
            }
        }
    }

    /// Takes over which hosts there are. What is remembered of a host that stays is kept.
    fn take_hosts(&mut self) -> Vec<Polled> {
        let assigned = self.inputs.assignment.borrow_and_update().clone();
        let listing = self.inputs.listing.borrow_and_update();
        let hosts = assigned.unwrap_or_else(|| Arc::clone(&listing.hosts));
        drop(listing);
        for slot in self.hosts.values_mut() {
            slot.gone = true;
        }
        for host in hosts.iter() {
            match self.hosts.get_mut(&host.id) {
                Some(slot) => slot.stay(host, &self.sources),
                None => {
                    self.hosts.insert(host.id.clone(), Slot::new(host, &self.sources));
                }
            }
        }
        self.hosts.retain(|_, slot| !slot.gone || slot.busy);
        Vec::new()
    }

    fn start_round(&mut self, tick: Tick, resolution: Resolution) -> Vec<Polled> {
        self.schedule.taken(tick, resolution);
        let count = self.hosts.values().filter(|slot| !slot.gone).count();
        let spread = schedule::spread(resolution, count);
        let timeout = self.config.host_timeout.unwrap_or_else(|| default_timeout(resolution));
        let mut round = Round::new(tick, count);
        for (id, slot) in self.hosts.iter_mut().filter(|(_, slot)| !slot.gone) {
            if slot.busy {
                round.late += 1;
                slot.failed(tick, Failure::busy());
                continue;
            }
            slot.busy = true;
            round.outstanding += 1;
            let ask = Ask {
                host: Arc::clone(&slot.host),
                sources: Arc::clone(&slot.sources),
                lane: self.lanes.lane(slot.works()),
                offset: schedule::offset(id, spread),
                timeout,
            };
            let task = self.polls.spawn(ask.run());
            self.asked.insert(task.id(), (Arc::clone(&slot.host), tick));
        }
        let is_over = round.outstanding == 0;
        self.rounds.push(round);
        if is_over { self.end_round(tick).into_iter().collect() } else { Vec::new() }
    }

    /// Takes in what a host answered.
    fn finish(&mut self, done: Result<(Id, Answer), JoinError>) -> Vec<Polled> {
        let (task, answer) = match done {
            Ok((task, answer)) => (task, answer),
            Err(error) => (error.id(), Answer::panicked()),
        };
        let Some((host, tick)) = self.asked.remove(&task) else { return Vec::new() };
        let mut results = Vec::new();
        if let Some(batch) = self.take_answer(&host.id, tick, answer) {
            results.push(Polled::Rows(batch));
            results.extend(self.samples(&host.id).map(Polled::Samples));
        }
        self.forget(&host.id);
        let round = self.rounds.iter_mut().find(|round| round.tick == tick);
        if round.is_some_and(Round::answered) {
            results.extend(self.end_round(tick));
        }
        results
    }

    fn take_answer(&mut self, id: &str, tick: Tick, answer: Answer) -> Option<RowBatch> {
        let slot = self.hosts.get_mut(id)?;
        slot.busy = false;
        self.take_readings(id, tick, answer)
    }

    /// What was asked counts also where the host is another buddy's by now.
    fn forget(&mut self, id: &str) {
        if self.hosts.get(id).is_some_and(|slot| slot.gone && !slot.busy) {
            self.hosts.remove(id);
        }
    }

    fn samples(&self, id: &str) -> Option<HostSamples> {
        let slot = self.hosts.get(id).filter(|_| self.keeps_samples)?;
        slot.pipeline.samples(&self.config.cluster)
    }

    fn take_readings(&mut self, id: &str, tick: Tick, answer: Answer) -> Option<RowBatch> {
        let slot = self.hosts.get_mut(id)?;
        let round = self.rounds.iter_mut().find(|round| round.tick == tick)?;
        let readings = match answer.outcome {
            Ok(readings) => readings,
            Err(failure) => {
                round.count_failure(&failure);
                slot.failed(tick, failure);
                return None;
            }
        };
        slot.answered(tick, answer.source, answer.took);
        let readings = match &mut self.enricher {
            Some(enricher) => enricher.enrich(&mut slot.known, &slot.host, &readings),
            None => readings,
        };
        let resolution = *self.inputs.resolution.borrow();
        self.recalled.give(id, &mut slot.pipeline, resolution);
        let blocks = slot.pipeline.advance(&mut self.plans, &slot.host, &readings);
        let sent_before = slot.pipeline.take_recalled();
        if let Some(metrics) = &self.metrics {
            let newest = recalled::newest(&blocks, &sent_before);
            metrics.take(&slot.host, &readings, &newest, resolution);
        }
        let batch = RowBatch { cluster: Arc::clone(&self.config.cluster), tick, blocks };
        round.count_rows(&batch);
        (batch.row_count() > 0).then_some(batch)
    }

    fn end_round(&mut self, tick: Tick) -> Option<Polled> {
        let place = self.rounds.iter().position(|round| round.tick == tick)?;
        let round = self.rounds.remove(place);
        round.log();
        self.recalled.forget();
        self.plans.prune();
        if let Some(enricher) = &mut self.enricher {
            enricher.prune();
        }
        if let Some(metrics) = &self.metrics {
            metrics.end_round();
        }
        let polled = self.hosts.values().filter(|slot| !slot.gone);
        let states = polled.filter_map(|slot| slot.state.clone()).collect();
        self.outputs.states.send_replace(Arc::new(states));
        Some(Polled::RoundEnd(round.end()))
    }
}

fn default_timeout(resolution: Resolution) -> Duration {
    Duration::from_secs(10).min(resolution.duration() * 2 / 3)
}

/// The time since a round began, for its log line.
fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
