//! The buddy: finds the hosts of one cluster, polls them, works out rates and pod sums, and streams
//! rows to the master.
//!
//! ```text
//! discovery ──hosts──▶ poller ──poll──▶ source ──readings──▶ enrich ──▶ pipeline ──blocks──▶ spool ──▶ uplink
//! ```

pub mod args;
pub mod discovery;
pub mod enrich;
pub mod events;
pub mod kubernetes;
pub mod metrics_api;
pub mod pipeline;
pub mod poller;
pub mod program;
mod rotated;
pub mod run;
mod shared_labels;
pub mod source;
pub mod spool;
mod tls;
mod token;
pub mod uplink;
