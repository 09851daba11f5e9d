//! Asking the parts of the master, within a time limit: no page hangs on a part that is stuck.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use super::{AppState, error::ApiError};
use crate::status::{ActorStatus, BuddyStatus, ClusterStatus, SinkStatus};

/// How long the parts have to say how they are.
const PATIENCE: Duration = Duration::from_secs(3);

async fn within<T>(what: &str, answer: impl Future<Output = T>) -> Result<T, ApiError> {
    timeout(PATIENCE, answer).await.map_err(|_| {
        ApiError::unavailable(format!(
            "the {what} did not say how they are within {} s: look at the log, and try again",
            PATIENCE.as_secs()
        ))
    })
}

impl AppState {
    pub(super) async fn clusters(&self) -> Result<Vec<ClusterStatus>, ApiError> {
        within("clusters", self.status.clusters()).await
    }

    pub(super) async fn buddies(&self) -> Result<Vec<BuddyStatus>, ApiError> {
        within("buddies", self.status.buddies()).await
    }

    pub(super) async fn sinks(&self) -> Result<Vec<SinkStatus>, ApiError> {
        within("sinks", self.status.sinks()).await
    }

    pub(super) async fn actors(&self) -> Result<Vec<ActorStatus>, ApiError> {
        within("actors", self.status.actors()).await
    }
}
