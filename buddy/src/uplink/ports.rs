//! What the uplink shares with the rest of the buddy.

use std::{sync::Arc, time::Duration};

use heapster_shared::{
    host::{Host, HostState},
    tick::Resolution,
};
use tokio::sync::watch;

use crate::discovery::Listing;

/// What the uplink shares with discovery and the poller.
#[derive(Debug)]
pub struct UplinkPorts {
    /// The hosts that were found.
    pub listing: watch::Receiver<Listing>,
    /// How polling them went.
    pub states: watch::Receiver<Arc<Vec<HostState>>>,
    /// The hosts that the master wants polled.
    pub assignment: watch::Sender<Option<Arc<Vec<Host>>>>,
    /// The distance between ticks.
    pub resolution: watch::Sender<Resolution>,
    /// Whether the resolution was given here, and the master's counts for nothing.
    pub resolution_is_fixed: bool,
}

impl UplinkPorts {
    /// Takes over the resolution that the master wants, unless it was given here.
    pub(super) fn set_resolution(&self, wanted_ms: u32) {
        if self.resolution_is_fixed {
            return;
        }
        match Resolution::new(Duration::from_millis(u64::from(wanted_ms))) {
            Ok(resolution) => {
                self.resolution.send_replace(resolution);
            }
            Err(error) => tracing::warn!(error, "the master wants a resolution that cannot be"),
        }
    }
}
