//! Simulated clusters and real peers, for tests, benches and demos only.

pub mod bench;
pub mod http;
pub mod peer;
pub mod process;
pub mod sim;
