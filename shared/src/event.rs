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
