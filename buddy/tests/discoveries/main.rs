//! Discoveries against what they ask: real peers where Debian has them, else their documented
//! answers. Where a program is missing a test says so, and fails only in CI.

#![allow(clippy::unwrap_used)]

mod common;
mod consul;
mod dns;
mod docker;
mod fleet_api;
mod fleet_v2;
mod fleet_v3;
mod http_sd;
mod nomad;
mod swarm;
