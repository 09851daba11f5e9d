//! Events that a cluster manager reported.

use serde::Serialize;

/// Something that happened. The same uid with a higher count replaces the earlier one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)] // the fields are those of the protocol's message Event
pub struct Event {
    pub uid: String,
    pub first_unix_ms: i64,
    pub last_unix_ms: i64,
    pub count: u32,
    pub kind: String,
    pub reason: String,
    pub message: String,
    pub object_kind: String,
    pub object_namespace: String,
    pub object_name: String,
    pub object_uid: String,
    pub component: String,
    pub host: String,
}

/// How observing the events of a cluster manager goes. The counts are those since the buddy started.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ObserverState {
    /// What is observed: `kubernetes`.
    pub name: String,
    /// Whether the cluster manager tells what happens.
    pub ok: bool,
    /// Why not.
    pub error: String,
    /// Events that the cluster manager told of.
    pub observed: u64,
    /// Of those: told before, and left out.
    pub deduplicated: u64,
    /// Put into the log for the master.
    pub sent: u64,
    /// Left out because they were too many, or no events.
    pub dropped: u64,
    /// When the cluster manager was last heard of, in milliseconds since 1970; 0 for never.
    pub heard_unix_ms: i64,
}
