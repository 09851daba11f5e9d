//! Answers that count for a while.

use std::{
    borrow::Borrow,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use heapster_shared::Map;
use tokio::time::Instant;

/// A bounded number of answers. When there are too many, those go that count no longer; and where
/// all count, all go: they can be asked for again.
pub(super) struct Cache<K, V> {
    most: usize,
    answers: Mutex<Map<K, (V, Instant)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, answers: Mutex::default() }
    }

    /// An answer that still counts.
    pub(super) fn get<Q>(&self, key: &Q, now: Instant) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let answers = self.lock();
        answers.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V, until: Instant) {
        let mut answers = self.lock();
        if answers.len() >= self.most {
            let now = Instant::now();
            answers.retain(|_, (_, until)| now < *until);
        }
        if answers.len() >= self.most {
            answers.clear();
        }
        answers.insert(key, (value, until));
    }

    fn lock(&self) -> MutexGuard<'_, Map<K, (V, Instant)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_count_for_a_while_and_are_few() {
        let cache = Cache::<String, u32>::new(2);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        cache.put("a".into(), 1, now + second);
        assert_eq!(cache.get("a", now), Some(1));
        assert_eq!(cache.get("a", now + second), None);
        tokio::time::advance(second).await;
        cache.put("b".into(), 2, now + 5 * second);
        cache.put("c".into(), 3, now + 5 * second);
        assert_eq!(cache.get("b", Instant::now()), Some(2), "the old one made room");
        cache.put("d".into(), 4, now + 5 * second);
        assert_eq!(cache.get("d", Instant::now()), Some(4));
        assert!(cache.lock().len() <= 2);
    }
}
