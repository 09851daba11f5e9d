//! Master and buddy as the real programs, over loopback: against simulated clusters whose truth is
//! known, against real databases, and against what goes wrong between them.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // The helpers here are tests too; clippy does not see that.

mod assignment;
mod bad_hosts;
mod buddy_away;
mod clusters;
mod cursors;
mod events;
mod grpc;
mod hosts_file;
mod influxdb;
mod isolation;
mod master_away;
mod mistakes;
mod python;
mod reload;
mod restarts;
mod rolling;
mod spool;
mod standby;
mod support;
mod torture;
mod values;
