//! How many of something there may be at a time, in all and for each of those who take them.

use std::{
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use heapster_shared::Map;

/// Shares that are held, and how many there may be.
pub(crate) struct Shares<K>(Arc<Inner<K>>);

struct Inner<K> {
    most: usize,
    most_each: usize,
    held: Mutex<Held<K>>,
    refused: AtomicU64,
}

struct Held<K> {
    all: usize,
    each: Map<K, usize>,
}

/// A share, until it is dropped.
pub(crate) struct Share<K: Eq + Hash> {
    of: Arc<Inner<K>>,
    who: K,
}

/// Why there is no share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoShare {
    /// All of them are taken.
    AllTaken,
    /// Whoever asks has as many as one may have.
    OwnTaken,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for Shares<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").field("most", &self.0.most).finish_non_exhaustive()
    }
}

impl<K> Shares<K> {
    /// As many as this in all, and for each.
    pub(crate) fn new(most: usize, most_each: usize) -> Self {
        let held = Mutex::new(Held { all: 0, each: Map::default() });
        Self(Arc::new(Inner { most, most_each, held, refused: AtomicU64::new(0) }))
    }

    /// How many are held.
    pub(crate) fn held(&self) -> usize {
        self.0.held().all
    }

    /// How often there was none.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    /// How many one may have.
    pub(crate) fn most_each(&self) -> usize {
        self.0.most_each
    }
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// Takes one.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn take(&self, who: K) -> Result<Share<K>, NoShare> {
        let mut held = self.0.held();
        let own = held.each.get(&who).copied().unwrap_or_default();
        let full = match (held.all >= self.0.most, own >= self.0.most_each) {
            (_, true) => Some(NoShare::OwnTaken),
            (true, false) => Some(NoShare::AllTaken),
            (false, false) => None,
        };
        if let Some(full) = full {
            self.0.refused.fetch_add(1, Relaxed);
            return Err(full);
        }
        held.all += 1;
        held.each.insert(who.clone(), own + 1);
        Ok(Share { of: Arc::clone(&self.0), who })
    }
}

impl<K> Inner<K> {
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.all = held.all.saturating_sub(1);
        match held.each.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            // Who has none is forgotten, so that strangers leave nothing behind.
            _ => drop(held.each.remove(&self.who)),
        }
    }
}

/// Whom a connection is counted for: an address, or a network of IPv6, of which one machine has as
/// many addresses as it likes.
pub(crate) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_and_come_back() {
        let shares = Shares::new(3, 2);
        let first = shares.take("a").ok().unwrap();
        let _second = shares.take("a").ok().unwrap();
        assert_eq!(shares.take("a").err(), Some(NoShare::OwnTaken));
        let _third = shares.take("b").ok().unwrap();
        assert_eq!(shares.take("b").err(), Some(NoShare::AllTaken));
        assert_eq!((shares.held(), shares.refused()), (3, 2));
        drop(first);
        assert!(shares.take("b").is_ok());
        assert_eq!(shares.held(), 2);
    }

    /// Otherwise whoever comes under many names fills the memory.
    #[test]
    fn who_has_none_is_forgotten() {
        let shares = Shares::new(1, 1);
        for name in 0..1000 {
            drop(shares.take(name).ok().unwrap());
        }
        assert!(shares.0.held().each.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let origin = |text: &str| super::origin(text.parse().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
    }
}
