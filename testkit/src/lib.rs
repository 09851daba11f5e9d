//! Simulated clusters and real peers, for tests, benches and demos only.

pub mod peer;
