//! The whole buddy: discovery, poller and uplink, built, run and drained.

mod duties;
mod enrichment;
mod first;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures::future::OptionFuture;
use heapster_shared::{
    host::Host,
    tick::{Resolution, unix_ms},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    args::PollingArgs,
    discovery::{self, Discovery},
    events::Observer,
    metrics_api::MetricsApi,
    poller::{Poller, PollerConfig, PollerInputs, PollerOutputs},
    source::{self, Source},
    spool::SpoolConfig,
    uplink::{Identity, Uplink, UplinkConfig, UplinkPorts},
};
use enrichment::Enrichment;

/// What the master may take to acknowledge what is left, when the buddy is stopped.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Answers of hosts that wait to be written to the journal.
const POLLED_QUEUE: usize = 64;

/// A buddy that has been checked and not started.
pub struct Buddy {
    config: PollerConfig,
    discovery_interval: Duration,
    spool: SpoolConfig,
    identity: Identity,
    sources: Vec<Arc<dyn Source>>,
    discoveries: Vec<(String, Box<dyn Discovery>)>,
    enrichment: Enrichment,
    observer: Option<Observer>,
    uplink: UplinkConfig,
    metrics: Option<MetricsApi>,
}

impl Buddy {
    /// Checks everything that can be checked before anything starts.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn build(polling: PollingArgs, uplink: UplinkConfig) -> anyhow::Result<Self> {
        let enrichment = Enrichment::build(polling.enrichment, &polling.discovery)?;
        let discovery_specs = polling.discovery;
        let metrics = MetricsApi::build(polling.metrics, &discovery_specs, Arc::new(unix_ms))?;
        let duties = duties::of(&polling.role);
        let source_specs = duties::sources(polling.source, &discovery_specs, duties);
        let manager = duties::manager(&discovery_specs, duties);
        let mut discoveries = Vec::new();
        for spec in discovery_specs {
            let name = spec.name();
            let built = discovery::build(spec).with_context(|| format!("--discovery {name}"))?;
            discoveries.push((name, built));
        }
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        for spec in source_specs {
            let name = spec.name();
            sources.push(source::build(spec).with_context(|| format!("--source {name}"))?.into());
        }
        duties::check(&sources, discoveries.len(), duties)?;
        let observer = polling.events.observer()?;
        let spool = polling.spool.config();
        let cluster: Arc<str> = polling.cluster.into();
        let config = PollerConfig {
            cluster: Arc::clone(&cluster),
            host_timeout: polling.host_timeout,
            concurrency: usize::from(polling.poll_concurrency),
        };
        let identity = Identity {
            buddy_id: polling.buddy_id.unwrap_or_else(default_buddy_id),
            instance_id: uuid::Uuid::new_v4().to_string().into(),
            cluster,
            manager,
            duties,
        };
        Ok(Self {
            config,
            discovery_interval: polling.discovery_interval,
            spool,
            identity,
            sources,
            discoveries,
            enrichment,
            observer,
            uplink,
            metrics,
        })
    }

    /// The same as one that is given hosts only where no other buddy can have them.
    #[must_use]
    pub fn standing_by(mut self) -> Self {
        self.identity.duties.standby = true;
        self
    }

    /// The cluster that it speaks for.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.identity.cluster
    }

    /// The hosts that its sources name, before any discovery.
    #[must_use]
    pub fn own_hosts(&self) -> Vec<Host> {
        let named = self.sources.iter().filter_map(|source| source.own_host());
        named.map(|host| Host { local: true, ..host }).collect()
    }

    /// What it will poll, in a few words, for the first line of the log.
    #[must_use]
    pub fn summary(&self) -> String {
        self.summarize(|_| None)
    }

    /// The same with what the sources find at a first look. Reads local files.
    #[must_use]
    pub fn survey(&self) -> String {
        self.summarize(|source| source.describe())
    }

    fn summarize(&self, describe: impl Fn(&dyn Source) -> Option<String>) -> String {
        let mut parts = Vec::new();
        let mut shared = Vec::new();
        for source in &self.sources {
            match (describe(&**source), source.own_host()) {
                (Some(description), _) => parts.push(description),
                (None, Some(host)) => parts.push(format!("{} with {}", host.name, source.kind())),
                (None, None) => shared.push(source.kind()),
            }
        }
        let discovered = self.discoveries.iter();
        let discovered: Vec<_> =
            discovered.map(|(name, _)| format!("the hosts of {name}")).collect();
        let duties = self.identity.duties;
        if !duties.polls {
            parts.push(format!("{} for others to poll", discovered.join(", ")));
        } else if !duties.discovers {
            parts.push(format!("the hosts that the master gives with {}", shared.join(", then ")));
        } else if !discovered.is_empty() {
            parts.push(format!("{} with {}", discovered.join(", "), shared.join(", then ")));
        }
        parts.extend(
            self.observer.iter().map(|observer| format!("the events of {}", observer.name())),
        );
        format!("watching {}", parts.join(", "))
    }

    /// Runs until `cancel`; then stops polling, waits up to [`DRAIN_WITHIN`] for the master to
    /// acknowledge what is left, and puts the rest into the spool directory.
    ///
    /// # Errors
    /// When the master refuses this buddy for good.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        tracing::info!(
            cluster = %self.identity.cluster,
            buddy = self.identity.buddy_id,
            "{}",
            self.summary()
        );
        let stop_polling = cancel.child_token();
        let _stop_polling_in_any_case = stop_polling.clone().drop_guard();
        let metrics = self.metrics.as_ref().map(|metrics| Arc::clone(metrics.store()));
        let own_hosts = self.own_hosts();
        if let Some(metrics) = self.metrics {
            metrics.start(cancel.child_token()).await?;
        }
        let listing = discovery::spawn(
            self.discoveries,
            own_hosts,
            self.discovery_interval,
            stop_polling.clone(),
        );
        let (duties, resolution) = (self.identity.duties, self.uplink.resolution);
        let (assignment_in, assignment) = watch::channel(None);
        let (resolution_in, resolution_out) =
            watch::channel(resolution.unwrap_or(Resolution::DEFAULT));
        let (states_in, states) = watch::channel(Arc::default());
        let (polled_in, polled) = mpsc::channel(POLLED_QUEUE);
        let hosts_known = first::hosts(listing.clone(), assignment.clone());
        let resolution_told =
            resolution.is_none().then(|| first::resolution(resolution_out.clone()));
        let (enricher, known) = self.enrichment.start(stop_polling.clone());
        let poller = Poller::new(
            self.config,
            self.sources,
            Arc::new(unix_ms),
            PollerInputs { listing: listing.clone(), assignment, resolution: resolution_out },
            PollerOutputs { polled: polled_in, states: states_in },
        )
        .enriched(enricher)
        .with_metrics(metrics);
        let ports = UplinkPorts {
            listing,
            states,
            assignment: assignment_in,
            resolution: resolution_in,
            resolution_is_fixed: resolution.is_some(),
        };
        let mut uplink = Uplink::new(self.uplink, self.identity, ports, self.spool);
        let remains = uplink.remains();
        let (poller, recalling) =
            (poller.keeping_samples(uplink.keeps_samples()), uplink.recalling());
        let observation = self.observer.map(|observer| observer.start(stop_polling.clone()));
        let events = OptionFuture::from(observation.map(|observed| uplink.observe(observed)));
        let rows = uplink.writer(polled);
        let writer = async move {
            tokio::join!(rows, events);
        };
        let polls = duties.polls;
        let poll = async move {
            if !polls {
                drop(poller);
                return stop_polling.cancelled().await;
            }
            let ready = async {
                tokio::join!(
                    hosts_known,
                    first::cluster(known),
                    OptionFuture::from(resolution_told),
                    recalling.hosts(),
                )
            };
            let hosts = tokio::select! {
                (.., hosts) = ready => hosts,
                () = stop_polling.cancelled() => Vec::new(),
            };
            poller.recalling(hosts).run(stop_polling).await;
        };
        let outcome = drive(poll, writer, uplink, cancel).await;
        remains.keep();
        outcome
    }
}

/// Runs the three parts until the buddy is stopped and drained, or the master refuses it.
async fn drive(
    poller: impl Future<Output = ()> + Send + 'static,
    writer: impl Future<Output = ()> + Send + 'static,
    uplink: Uplink,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let drain = CancellationToken::new();
    let poller = tokio::spawn(poller);
    let writer = tokio::spawn(writer);
    let mut uplink = tokio::spawn(uplink.run(drain.clone()));
    tokio::select! {
        ended = &mut uplink => return Ok(ended.context("the uplink failed inside")??),
        () = cancel.cancelled() => {}
    }
    tracing::info!("stopping: no more polls, waiting for the master to acknowledge what is left");
    // The writer ends when the poller has, and then the journal is whole.
    poller.await.context("the poller failed inside")?;
    writer.await.context("the journal failed inside")?;
    drain.cancel();
    match tokio::time::timeout(DRAIN_WITHIN, &mut uplink).await {
        Ok(ended) => Ok(ended.context("the uplink failed inside")??),
        Err(_) => {
            uplink.abort();
            tracing::warn!("the master did not acknowledge everything in time");
            Ok(())
        }
    }
}

/// The host's name, which is the same over restarts.
fn default_buddy_id() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
