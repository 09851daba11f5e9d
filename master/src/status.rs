//! What the parts of the master say of themselves: the data of `/api/v1/{clusters,buddies,sinks}`,
//! `/validate`, `/metrics` and `/debug/actors`.

use async_trait::async_trait;
use heapster_shared::{
    event::ObserverState,
    host::{DiscoveryState, Host, HostState},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Asks the parts for their state.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// The clusters that are or were connected, by name.
    async fn clusters(&self) -> Vec<ClusterStatus>;
    /// The buddies that are or were connected, by cluster and id.
    async fn buddies(&self) -> Vec<BuddyStatus>;
    /// The sinks in the order of the configuration.
    async fn sinks(&self) -> Vec<SinkStatus>;
    /// The tree of actors, parents before children.
    async fn actors(&self) -> Vec<ActorStatus>;
    /// The connections of buddies.
    fn connections(&self) -> ConnectionsStatus {
        ConnectionsStatus::default()
    }
}

/// The connections of buddies to the master.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectionsStatus {
    /// Open now, those within the process left out.
    pub open: usize,
    /// Refused since the master started, because there were too many.
    pub refused: u64,
}

/// Whether a cluster says how it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// It does.
    #[default]
    Ok,
    /// It did not answer within a second: of all that is said of it only the name is known.
    Silent,
}

/// A cluster.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct ClusterStatus {
    /// Name.
    pub name: String,
    /// `ok`; or `silent`, when it did not answer within a second: then nothing else here is known, and
    /// its buddies are left out of theirs.
    #[schema(inline)]
    pub state: ClusterState,
    /// What runs it, as its buddies say.
    pub manager: String,
    /// Buddies connected now.
    pub buddies: usize,
    /// Entities alive.
    pub entities: usize,
    /// The newest tick whose round is complete, in milliseconds since 1970; 0 for none.
    pub tick_unix_ms: i64,
    /// When rows last came, in milliseconds since 1970; 0 for never.
    pub received_unix_ms: i64,
    /// Rows that came since the master started.
    pub rows: u64,
    /// Samples that came or were worked out since the master started.
    pub samples: u64,
    /// Rows refused since the master started.
    pub rejected_rows: u64,
    /// Events that came since the master started.
    pub events: u64,
    /// Its hosts, by name.
    pub hosts: Vec<HostStatus>,
    /// Its discoveries.
    #[schema(value_type = Vec<Object>)]
    pub discoveries: Vec<DiscoveryState>,
    /// Where its buddies contradict each other, in sentences.
    pub disputes: Vec<String>,
}

impl ClusterStatus {
    /// What is known of a cluster that does not answer.
    #[must_use]
    pub fn silent(name: &str) -> Self {
        Self { name: name.to_owned(), state: ClusterState::Silent, ..Self::default() }
    }

    /// Whether it has answered, so that the rest of this means something.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.state == ClusterState::Ok
    }
}

/// A host of a cluster.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HostStatus {
    /// The host as discovered.
    #[schema(value_type = Object)]
    pub host: Host,
    /// How polling it went; `None` before the first poll.
    #[schema(value_type = Option<Object>)]
    pub state: Option<HostState>,
    /// The buddy that is to poll it; empty for nobody, or while that is not decided.
    pub polled_by: String,
}

/// A buddy.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BuddyStatus {
    /// Its id.
    pub id: String,
    /// This start of it.
    pub instance: String,
    /// The cluster it speaks for.
    pub cluster: String,
    /// What it does: `discovers`, `polls`, `observes_events`.
    pub roles: Vec<String>,
    /// Its program and version.
    pub software: String,
    /// Where it connects from.
    pub peer: String,
    /// The name of the credential that it has shown; empty where the master asks for none.
    pub credential: String,
    /// Whether its Control stream is open.
    pub connected: bool,
    /// When it connected last, in milliseconds since 1970.
    pub connected_unix_ms: i64,
    /// When it was heard of last, in milliseconds since 1970.
    pub heard_unix_ms: i64,
    /// Its clock less the master's, in milliseconds, as of its last heartbeat.
    pub clock_offset_ms: i64,
    /// The newest sequence number delivered.
    pub delivered_sequence: u64,
    /// Bytes of frames that came.
    pub received_bytes: u64,
    /// Frames that came.
    pub received_frames: u64,
    /// Frames answered with `retry`.
    pub retried_frames: u64,
    /// Frames answered with `rejected`.
    pub rejected_frames: u64,
    /// How long it had to wait since it connected, in milliseconds, because it sent more than
    /// `--max-bytes-per-second`.
    pub slowed_ms: u64,
    /// Bytes in its spool, as of its last heartbeat.
    pub spool_bytes: u64,
    /// Frames that its full spool dropped, as of its last heartbeat.
    pub dropped_frames: u64,
    /// Frames that it found broken in its spool, as of its last heartbeat.
    pub damaged_frames: u64,
    /// Why its rows are kept in memory and not in its spool on disk; empty where all is well.
    pub spool_error: String,
    /// How it observes events; nothing for a buddy that does not.
    #[schema(value_type = Vec<Object>)]
    pub observers: Vec<ObserverState>,
    /// What it is to poll; nothing for a buddy that does not poll.
    pub assignment: Option<AssignmentStatus>,
    /// What runs the cluster, as this buddy says.
    pub manager: String,
    /// Another instance with its id was turned away: a sentence that says from where; empty for
    /// none.
    pub duplicate: String,
    /// When that was, in milliseconds since 1970; 0 for never.
    pub duplicate_unix_ms: i64,
    /// The last thing that went wrong with it; empty for nothing.
    pub last_error: String,
}

