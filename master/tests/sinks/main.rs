//! The sinks behind their actor: the contract that all of them keep, and real databases.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod actor;
mod chosen;
mod contract;
mod contract_peers;
mod duplicates;
mod elasticsearch;
mod file;
mod gcm;
mod graphite;
mod honeycomb;
mod influxdb;
mod influxdb_answers;
mod kafka;
mod nats;
mod opentsdb;
mod otlp;
mod remote_write;
mod remote_write_answers;
mod remote_write_proto;
mod statsd;
mod support;
mod victoria_metrics;
mod webhook;
