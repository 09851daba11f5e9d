//! Sets up what enriches readings, and keeps the way to the cluster open.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use heapster_shared::{backoff::Backoff, spec::Spec};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    args::EnrichmentArgs,
    enrich::{Enricher, KnownCluster, LabelRules},
    kubernetes::{Cluster, Connector},
};

/// The word for the only cluster manager that knows more of hosts than their discovery says.
const KUBERNETES: &str = "kubernetes";

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What was asked for, checked.
pub(super) struct Enrichment {
    connector: Option<Connector>,
    rules: LabelRules,
}

impl EnrichmentArgs {
    /// Checks the options, and asks nobody.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn check(&self, discoveries: &[Spec]) -> anyhow::Result<()> {
        Enrichment::build(self.clone(), discoveries).map(drop)
    }
}

impl Enrichment {
    pub(super) fn build(args: EnrichmentArgs, discoveries: &[Spec]) -> anyhow::Result<Self> {
        let rules = args.rules().map_err(anyhow::Error::msg)?;
        let connector = match args.metadata {
            Some(spec) => chosen(spec)?,
            None => of_discovery(discoveries)?,
        };
        Ok(Self { connector, rules })
    }

    /// What enriches, unless there is nothing to do, and whether all is known that it needs. What is
    /// in the cluster is watched until `stop`.
    pub(super) fn start(
        self,
        stop: CancellationToken,
    ) -> (Option<Enricher>, watch::Receiver<bool>) {
        let (known_in, known) = watch::channel(self.connector.is_none());
        if self.connector.is_none() && self.rules == LabelRules::default() {
            return (None, known);
        }
        let cluster = KnownCluster::default();
        if let Some(connector) = self.connector {
            let cluster = Arc::clone(&cluster);
            tokio::spawn(async move {
                tokio::select! {
                    () = follow(connector, cluster, known_in) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        (Some(Enricher::new(cluster, self.rules)), known)
    }
}

/// What was asked for in so many words.
fn chosen(mut spec: Spec) -> anyhow::Result<Option<Connector>> {
    let name = spec.name();
    let connector = match spec.kind.as_str() {
        "none" => None,
        KUBERNETES => Some(Connector::take(&mut spec)?),
        _ => anyhow::bail!(spec.unknown_kind("metadata", &[KUBERNETES, "none"])),
    };
    if let Some((option, _)) = spec.options.first() {
        let known = Connector::OPTIONS.join("`, `");
        anyhow::bail!("--metadata {name}: unknown option `{option}`; the known ones are `{known}`");
    }
    Ok(connector)
}

/// The API server that the hosts come from.
fn of_discovery(discoveries: &[Spec]) -> anyhow::Result<Option<Connector>> {
    let Some(spec) = discoveries.iter().find(|spec| spec.kind == KUBERNETES) else {
        return Ok(None);
    };
    let connector = Connector::take(&mut spec.clone());
    connector.map(Some).with_context(|| format!("--discovery {}", spec.name()))
}

/// Finds the way to the cluster, and holds it for as long as this runs.
async fn follow(connector: Connector, known: KnownCluster, all_is_known: watch::Sender<bool>) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let cluster = loop {
        match Cluster::shared(&connector).await {
            Ok(cluster) => break cluster,
            Err(error) => tracing::warn!(%error, "rows have no labels of pods yet"),
        }
        tokio::time::sleep(backoff.next_wait()).await;
    };
    cluster.watch_nodes();
    cluster.watch_pods();
    // Nobody else sets it.
    let _ = known.set(Arc::clone(cluster.metadata()));
    cluster.first_lists().await;
    all_is_known.send_replace(true);
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use heapster_shared::{entity::Labels, host::Host};
    use heapster_testkit::apiserver::{ApiServer, ApiServerOptions};

    use super::*;
    use crate::{
        enrich::HostMemory,
        source::{Layouts, PlainReading, PodName, Readings, Subject},
    };

    fn build(metadata: Option<&str>, discoveries: &[&str]) -> Result<Enrichment, String> {
        let spec = |text: &str| text.parse::<Spec>().unwrap();
        let args = EnrichmentArgs {
            metadata: metadata.map(spec),
            label_separator: ",".to_owned(),
            ignore_label: Vec::new(),
            store_label: Vec::new(),
        };
        let discoveries: Vec<Spec> = discoveries.iter().map(|text| spec(text)).collect();
        Enrichment::build(args, &discoveries).map_err(|error| format!("{error:#}"))
    }

    /// The cluster is the one of the discovery, whose own options are no part of the way there;
    /// another one or none when that is asked for.
    #[test]
    fn the_cluster_is_that_of_the_discovery() {
        let connector = |metadata, discoveries: &[&str]| {
            build(metadata, discoveries).unwrap_or_else(|error| panic!("{error}")).connector
        };
        let of = |text: &str| Connector::take(&mut text.parse().unwrap()).ok();
        let static_hosts = "static:?hosts=a=10.0.0.1";
        let found = "kubernetes:http://127.0.0.1:1?selector=a=b";
        assert_eq!(connector(None, &[static_hosts, found]), of("kubernetes:http://127.0.0.1:1"));
        assert!(connector(None, &[static_hosts]).is_none());
        assert!(connector(Some("none"), &[found]).is_none());
        let other = "kubernetes:?context=prod";
        assert_eq!(connector(Some(other), &[static_hosts]), of(other));
    }

    #[test]
    fn wrong_words_are_refused_with_the_right_ones() {
        for (metadata, expected) in [
            ("swarm", "unknown metadata `swarm`; the known ones are kubernetes, none"),
            (
                "kubernetes:?selector=a",
                "unknown option `selector`; the known ones are `kubeconfig`",
            ),
            ("none:?context=a", "unknown option `context`"),
            ("kubernetes:in-cluster?token=a", "go with an address"),
        ] {
            let error = build(Some(metadata), &[]).err().unwrap();
            assert!(error.contains(expected), "{metadata}: {error}");
        }
    }

    /// What is in the cluster is known before the first round, and is watched as long as the buddy
    /// polls; the options of labels are those that were given.
    #[tokio::test]
    async fn what_is_in_the_cluster_is_known_before_the_first_round() {
        let api = ApiServer::recorded(ApiServerOptions::default()).await.unwrap();
        let kubeconfig = api.kubeconfig();
        let spec = format!("kubernetes:?kubeconfig={}&context=heapster", kubeconfig.display());
        let mut enrichment = build(Some(&spec), &[]).unwrap_or_else(|error| panic!("{error}"));
        enrichment.rules = LabelRules::new(",", &[], &["application=app".into()]).unwrap();
        let stop = CancellationToken::new();
        let (enricher, mut known) = enrichment.start(stop.clone());
        let within = Duration::from_secs(20);
        tokio::time::timeout(within, known.wait_for(|known| *known)).await.unwrap().unwrap();
        let pod =
            PodName { namespace: "kube-system".into(), name: "hostnet".into(), uid: "".into() }
                .into();
        let reading = PlainReading {
            subject: Subject::Pod { pod, labels: Labels::default() },
            time_ms: 1,
            start_time_ms: 0,
            values: Vec::new(),
        };
        let readings = Readings::collect(vec![reading], &Layouts::default());
        let host = Arc::new(Host::named("node-a"));
        let enriched = enricher.unwrap().enrich(&mut HostMemory::default(), &host, &readings);
        let Subject::Pod { labels, .. } = &*enriched.get(0).unwrap().0.subject else { panic!() };
        assert_eq!(labels.get("application"), Some("hostnet"));
        assert_eq!(labels.get("labels"), Some("app:hostnet"));
        stop.cancel();
        let closed = async {
            while api.open_watches() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(within, closed).await.unwrap();
    }

    /// Where nothing is known and nothing is asked for, readings go through as they are; and nothing
    /// is waited for.
    #[tokio::test]
    async fn nothing_to_do_costs_nothing() {
        let (enricher, known) = build(None, &[])
            .unwrap_or_else(|error| panic!("{error}"))
            .start(CancellationToken::new());
        assert!(enricher.is_none() && *known.borrow());
    }
}
