//! The sinks behind their actor: the contract that all of them keep, and real databases.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod actor;
mod chosen;
mod contract;
mod contract_peers;
mod duplicates;
mod graphite;
mod file;
mod honeycomb;
mod gcm;
mod influxdb;
mod influxdb_answers;
mod opentsdb;
mod statsd;
mod support;
mod victoria_metrics;
mod webhook;
