//! How others ask the model: with a bound on the questions under way, and on the wait.

use std::{sync::Arc, time::Duration};

use actix::{Addr, Handler, MailboxError, Message, dev::ToEnvelope};
use arc_swap::ArcSwapOption;
use tokio::{sync::Semaphore, time::timeout};

use super::ModelActor;

/// Questions that may be with the actor at a time: `send` heeds no mailbox's bound.
pub const QUESTIONS: usize = 32;

/// How long a question waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    /// It did not come in time.
    #[error("the model is busy: try again in a few seconds")]
    Busy,
    /// The actor is not there.
    #[error("the model is starting or stopping: try again in a few seconds")]
    Gone,
}

/// The way to the model's actor, for as long as there is one or another of it.
#[derive(Clone, Debug)]
pub struct ModelHandle {
    addr: Arc<ArcSwapOption<Addr<ModelActor>>>,
    permits: Arc<Semaphore>,
}

impl Default for ModelHandle {
    /// A handle of an actor that has yet to be started, see [`ModelHandle::replace`].
    fn default() -> Self {
        Self { addr: Arc::default(), permits: Arc::new(Semaphore::new(QUESTIONS)) }
    }
}

impl ModelHandle {
    /// A handle of this actor.
    #[must_use]
    pub fn new(addr: Addr<ModelActor>) -> Self {
        let handle = Self::default();
        handle.replace(addr);
        handle
    }

    /// Lets every clone of the handle ask another actor: for who starts it again.
    pub fn replace(&self, addr: Addr<ModelActor>) {
        self.addr.store(Some(Arc::new(addr)));
    }

    /// The actor at this time, if there is one.
    #[must_use]
    pub fn addr(&self) -> Option<Addr<ModelActor>> {
        self.addr.load().as_deref().cloned()
    }

    /// Asks the model.
    ///
    /// # Errors
    /// When it does not answer in time, or is gone.
    pub async fn ask<M>(&self, question: M) -> Result<M::Result, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        ModelActor: Handler<M>,
        <ModelActor as actix::Actor>::Context: ToEnvelope<ModelActor, M>,
    {
        let answer = async {
            // Nobody closes the semaphore.
            let _permit = self.permits.acquire().await.map_err(|_| AskError::Gone)?;
            let addr = self.addr().ok_or(AskError::Gone)?;
            addr.send(question).await.map_err(|error| match error {
                MailboxError::Closed => AskError::Gone,
                MailboxError::Timeout => AskError::Busy,
            })
        };
        timeout(PATIENCE, answer).await.unwrap_or(Err(AskError::Busy))
    }
}
