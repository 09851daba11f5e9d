//! One attempt to write a batch: its own task, so that neither a panic nor a hang of a sink
//! reaches the actor.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use crate::{
    delivery::Payload,
    sinks::{Sink, SinkError, Written},
};

/// What an attempt came to.
pub(super) type Attempted = Result<Written, SinkError>;

/// An attempt under way; dropped, it is called off.
pub(super) struct Attempt(JoinHandle<Attempted>);

impl Attempt {
    /// Starts to write, making ready first where needed, with a limit for both together.
    pub(super) fn start(
        runtime: &Handle,
        sink: Arc<dyn Sink>,
        payloads: Vec<Payload>,
        prepare: bool,
        limit: Duration,
    ) -> Self {
        let work = async move {
            if prepare {
                sink.prepare().await?;
            }
            sink.write(&payloads).await
        };
        Self(runtime.spawn(async move {
            timeout(limit, work).await.unwrap_or_else(|_| {
                let message = format!("no answer within {limit:?}; the peer hangs or is too slow");
                Err(SinkError::Transient { message, retry_after: None })
            })
        }))
    }

    /// Waits for the end. A panic counts against the batch: it would panic again.
    pub(super) async fn outcome(mut self) -> Attempted {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => Err(SinkError::Permanent {
                message: "the sink panicked, which is a fault of this program".into(),
            }),
            Err(_) => Err(SinkError::Transient {
                message: "the program is stopping".into(),
                retry_after: None,
            }),
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}
