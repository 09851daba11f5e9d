//! The rates of all buddies, which go on when a buddy connects anew.
//!
//! A rate is known by whom its buddy is let in for (a credential, or an address where nobody is
//! asked), and by the cluster and id that the buddy gives itself. It is kept while a session has it,
//! and until what was sent is paid for: from then on it is like a new one, and forgetting it gives
//! nothing away. So there are as many for one owner as it may have sessions, and neither coming back
//! nor coming under another name lets it send more than those sessions may.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heapster_shared::Map;
use tokio::time::Instant;

use super::Rate;

/// Rates that are known at a time, whoever has them.
const MOST: usize = 1 << 16;
/// What can be forgotten is looked for at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The rates that are known.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

struct Inner {
    most_each: usize,
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    owners: Map<String, Map<u64, Entry>>,
    all: usize,
    swept: Option<Instant>,
}

#[derive(Default)]
struct Entry {
    rate: Arc<Rate>,
    sessions: usize,
}

/// A rate, while a session has it.
pub struct Lent {
    of: Arc<Inner>,
    owner: String,
    buddy: u64,
    rate: Arc<Rate>,
}

/// The owner, or all of them, have as many as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany;

impl Rates {
    /// None known yet; this many for each owner.
    #[must_use]
    pub fn new(most_each: usize) -> Self {
        let (hasher, known) = (RandomState::new(), Mutex::default());
        Self(Arc::new(Inner { most_each, hasher, known }))
    }

    /// The rate of a buddy: the one that it had before, as long as that matters.
    ///
    /// # Errors
    /// When there would be too many.
    pub fn lend(
        &self,
        owner: &str,
        (cluster, buddy): (&str, &str),
        now: Instant,
    ) -> Result<Lent, TooMany> {
        // Names can be long, and those who choose them cannot know which have the same hash.
        let buddy = self.0.hasher.hash_one((cluster, buddy));
        let mut known = self.0.known();
        known.sweep(now);
        let rate = known.lend(owner, buddy, self.0.most_each, now).ok_or(TooMany)?;
        Ok(Lent { of: Arc::clone(&self.0), owner: owner.to_owned(), buddy, rate })
    }
}

impl Lent {
    /// The rate.
    #[must_use]
    pub fn rate(&self) -> &Arc<Rate> {
        &self.rate
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.known().give_back(&self.owner, self.buddy, Instant::now());
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn lend(
        &mut self,
        owner: &str,
        buddy: u64,
        most_each: usize,
        now: Instant,
    ) -> Option<Arc<Rate>> {
        let own = self.owners.get_mut(owner);
        if let Some(entry) = own.and_then(|own| own.get_mut(&buddy)) {
            entry.sessions += 1;
            return Some(Arc::clone(&entry.rate));
        }
        let has_enough = |known: &Self| known.owners.get(owner).map_or(0, Map::len) >= most_each;
        if has_enough(self) {
            self.sweep_one(owner, now);
        }
        if self.all >= MOST || has_enough(self) {
            return None;
        }
        let own = self.owners.entry(owner.to_owned()).or_default();
        let entry = own.entry(buddy).or_default();
        entry.sessions = 1;
        self.all += 1;
        Some(Arc::clone(&entry.rate))
    }

    fn give_back(&mut self, owner: &str, buddy: u64, now: Instant) {
        let Some(own) = self.owners.get_mut(owner) else { return };
        let Some(entry) = own.get_mut(&buddy) else { return };
        entry.sessions = entry.sessions.saturating_sub(1);
        if !entry.matters(now) {
            own.remove(&buddy);
            self.all -= 1;
        }
        if own.is_empty() {
            self.owners.remove(owner);
        }
    }

    /// Forgets what does not matter any more of one owner.
    fn sweep_one(&mut self, owner: &str, now: Instant) {
        let Some(own) = self.owners.get_mut(owner) else { return };
        let before = own.len();
        own.retain(|_, entry| entry.matters(now));
        self.all -= before - own.len();
    }

    /// The same of all, now and then.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        self.owners.retain(|_, own| {
            own.retain(|_, entry| entry.matters(now));
            !own.is_empty()
        });
        self.all = self.owners.values().map(Map::len).sum();
    }
}

impl Entry {
    fn matters(&self, now: Instant) -> bool {
        self.sessions > 0 || !self.rate.is_like_new(now)
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").field("most_each", &self.0.most_each).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::actors::rate::BURST;

    const PER_SECOND: u64 = 1 << 20;
    const MIB: usize = 1 << 20;

    /// What a buddy of this name has to wait for after a mebibyte, in seconds.
    fn waits(rates: &Rates, owner: &str, buddy: &str) -> Result<u64, TooMany> {
        let now = Instant::now();
        let lent = rates.lend(owner, ("lab", buddy), now)?;
        let until = lent.rate().spend(MIB, PER_SECOND, now);
        Ok(until.map_or(0, |until| (until - now).as_secs()))
    }

    /// Each coming is a session of its own, and none of them is given a second burst.
    #[tokio::test(start_paused = true)]
    async fn coming_back_buys_nothing() {
        advance(BURST).await;
        let rates = Rates::new(10);
        let all: Vec<_> = (0..7).map(|_| waits(&rates, "=lab", "a").unwrap()).collect();
        assert_eq!(all, [0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(waits(&rates, "=lab", "b"), Ok(0), "another buddy has its own rate");
        assert_eq!(waits(&rates, "=prod", "a"), Ok(0), "and so has another credential");
    }

    /// Who makes up names has as many bursts as it may have sessions, and more when they are paid for.
    #[tokio::test(start_paused = true)]
    async fn coming_under_other_names_buys_no_more_than_sessions() {
        advance(BURST).await;
        let rates = Rates::new(3);
        let come = |name: usize| waits(&rates, "10.0.0.1", &name.to_string());
        assert_eq!((0..5).filter(|name| come(*name).is_ok()).count(), 3);
        advance(Duration::from_secs(2)).await;
        assert_eq!((5..9).filter(|name| come(*name).is_ok()).count(), 3);
        let held = rates.lend("10.0.0.1", ("lab", "held"), Instant::now());
        assert_eq!(held.err(), Some(TooMany));
    }

    /// A rate that a session has is kept however long it is silent, for it may send any time.
    #[tokio::test(start_paused = true)]
    async fn what_is_paid_for_is_forgotten_and_what_is_held_is_not() {
        let rates = Rates::new(10);
        advance(BURST).await;
        let held = rates.lend("=lab", ("lab", "held"), Instant::now()).unwrap();
        for name in 0..9 {
            waits(&rates, "=lab", &name.to_string()).unwrap();
        }
        advance(Duration::from_secs(3600)).await;
        waits(&rates, "=lab", "last").unwrap();
        assert_eq!(rates.0.known().all, 2);
        let again = rates.lend("=lab", ("lab", "held"), Instant::now()).unwrap();
        assert!(Arc::ptr_eq(held.rate(), again.rate()));
        drop((held, again));
        advance(Duration::from_secs(3600)).await;
        drop(rates.lend("=other", ("lab", "x"), Instant::now()).unwrap());
        assert!(rates.0.known().owners.is_empty() && rates.0.known().all == 0);
    }
}