/// What a buddy is to poll, and what it says to it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct AssignmentStatus {
    /// Hosts that it is to poll.
    pub hosts: usize,
    /// Whether it polls what it discovers, and needs no list.
    pub own_hosts: bool,
    /// The newest version sent to it; 0 for none.
    pub version: u64,
    /// The version that it has acknowledged last, which is in force; 0 for none.
    pub acknowledged_version: u64,
    /// When the newest version was sent, in milliseconds since 1970, while it has not answered; 0
    /// when it has.
    pub unanswered_since_unix_ms: i64,
    /// The version that it has refused last; 0 for none.
    pub refused_version: u64,
    /// Why, in its own words.
    pub refusal: String,
}

/// A sink.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct SinkStatus {
    /// Its spec without options and secrets: `influxdb:http://127.0.0.1:8086`.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether acknowledgements wait for it.
    pub required: bool,
    /// `starting`, `ok`, `retrying`, `failing`, `draining` or `stopped`.
    pub state: String,
    /// Samples offered to it that it wants.
    pub accepted: u64,
    /// Rows that these came in.
    pub accepted_rows: u64,
    /// Samples that its filters left out.
    pub filtered: u64,
    /// Samples that wait for the end of its `min_interval`.
    pub held: u64,
    /// Samples that became one with others, as its `min_interval` is longer than theirs.
    pub merged: u64,
    /// Samples that its peer has.
    pub delivered: u64,
    /// Samples that its peer refused for good.
    pub rejected: u64,
    /// Samples that are lost to it: it has a hole.
    pub dropped: u64,
    /// The same, by reason.
    pub dropped_by_reason: DroppedSamples,
    /// Samples that went back to their buddies because its queue was full, and come again.
    pub given_back: u64,
    /// Writes that failed and were tried again.
    pub retries: u64,
    /// Bytes waiting.
    pub queue_bytes: u64,
    /// Bytes that may wait.
    pub queue_limit_bytes: u64,
    /// Tick of the oldest payload waiting, in milliseconds since 1970; 0 for none.
    pub oldest_unix_ms: i64,
    /// How long ago that was, in milliseconds; 0 when nothing waits.
    pub lag_ms: i64,
    /// When a write last succeeded, in milliseconds since 1970; 0 for never.
    pub written_unix_ms: i64,
    /// The last failure; empty for none.
    pub last_error: String,
    /// When that was, in milliseconds since 1970; 0 for never.
    pub last_error_unix_ms: i64,
}

/// Samples that a sink has lost, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct DroppedSamples {
    /// Its queue had no room.
    pub queue_full: u64,
    /// They came faster than it could take them up.
    pub mailbox_full: u64,
    /// It stopped, or was started again after a failure.
    pub stopped: u64,
}

impl DroppedSamples {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.queue_full.saturating_add(self.mailbox_full).saturating_add(self.stopped)
    }
}

/// An actor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ActorStatus {
    /// `supervisor`, `cluster/lab`, `sink/log`, ...
    pub path: String,
    /// Messages it may hold.
    pub mailbox_bound: usize,
    /// Messages sent to it and not yet handled.
    pub mailbox_depth: usize,
    /// Times it was started again.
    pub restarts: u32,
    /// Why it stopped last; empty when it never did.
    pub last_exit: String,
    /// What it says of itself.
    #[schema(value_type = Object)]
    pub state: serde_json::Value,
}
