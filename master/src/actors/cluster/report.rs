//! What a cluster says of itself, its buddies and its sessions.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use actix::Handler;
use serde_json::json;

use super::{Cluster, ClusterReport, MAILBOX_BOUND};
use crate::{
    actors::{Observe, session},
    status::{ActorStatus, BuddyStatus, ClusterState, ClusterStatus, HostStatus},
};

impl Cluster {
    fn status(&self) -> ClusterStatus {
        ClusterStatus {
            name: self.config.name.to_string(),
            state: ClusterState::Ok,
            manager: self.counts.manager.clone(),
            buddies: self.members.connected().count(),
            entities: self.entities.len(),
            tick_unix_ms: self.counts.tick.map_or(0, |tick| tick.0),
            received_unix_ms: self.counts.received_ms,
            rows: self.counts.rows,
            samples: self.counts.samples,
            rejected_rows: self.counts.rejected_rows,
            events: self.counts.events,
            hosts: self.hosts(),
            discoveries: self.inventory.discoveries(),
            disputes: self.disputes(),
        }
    }
}

impl Cluster {
    fn hosts(&self) -> Vec<HostStatus> {
        let owner = |id: &str| self.assigner.owner(id);
        self.inventory.hosts(self.assigner.is_planned().then_some(owner))
    }

    fn buddies(&self) -> Vec<BuddyStatus> {
        let mut assignments = self.assigner.statuses();
        let mut buddies = self.members.statuses();
        for buddy in &mut buddies {
            buddy.assignment = assignments.remove(&*buddy.id);
        }
        buddies
    }

    /// Where buddies contradict each other: on how a host is reached, or on what runs the cluster.
    fn disputes(&self) -> Vec<String> {
        let mut managers: BTreeMap<&str, &str> = BTreeMap::new();
        for member in self.members.connected() {
            let identity = &member.record.identity;
            if identity.discovers() && !identity.manager.is_empty() {
                managers.entry(&identity.manager).or_insert(&identity.buddy_id);
            }
        }
        let mut disputes = self.inventory.disputes();
        if managers.len() > 1 {
            let say = |(manager, buddy)| format!("{manager} by buddy {buddy}");
            let told: Vec<String> = managers.into_iter().map(say).collect();
            disputes.push(format!(
                "it is run by {}: is one of them in the wrong cluster?",
                told.join(", ")
            ));
        }
        disputes
    }
}

impl Handler<Observe<ClusterReport>> for Cluster {
    type Result = ClusterReport;

    fn handle(&mut self, _: Observe<ClusterReport>, _: &mut Self::Context) -> Self::Result {
        ClusterReport { cluster: self.status(), buddies: self.buddies() }
    }
}

impl Handler<Observe<Vec<ActorStatus>>> for Cluster {
    type Result = Vec<ActorStatus>;

    fn handle(&mut self, _: Observe<Vec<ActorStatus>>, _: &mut Self::Context) -> Self::Result {
        let path = format!("cluster/{}", self.config.name);
        let status = |path: String, bound, depth, state| ActorStatus {
            path,
            mailbox_bound: bound,
            mailbox_depth: depth,
            restarts: 0,
            last_exit: String::new(),
            state,
        };
        let state = json!({
            "entities": self.entities.len(),
            "rows": self.counts.rows,
            "sums_waiting": self.sums.waiting(),
            "sums_dropped": self.sums.dropped(),
        });
        let mut actors = vec![status(path.clone(), MAILBOX_BOUND, 0, state)];
        actors.extend(self.members.connected().map(|member| {
            let path = format!("{path}/session/{}", member.record.identity.buddy_id);
            let state = json!({
                "peer": member.record.identity.peer,
                "received_frames": member.record.received_frames.load(Relaxed),
            });
            status(path, session::MAILBOX_BOUND, member.session.depth(), state)
        }));
        actors
    }
}
