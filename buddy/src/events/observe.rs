//! The task that takes events from the watch, lets pass what may, gathers that and hands it over.

use std::{sync::Arc, time::Duration};

use heapster_shared::{
    backoff::Backoff,
    event::{Event, ObserverState},
    tick::unix_ms,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{EventTally, Observer, allowance::Allowance};
use crate::kubernetes::{Cluster, EventCounts, EventWatch, WatchState};

/// How long events wait for others to go with them.
const LINGER: Duration = Duration::from_millis(500);
/// So many go at once: some 60 KB.
const ENOUGH: usize = 128;
/// How often it is said how it goes, where that has changed.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How often it is logged that events are left out.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A watch that fails for longer than this is worth a word: a server that restarts is not.
const PATIENCE_MS: i64 = 60_000;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An observer at work.
pub(super) struct Running {
    observer: Observer,
    allowance: Allowance,
    gathered: Vec<Event>,
    /// When what is gathered has to go.
    due: Instant,
    sender: mpsc::Sender<Vec<Event>>,
    report: watch::Sender<Option<ObserverState>>,
    tally: Arc<EventTally>,
    /// When it was logged last that events are left out, and how many there were until then.
    told: Option<(Instant, u64)>,
}

impl Running {
    pub(super) fn new(
        observer: Observer,
        sender: mpsc::Sender<Vec<Event>>,
        report: watch::Sender<Option<ObserverState>>,
        tally: Arc<EventTally>,
    ) -> Self {
        let now = Instant::now();
        let allowance = Allowance::new(observer.per_minute, now);
        let gathered = Vec::new();
        Self { observer, allowance, gathered, due: now, sender, report, tally, told: None }
    }

    /// Observes until it is stopped, or nobody takes the events; what is gathered then still goes.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut watch = tokio::select! {
            () = stop.cancelled() => return,
            watch = self.open() => watch,
        };
        let mut report = interval(REPORT_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.sender.is_closed() {
            let due = self.due;
            tokio::select! {
                () = stop.cancelled() => break,
                event = watch.next() => match event {
                    Some(event) => self.take(event).await,
                    None => break,
                },
                () = sleep_until(due), if !self.gathered.is_empty() => self.hand_over().await,
                _ = report.tick() => {
                    self.tell_of_dropped();
                    self.say(state(
                        self.observer.name(),
                        &watch.state(),
                        watch.counts(),
                        &self.tally,
                        unix_ms(),
                    ));
                }
            }
        }
        self.hand_over().await;
    }

    /// The watch, as soon as there is a way to the cluster.
    async fn open(&self) -> EventWatch {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let error = match Cluster::shared(&self.observer.connector).await {
                Ok(cluster) => return EventWatch::start(&cluster),
                Err(error) => error,
            };
            let name = self.observer.name();
            if backoff.failures() == 0 {
                tracing::warn!(observer = name, error, "events cannot be observed, trying again");
            }
            self.say(Some(ObserverState {
                name: name.to_owned(),
                error,
                ..ObserverState::default()
            }));
            sleep(backoff.next_wait()).await;
        }
    }

    async fn take(&mut self, event: Event) {
        let now = Instant::now();
        if !self.allowance.admits(event.kind != "Normal", now) {
            self.tally.count_dropped(1);
            return;
        }
        if self.gathered.is_empty() {
            self.due = now + LINGER;
        }
        self.gathered.push(event);
        if self.gathered.len() >= ENOUGH {
            self.hand_over().await;
        }
    }

    async fn hand_over(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let gathered = std::mem::take(&mut self.gathered);
        if let Err(mpsc::error::SendError(lost)) = self.sender.send(gathered).await {
            self.tally.count_dropped(lost.len());
        }
    }

    fn say(&self, state: Option<ObserverState>) {
        let Some(state) = state else { return };
        self.report.send_if_modified(|said| {
            let is_news = said.as_ref() != Some(&state);
            *said = Some(state);
            is_news
        });
    }

    fn tell_of_dropped(&mut self) {
        let dropped = self.tally.dropped();
        let (at, until_then) = self.told.map_or((None, 0), |(at, dropped)| (Some(at), dropped));
        if dropped == until_then || at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        tracing::warn!(
            events = dropped - until_then,
            per_minute = self.observer.per_minute,
            "events are left out: more come than `per_minute` allows, or those that wait for the master fill their part of the spool"
        );
        self.told = Some((Instant::now(), dropped));
    }
}

/// How it goes; nothing before the API server has answered or failed.
fn state(
    name: &str,
    watch: &WatchState,
    counts: EventCounts,
    tally: &EventTally,
    now_ms: i64,
) -> Option<ObserverState> {
    let fails = watch.failing_since_unix_ms != 0;
    if !watch.synced && !fails {
        return None;
    }
    let for_long = now_ms - watch.failing_since_unix_ms >= PATIENCE_MS;
    let ok = watch.synced && !(fails && for_long);
    Some(ObserverState {
        name: name.to_owned(),
        ok,
        error: if ok { String::new() } else { watch.last_error.clone() },
        observed: counts.observed,
        deduplicated: counts.deduplicated,
        sent: tally.sent(),
        dropped: tally.dropped(),
        heard_unix_ms: watch.heard_unix_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(synced: bool, failing_since_unix_ms: i64, now_ms: i64) -> Option<(bool, String)> {
        let watch = WatchState {
            synced,
            failing_since_unix_ms,
            last_error: "the API server says 403".to_owned(),
            ..WatchState::default()
        };
        let tally = EventTally::default();
        let state = state("kubernetes", &watch, EventCounts::default(), &tally, now_ms)?;
        Some((state.ok, state.error))
    }

    /// An API server that restarts is no trouble; one that never let us in is, at once.
    #[test]
    fn trouble_is_said_when_it_lasts_or_was_there_from_the_start() {
        let error = "the API server says 403".to_owned();
        assert_eq!(said(false, 0, 1_000), None);
        assert_eq!(said(false, 1_000, 1_001), Some((false, error.clone())));
        assert_eq!(said(true, 0, 1_000), Some((true, String::new())));
        assert_eq!(said(true, 1_000, 60_999), Some((true, String::new())));
        assert_eq!(said(true, 1_000, 61_000), Some((false, error)));
    }
}
