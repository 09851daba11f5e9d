//! Asking one host: its sources in order, within its deadline.

use std::{sync::Arc, time::Duration};

use heapster_shared::host::Host;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::source::{Readings, Source};

/// How many hosts are asked at once. Those that failed last time have a lane of their own: while
/// they wait for their deadlines they take no place from hosts that work.
pub(super) struct Lanes {
    working: Arc<Semaphore>,
    failing: Arc<Semaphore>,
}

impl Lanes {
    pub(super) fn new(width: usize) -> Self {
        let lane = || Arc::new(Semaphore::new(width.clamp(1, Semaphore::MAX_PERMITS)));
        Self { working: lane(), failing: lane() }
    }

    pub(super) fn lane(&self, works: bool) -> Arc<Semaphore> {
        Arc::clone(if works { &self.working } else { &self.failing })
    }
}

/// One host to ask for one tick.
pub(super) struct Ask {
    pub(super) host: Arc<Host>,
    /// Those of this host, in order.
    pub(super) sources: Arc<[Arc<dyn Source>]>,
    pub(super) lane: Arc<Semaphore>,
    pub(super) offset: Duration,
    pub(super) timeout: Duration,
}

/// What became of it.
pub(super) struct Answer {
    pub(super) outcome: Result<Readings, Failure>,
    /// The kind that answered.
    pub(super) source: &'static str,
    pub(super) took: Duration,
}

/// Why there are no readings.
pub(super) struct Failure {
    pub(super) error: String,
    /// It ran out of time.
    pub(super) late: bool,
    pub(super) source: &'static str,
    pub(super) took: Duration,
}

impl Failure {
    /// The host was not asked, because it has not answered for the tick before.
    pub(super) fn busy() -> Self {
        let error = "still busy with the tick before; it is asked again when it has answered";
        Self { error: error.to_owned(), late: true, source: "", took: Duration::ZERO }
    }
}

impl Answer {
    /// A source that fails in this way is a mistake in the program; it costs this host's rows.
    pub(super) fn panicked() -> Self {
        let error = "the source failed inside; this is a mistake in the program".to_owned();
        let failure = Failure { error, late: false, source: "", took: Duration::ZERO };
        Self { outcome: Err(failure), source: "", took: Duration::ZERO }
    }
}

impl Ask {
    pub(super) async fn run(self) -> Answer {
        tokio::time::sleep(self.offset).await;
        let started = Instant::now();
        let deadline = started + self.timeout;
        // The lane is never closed; were it, the host would be asked without a place.
        let place = timeout_at(deadline, Arc::clone(&self.lane).acquire_owned()).await;
        let (outcome, source) = match &place {
            Ok(_place) => self.ask(deadline).await,
            Err(_) => (Err(("too many hosts fail at once to ask this one".to_owned(), true)), ""),
        };
        let took = started.elapsed();
        let outcome = outcome.map_err(|(error, late)| Failure { error, late, source, took });
        Answer { outcome, source, took }
    }

    /// Each source may take its share of the time that is left.
    async fn ask(&self, deadline: Instant) -> (Result<Readings, (String, bool)>, &'static str) {
        let mut errors = Vec::new();
        let (mut late, mut kind) = (false, "");
        for (index, source) in self.sources.iter().enumerate() {
            let left = u32::try_from(self.sources.len() - index).unwrap_or(1);
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / left;
            kind = source.kind();
            match timeout_at(now + share, source.poll(&self.host)).await {
                Ok(Ok(readings)) => return (Ok(readings), kind),
                Ok(Err(error)) => {
                    late = false;
                    errors.push(format!("{kind}: {error}"));
                }
                Err(_) => {
                    late = true;
                    // Not 899 ms where 900 were given: some time has passed since.
                    let share_ms = share.as_micros().div_ceil(1000);
                    errors.push(format!("{kind}: no answer within {share_ms} ms"));
                }
            }
        }
        if errors.is_empty() {
            errors.push("no source polls this host; give one with --source".to_owned());
        }
        (Err((errors.join("; then "), late)), kind)
    }
}

/// The source that named the host; else those that name none, of the kinds that the host's
/// endpoints ask for where there is such a one.
pub(super) fn sources_of(host: &Host, sources: &Arc<[Arc<dyn Source>]>) -> Arc<[Arc<dyn Source>]> {
    let named = |source: &&Arc<dyn Source>| source.own_host().is_some_and(|own| own.id == host.id);
    if let Some(source) = sources.iter().find(named) {
        return Arc::new([Arc::clone(source)]);
    }
    let open: Vec<_> = sources.iter().filter(|source| source.own_host().is_none()).collect();
    let wanted = |source: &&Arc<dyn Source>| {
        host.endpoints.iter().any(|it| it.kind == source.endpoint_kind())
    };
    let matching: Vec<_> = open.iter().copied().filter(wanted).collect();
    let chosen = if matching.is_empty() { open } else { matching };
    if chosen.len() == sources.len() {
        return Arc::clone(sources); // one list for all hosts
    }
    chosen.into_iter().cloned().collect()
}
