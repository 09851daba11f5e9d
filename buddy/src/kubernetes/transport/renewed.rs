//! Requests that go on when what they are sent with is exchanged: authorities, client certificates
//! and whole kubeconfigs are files that others write anew.
//!
//! Whoever asks, now and then, looks whether a file has changed; then everything is made anew, and
//! the old connections with their certificates end when their last request has. As long as what the
//! files say cannot be used, such as a certificate that was written before its key, the old way
//! stands.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper::{Request, Response, body::Incoming};
use kube::client::Body;
use tower::{BoxError, Service, ServiceExt as _};

use super::{HoldOff, Stack, stack};
use crate::{
    kubernetes::connect::Connector,
    rotated::{LookedAt, Stamp},
};

/// Sends requests by what the files say now.
#[derive(Clone)]
pub(super) struct Renewed(Arc<Shared>);

struct Shared {
    connector: Connector,
    hold_off: HoldOff,
    look_every: Duration,
    current: Mutex<Current>,
}

/// What was made from the files.
struct Current {
    looked_at: LookedAt,
    made: Made,
}

struct Made {
    files: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    stack: Stack,
}

impl Renewed {
    /// Reads the files to which a connector leads, to look at them again this often.
    ///
    /// # Errors
    /// A sentence, when they cannot be used.
    pub(super) async fn open(
        connector: Connector,
        hold_off: HoldOff,
        look_every: Duration,
    ) -> Result<Self, String> {
        let made = make(&connector, &hold_off, look_every).await?;
        let current = Mutex::new(Current { looked_at: LookedAt::now(), made });
        Ok(Self(Arc::new(Shared { connector, hold_off, look_every, current })))
    }
}

impl Shared {
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way as the files have it now.
    async fn stack(&self) -> Stack {
        if self.has_changed() {
            match make(&self.connector, &self.hold_off, self.look_every).await {
                Ok(made) => {
                    self.current().made = made;
                    tracing::info!("took over what changed in the files of the API server");
                }
                Err(error) => {
                    tracing::warn!(%error, "asking the API server as before its files changed");
                }
            }
        }
        self.current().made.stack.clone()
    }

    /// Whether a file is another one than it was. Looks at no more than one request in a while.
    fn has_changed(&self) -> bool {
        let mut current = self.current();
        let is_due = current.looked_at.is_due(self.look_every);
        is_due && stamps(&current.made.files) != current.made.stamps
    }
}

async fn make(
    connector: &Connector,
    hold_off: &HoldOff,
    look_every: Duration,
) -> Result<Made, String> {
    // Looked at before they are read: a change in between is seen the next time.
    let files = connector.files();
    let stamps = stamps(&files);
    let config = connector.config().await?;
    let hold_off = hold_off.clone();
    // A helper of the kubeconfig takes its time.
    let stack = tokio::task::spawn_blocking(move || stack(config, hold_off, look_every));
    let stack = stack.await.map_err(|error| format!("cannot log in: {error}"))??;
    Ok(Made { files, stamps, stack })
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|path| Stamp::of(path)).collect()
}

impl Service<Request<Body>> for Renewed {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.stack().await.oneshot(request).await })
    }
}
