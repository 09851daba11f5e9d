//! The sinks behind their actor: the contract that all of them keep, and real databases.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod actor;
mod contract;
mod contract_peers;
mod duplicates;
mod influxdb;
mod influxdb_answers;
mod otlp;
mod remote_write;
mod remote_write_answers;
mod remote_write_proto;
mod support;
mod victoria_metrics;
