//! What a source remembers of each host from poll to poll.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use compact_str::CompactString;
use heapster_shared::Map;

/// A host that was not polled for this long is forgotten.
const HOST_LIFE: Duration = Duration::from_secs(3600);

/// All hosts that a source polls.
pub(super) struct Hosts<M>(Mutex<Map<CompactString, (Arc<M>, Instant)>>);

impl<M> Default for Hosts<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M: Default> Hosts<M> {
    /// The memory of the host with this id.
    pub(super) fn of(&self, id: &CompactString) -> Arc<M> {
        let now = Instant::now();
        let mut hosts = lock(&self.0);
        if let Some((memory, polled)) = hosts.get_mut(id) {
            *polled = now;
            return Arc::clone(memory);
        }
        hosts.retain(|_, (_, polled)| now.duration_since(*polled) < HOST_LIFE);
        let memory = Arc::<M>::default();
        hosts.insert(id.clone(), (Arc::clone(&memory), now));
        memory
    }
}

/// What a panic leaves behind is of use: a poll that breaks off is told from a whole one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_memory() {
        let hosts = Hosts::<Mutex<u32>>::default();
        *lock(&hosts.of(&"a".into())) = 7;
        assert_eq!((*lock(&hosts.of(&"a".into())), *lock(&hosts.of(&"b".into()))), (7, 0));
    }
}
