//! The master: joins the streams of the buddies, keeps the recent past in memory, serves it, and
//! routes every sample to the sinks.
//!
//! ```text
//! grpc ──rows──▶ cluster ──rows and sums──▶ router ──▶ sinks, the model among them
//!   │                ▲
//!   └─▶ session ─────┘
//! ```

pub mod access;
pub mod actors;
pub mod args;
pub mod core;
pub mod delivery;
pub mod grpc;
pub mod http;
pub mod observe;
pub mod program;
mod prometheus;
pub mod reload;
pub mod server;
pub mod sinks;
pub mod status;
