//! How long after a tick what was measured for it is where people look.
//!
//! The ends of rounds are told by the sum over the cluster, which there is for a tick only when its
//! round has ended and no row of it is missing. Single hosts are watched beside, a few of them, the
//! same in clusters of which a part is dead: their samples come when they come, whatever the others do.

use std::time::{Duration, Instant};

use anyhow::bail;
use futures::future::{try_join, try_join_all};
use heapster_shared::tick::unix_ms;
use tokio::time::sleep;

use super::{api::Api, kubernetes::Kubernetes};
use crate::sim::host_name;

/// Hosts that are watched.
const WATCHED_HOSTS: usize = 12;
/// How often each of them is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// What was found, over all watched rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    /// From each tick to the end of its round.
    pub(super) rounds: Vec<Duration>,
    /// From a tick to the sample of a host in the master's model.
    pub(super) model: Vec<Duration>,
    /// From a tick to the sample of a node at the metrics API.
    pub(super) metrics_api: Vec<Duration>,
}

/// Somewhere a host's newest sample can be seen.
enum Place {
    Model(Api),
    MetricsApi(Kubernetes),
}

impl Place {
    async fn newest_ms(&self, host: &str) -> anyhow::Result<Option<i64>> {
        match self {
            Self::Model(api) => api.newest_ms(&format!("nodes/{host}/")).await,
            Self::MetricsApi(kubernetes) => kubernetes.newest_ms(host).await,
        }
    }
}

/// A host at a place, and what was seen of it before the tick.
struct Watched<'a> {
    place: &'a Place,
    host: String,
    seen_ms: Option<i64>,
}

/// The tick to watch, and when it is no use any more.
#[derive(Clone, Copy)]
struct Watch {
    tick_ms: i64,
    deadline: Instant,
}

impl Watch {
    /// The time since the tick.
    fn elapsed(self) -> Duration {
        Duration::from_millis(u64::try_from(unix_ms() - self.tick_ms).unwrap_or(0))
    }
}

/// Watches the round of a tick that is still to come.
pub(super) async fn watch(
    api: &Api,
    kubernetes: Option<&Kubernetes>,
    hosts: usize,
    tick_ms: i64,
    patience: Duration,
    found: &mut Latencies,
) -> anyhow::Result<()> {
    let model = Place::Model(api.clone());
    let metrics_api = kubernetes.map(|kubernetes| Place::MetricsApi(kubernetes.clone()));
    let mut watched = Vec::new();
    for place in [Some(&model), metrics_api.as_ref()].into_iter().flatten() {
        for host in hosts_to_watch(hosts) {
            let seen_ms = place.newest_ms(&host).await?;
            watched.push(Watched { place, host, seen_ms });
        }
    }
    let ahead = u64::try_from(tick_ms - unix_ms()).unwrap_or(0);
    sleep(Duration::from_millis(ahead)).await;
    let watch = Watch { tick_ms, deadline: Instant::now() + patience };
    let samples = try_join_all(watched.iter().map(|watched| sample(watched, watch)));
    let (round, samples) = try_join(round(api, watch), samples).await?;
    found.rounds.push(round);
    let mut samples = samples.into_iter();
    found.model.extend(samples.by_ref().take(hosts_to_watch(hosts).count()));
    found.metrics_api.extend(samples);
    Ok(())
}

/// Of the first half, which is alive in all runs.
fn hosts_to_watch(hosts: usize) -> impl Iterator<Item = String> {
    let living = hosts.div_ceil(2);
    let step = living.div_ceil(WATCHED_HOSTS).max(1);
    (0..living).step_by(step).map(host_name)
}

/// Waits until another sample of a host is there.
async fn sample(watched: &Watched<'_>, watch: Watch) -> anyhow::Result<Duration> {
    loop {
        let newest_ms = watched.place.newest_ms(&watched.host).await?;
        if newest_ms.is_some() && newest_ms != watched.seen_ms {
            return Ok(watch.elapsed());
        }
        if Instant::now() > watch.deadline {
            bail!("no sample of {} comes after the one at {:?}", watched.host, watched.seen_ms);
        }
        sleep(PAUSE).await;
    }
}

/// Waits until the round is over.
async fn round(api: &Api, watch: Watch) -> anyhow::Result<Duration> {
    loop {
        if api.newest_ms("").await?.is_some_and(|newest_ms| newest_ms >= watch.tick_ms) {
            return Ok(watch.elapsed());
        }
        if Instant::now() > watch.deadline {
            bail!("the round of the tick {} does not come to its end", watch.tick_ms);
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise two runs could not be compared: each host has its own place in the round.
    #[test]
    fn the_watched_hosts_are_alive_whoever_is_dead() {
        for hosts in [1, 2, 13, 100, 1000, 5000] {
            let watched: Vec<_> = hosts_to_watch(hosts).collect();
            assert!((1..=WATCHED_HOSTS).contains(&watched.len()), "{hosts}");
            assert!(watched.last() <= Some(&host_name(hosts.div_ceil(2) - 1)), "{hosts}");
        }
    }
}
