//! A way in for fuzzing: takes what a master says as the tasks of a session do, without one.

use std::{sync::Arc, time::Duration};

use heapster_proto::v1::{Limits, ToBuddy, to_buddy};
use heapster_shared::{host::Host, tick::Resolution};
use prost::Message;
use tokio::sync::watch;

use super::{WriteLimits, assigned::Assigned, control::refused};

/// What a buddy makes of the messages of a Control stream.
#[derive(Debug)]
pub struct Listener {
    assigned: Assigned,
    in_force: watch::Sender<Option<Arc<Vec<Host>>>>,
}

impl Default for Listener {
    fn default() -> Self {
        let in_force = watch::Sender::new(None);
        Self { assigned: Assigned::default(), in_force }
    }
}

impl Listener {
    /// Takes a message; what follows from it, in words.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(&mut self, message: &[u8]) -> Result<String, String> {
        let message = ToBuddy::decode(message).map_err(|error| error.to_string())?;
        Ok(match message.kind {
            Some(to_buddy::Kind::Welcome(welcome)) => {
                // A session begins.
                self.assigned.begin();
                format!("{:?}", WriteLimits::told(&welcome.limits.unwrap_or_default()))
            }
            Some(to_buddy::Kind::Assignment(assignment)) => {
                format!("{:?}", self.assigned.take(assignment, &self.in_force))
            }
            Some(to_buddy::Kind::Settings(settings)) => {
                let wanted = Duration::from_millis(u64::from(settings.resolution_ms));
                format!("{:?}", Resolution::new(wanted))
            }
            Some(to_buddy::Kind::Refusal(refusal)) => {
                format!("{:?} {:?}", refused(refusal.clone(), true), refused(refusal, false))
            }
            _ => String::new(),
        })
    }

    /// The hosts that are to be polled, and the version of the list.
    #[must_use]
    pub fn in_force(&self) -> (Option<Arc<Vec<Host>>>, u64) {
        (self.in_force.borrow().clone(), self.assigned.version())
    }
}

/// What a master takes, as it tells it.
///
/// # Errors
/// When it is no such message.
pub fn limits(message: &[u8]) -> Result<WriteLimits, String> {
    let limits = Limits::decode(message).map_err(|error| error.to_string())?;
    Ok(WriteLimits::told(&limits))
}
