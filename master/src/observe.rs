//! The state of the whole master, asked of its actors: nobody waits long for one that is stuck.

use std::{net::IpAddr, time::Duration};

use actix::Addr;
use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::timeout;

use crate::{
    access::Shares,
    actors::{
        Observe,
        cluster::{AskPollNeed, ClusterReport, PollNeed},
        lineup::{Lineup, LineupView},
        router::SinkSlot,
        supervisor::{ListClusters, ListedCluster, Supervisor},
    },
    status::{
        ActorStatus, BuddyStatus, ClusterStatus, ConnectionsStatus, SinkStatus, StatusSource,
    },
};

/// An actor that does not answer within this time is shown as silent.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The supervisor gives its own children as long.
const TREE_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the actors for their state. Cheap to clone.
#[derive(Clone)]
pub struct StatusHandle {
    supervisor: Addr<Supervisor>,
    sinks: LineupView,
    connections: Shares<IpAddr>,
}

impl StatusHandle {
    /// A handle over the actors of this supervisor, these sinks and connections.
    #[must_use]
    pub(crate) fn new(
        supervisor: Addr<Supervisor>,
        sinks: LineupView,
        connections: Shares<IpAddr>,
    ) -> Self {
        Self { supervisor, sinks, connections }
    }

    /// Which hosts of each cluster are polled, and by how many, for whoever can start a buddy that
    /// stands by.
    pub async fn poll_needs(&self) -> Vec<PollNeed> {
        let clusters = self.listed().await;
        let actors = clusters.iter().filter_map(|cluster| cluster.actor.as_ref());
        let asked = actors.map(|actor| timeout(TIMEOUT, actor.ask(AskPollNeed)));
        join_all(asked).await.into_iter().filter_map(|answer| answer.ok()?.ok()).collect()
    }

    async fn listed(&self) -> Vec<ListedCluster> {
        let listed = timeout(TIMEOUT, self.supervisor.send(ListClusters)).await;
        listed.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// What each cluster says; of one that says nothing its name.
    async fn reports(&self) -> Vec<ClusterReport> {
        let clusters = self.listed().await;
        join_all(clusters.iter().map(report)).await
    }
}

#[async_trait]
impl StatusSource for StatusHandle {
    fn connections(&self) -> ConnectionsStatus {
        let (open, refused) = (self.connections.held(), self.connections.refused());
        ConnectionsStatus { open, refused }
    }

    async fn clusters(&self) -> Vec<ClusterStatus> {
        self.reports().await.into_iter().map(|report| report.cluster).collect()
    }

    async fn buddies(&self) -> Vec<BuddyStatus> {
        self.reports().await.into_iter().flat_map(|report| report.buddies).collect()
    }

    async fn sinks(&self) -> Vec<SinkStatus> {
        let lineup = self.sinks.now();
        let mut statuses = join_all(lineup.all().map(|slot| sink_status(slot))).await;
        name_leaving(&lineup, &mut statuses);
        statuses
    }

    async fn actors(&self) -> Vec<ActorStatus> {
        match timeout(TREE_TIMEOUT, self.supervisor.send(Observe::default())).await {
            Ok(Ok(actors)) => actors,
            _ => Vec::new(),
        }
    }
}

async fn report(cluster: &ListedCluster) -> ClusterReport {
    let asked = async { cluster.actor.as_ref()?.ask(Observe::default()).await.ok() };
    let answered = timeout(TIMEOUT, asked).await.ok().flatten();
    answered.unwrap_or_else(|| ClusterReport {
        cluster: ClusterStatus::silent(&cluster.name),
        buddies: Vec::new(),
    })
}

async fn sink_status(slot: &SinkSlot) -> SinkStatus {
    let asked = async { slot.handle()?.observe.send(Observe::default()).await.ok() };
    let answered = timeout(TIMEOUT, asked).await.ok().flatten();
    let mut status = answered.unwrap_or_else(|| silent(slot));
    status.dropped = status.dropped.saturating_add(slot.dropped_samples());
    status.dropped_by_reason.mailbox_full += slot.dropped_samples();
    status
}

fn silent(slot: &SinkSlot) -> SinkStatus {
    SinkStatus {
        name: slot.name.clone(),
        kind: slot.name.split(':').next().unwrap_or_default().to_owned(),
        required: slot.is_required(),
        state: "failing".to_owned(),
        last_error: "the sink does not answer".to_owned(),
        ..SinkStatus::default()
    }
}

/// Tells those that are leaving from those that have their names now.
fn name_leaving(lineup: &Lineup, statuses: &mut [SinkStatus]) {
    let leaving = statuses.iter_mut().skip(lineup.sinks.len());
    for (number, (status, slot)) in (1..).zip(leaving.zip(&lineup.leaving)) {
        status.name = format!("{} (leaving, {number})", slot.name);
    }
}
