//! Simulated clusters and real peers, for tests, benches and demos only.

pub mod apiserver;
pub mod authority;
pub mod bench;
pub mod http;
pub mod peer;
pub mod process;
pub mod sim;
pub mod torture;
