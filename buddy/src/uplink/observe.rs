//! How observing events goes, for the master.

use heapster_proto::v1::{Health, from_buddy::Kind};
use heapster_shared::event::ObserverState;
use tokio::sync::watch;

use super::convert;

/// Where it is said; nowhere for a buddy that observes none.
#[derive(Clone, Debug, Default)]
pub(super) struct ObserverPort(Option<watch::Receiver<Option<ObserverState>>>);

impl ObserverPort {
    pub(super) fn of(mut state: watch::Receiver<Option<ObserverState>>) -> Self {
        // What was said before a session is news in each.
        state.mark_changed();
        Self(Some(state))
    }

    /// Whether this buddy observes events.
    pub(super) const fn observes(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until there is something new to say.
    pub(super) async fn next(&mut self) -> Kind {
        loop {
            let Some(state) = &mut self.0 else { return std::future::pending().await };
            if state.changed().await.is_err() {
                // The observer has ended, and has said all.
                return std::future::pending().await;
            }
            if let Some(state) = state.borrow_and_update().as_ref() {
                let observers = vec![convert::observer_state(state)];
                return Kind::Health(Health { observers, ..Health::default() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new session is told what was said in the one before, and what comes after; nothing comes
    /// where nothing is known or nobody observes.
    #[tokio::test(start_paused = true)]
    async fn each_session_is_told_the_newest_state() {
        let (says, state) = watch::channel(None);
        let port = ObserverPort::of(state);
        let told = async |port: &mut ObserverPort| {
            let next = tokio::time::timeout(std::time::Duration::from_secs(1), port.next()).await;
            let Ok(Kind::Health(health)) = next else { return None };
            Some(health.observers[0].sent)
        };
        let mut first = port.clone();
        assert_eq!(told(&mut first).await, None);
        let state = |sent| Some(ObserverState { sent, ..ObserverState::default() });
        says.send_replace(state(1));
        assert_eq!(told(&mut first).await, Some(1));
        assert_eq!(told(&mut first).await, None, "it is said once");
        assert_eq!(told(&mut port.clone()).await, Some(1));
        drop(says);
        assert_eq!(told(&mut port.clone()).await, Some(1), "the last word stands");
        assert_eq!(told(&mut first).await, None);
        assert_eq!(told(&mut ObserverPort::default()).await, None);
    }
}
