//! What a cluster says of itself, its buddies and its sessions.

use std::sync::atomic::Ordering::Relaxed;

use actix::Handler;
use serde_json::json;

use super::{Cluster, ClusterReport, MAILBOX_BOUND};
use crate::{
    actors::{Observe, session},
    status::{ActorStatus, ClusterStatus},
};

impl Cluster {
    fn status(&self) -> ClusterStatus {
        ClusterStatus {
            name: self.config.name.to_string(),
            manager: self.counts.manager.clone(),
            buddies: self.members.connected().count(),
            entities: self.entities.len(),
            tick_unix_ms: self.counts.tick.map_or(0, |tick| tick.0),
            received_unix_ms: self.counts.received_ms,
            rows: self.counts.rows,
            samples: self.counts.samples,
            rejected_rows: self.counts.rejected_rows,
            events: self.counts.events,
            hosts: self.inventory.hosts(),
            discoveries: self.inventory.discoveries(),
        }
    }
}

impl Handler<Observe<ClusterReport>> for Cluster {
    type Result = ClusterReport;

    fn handle(&mut self, _: Observe<ClusterReport>, _: &mut Self::Context) -> Self::Result {
        ClusterReport { cluster: self.status(), buddies: self.members.statuses() }
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
