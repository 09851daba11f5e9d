//! Something worked out once for each shared value, for as long as that value lives.

use std::sync::{Arc, Weak};

use heapster_shared::Map;

/// Values by the address of what they were worked out from. The weak reference keeps an address
/// from being given out again while its entry is here, so that equal addresses mean the same key.
/// Entries of dead keys are swept out when the cache has doubled: it never holds more than twice
/// what was alive at the last sweep.
#[derive(Debug)]
pub(super) struct WeakCache<K, V> {
    entries: Map<usize, (Weak<K>, V)>,
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 1024;

impl<K, V> Default for WeakCache<K, V> {
    fn default() -> Self {
        Self { entries: Map::default(), sweep_at: FIRST_SWEEP }
    }
}

impl<K, V> WeakCache<K, V> {
    /// The value of this key, made when it is not there.
    pub(super) fn get(&mut self, key: &Arc<K>, make: impl FnOnce(&K) -> V) -> &V {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, (key, _)| key.strong_count() > 0);
            self.sweep_at = FIRST_SWEEP.max(self.entries.len() * 2);
        }
        let address = Arc::as_ptr(key) as usize;
        let entry = self.entries.entry(address);
        &entry.or_insert_with(|| (Arc::downgrade(key), make(key))).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_each_key() {
        let mut cache = WeakCache::default();
        let (one, other) = (Arc::new(1), Arc::new(1));
        assert_eq!(*cache.get(&one, |_| "one"), "one");
        assert_eq!(*cache.get(&other, |_| "other"), "other");
        assert_eq!(*cache.get(&one, |_| "again"), "one");
    }

    /// Without this, every pod that ever lived would stay in memory.
    #[test]
    fn dead_keys_are_swept_out() {
        let mut cache = WeakCache::default();
        let alive = Arc::new(0);
        cache.get(&alive, |_| ());
        for key in 0..10 * FIRST_SWEEP {
            cache.get(&Arc::new(key), |_| ());
        }
        assert!(cache.entries.len() <= FIRST_SWEEP, "{}", cache.entries.len());
        cache.get(&alive, |_| unreachable!("it was swept out alive"));
    }
}
