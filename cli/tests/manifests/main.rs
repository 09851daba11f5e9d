//! What `deploy/kubernetes` would put into a cluster: rendered by `kubectl`, held against the types of
//! Kubernetes, against the programs that it starts, and against what these ask for.

#![allow(clippy::unwrap_used)] // The helpers here are tests too; clippy does not see that.

mod access;
mod bounds;
mod dashboards;
mod guide;
mod keys;
mod lab;
mod options;
mod placed;
mod references;
mod render;
mod rights;
mod running;
mod schema;
mod secrecy;
mod secured;
mod workload;
