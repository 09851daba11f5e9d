//! The master: joins the streams of the buddies, keeps the recent past in memory, serves it, and
//! routes every sample to the sinks.
//!
//! ```text
//! grpc ──frames──▶ session ──rows──▶ cluster ──rows and sums──▶ router ──▶ sinks, the model among them
//! ```

pub mod actors;
pub mod core;
pub mod delivery;
pub mod http;
pub mod sinks;
pub mod status;
