//! The sinks as they are now: one list for the router, which hands to them, the ledgers, which wait
//! for the required ones, and whoever asks how they are.
//!
//! It is changed as a whole ([`Lineups::change`]), and whoever waits for a sink hears of it
//! ([`LineupView::changed`]). A sink that was changed keeps its place: what the actor before wrote
//! counts for the one after it.

use std::sync::Arc;

use tokio::sync::watch;

use super::router::SinkSlot;
use crate::core::{roster::Roster, sink_set::SinkSet};

/// The sinks that run.
#[derive(Clone, Debug, Default)]
pub struct Lineup {
    /// Those that payloads are handed to, in the order of the configuration.
    pub sinks: Vec<Arc<SinkSlot>>,
    /// Those that were removed or changed, and write what they hold still.
    pub leaving: Vec<Arc<SinkSlot>>,
    /// The places of the required ones.
    pub roster: Roster,
}

impl Lineup {
    /// All that have an actor.
    pub fn all(&self) -> impl Iterator<Item = &Arc<SinkSlot>> {
        self.sinks.iter().chain(&self.leaving)
    }

    /// What payloads for a sink are marked with: a place where it is required. `None` where there
    /// is no place left.
    pub fn place(&mut self, required: bool) -> Option<SinkSet> {
        if required { self.roster.add() } else { Some(SinkSet::OTHERS) }
    }
}

/// Changes the sinks.
#[derive(Debug)]
pub struct Lineups(watch::Sender<Arc<Lineup>>);

impl Lineups {
    /// These sinks.
    #[must_use]
    pub fn new(lineup: Lineup) -> Self {
        Self(watch::Sender::new(Arc::new(lineup)))
    }

    /// No sinks but the places of so many required ones; for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn requiring(count: usize) -> Self {
        Self::new(Lineup { roster: Roster::of(count), ..Lineup::default() })
    }

    /// Where the newest can be seen.
    #[must_use]
    pub fn view(&self) -> LineupView {
        LineupView(self.0.subscribe())
    }

    /// The newest.
    #[must_use]
    pub fn now(&self) -> Arc<Lineup> {
        Arc::clone(&self.0.borrow())
    }

    /// Changes it, for all at once.
    pub fn change<T>(&self, change: impl FnOnce(&mut Lineup) -> T) -> T {
        let mut changed = None;
        self.0.send_modify(|lineup| changed = Some(change(Arc::make_mut(lineup))));
        changed.unwrap_or_else(|| unreachable!("it was called"))
    }
}

/// Sees the newest sinks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LineupView(watch::Receiver<Arc<Lineup>>);

impl Default for LineupView {
    /// For ever without sinks.
    fn default() -> Self {
        Lineups::new(Lineup::default()).view()
    }
}

impl LineupView {
    /// The newest.
    #[must_use]
    pub fn now(&self) -> Arc<Lineup> {
        Arc::clone(&self.0.borrow())
    }

    /// The places of the required ones, to be looked at and let go of.
    #[must_use]
    pub fn roster(&self) -> impl std::ops::Deref<Target = Roster> + '_ {
        Borrowed(self.0.borrow())
    }

    /// Waits until there are others than when this was made or last waited; for ever where nobody
    /// changes them any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

struct Borrowed<'a>(watch::Ref<'a, Arc<Lineup>>);

impl std::ops::Deref for Borrowed<'_> {
    type Target = Roster;

    fn deref(&self) -> &Roster {
        &self.0.roster
    }
}
