//! What many pods have in common is kept once.

use std::{hash::Hash, sync::Arc};

use heapster_shared::{Set, entity::Labels};

use super::model::{ContainerSpec, Owner};

/// Keeps one `Arc` of each value for as long as somebody else has it too.
#[derive(Default)]
pub(super) struct Interner {
    strings: Pool<str>,
    labels: Pool<Labels>,
    owners: Pool<Owner>,
    containers: Pool<ContainerSpec>,
}

impl Interner {
    pub(super) fn string(&mut self, text: &str) -> Arc<str> {
        self.strings.get(text, || text.into())
    }

    pub(super) fn labels(&mut self, labels: Labels) -> Arc<Labels> {
        self.labels.value(labels)
    }

    pub(super) fn owner(&mut self, owner: Owner) -> Arc<Owner> {
        self.owners.value(owner)
    }

    pub(super) fn container(&mut self, spec: ContainerSpec) -> Arc<ContainerSpec> {
        self.containers.value(spec)
    }
}

/// Values of one type. What nobody else has is swept out whenever the pool has doubled, which costs
/// each value that comes in a constant amount of work.
struct Pool<T: ?Sized> {
    values: Set<Arc<T>>,
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 256;

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { values: Set::default(), sweep_at: FIRST_SWEEP }
    }
}

impl<T: ?Sized + Hash + Eq> Pool<T> {
    fn get(&mut self, value: &T, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(known) = self.values.get(value) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = (self.values.len() * 2).max(FIRST_SWEEP);
        }
        let made = make();
        self.values.insert(Arc::clone(&made));
        made
    }
}

impl<T: Hash + Eq> Pool<T> {
    fn value(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.values.get(&value) {
            return Arc::clone(known);
        }
        let made = Arc::new(value);
        self.get(&Arc::clone(&made), || made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_unused_ones_go() {
        let mut pool = Pool::<str>::default();
        let kept = pool.get("kept", || "kept".into());
        for index in 0..10_000 {
            let text = index.to_string();
            pool.get(&text, || text.as_str().into());
        }
        assert!(Arc::ptr_eq(&kept, &pool.get("kept", || unreachable!("it is known"))));
        assert!(pool.values.len() <= FIRST_SWEEP, "{} are kept", pool.values.len());
    }
}
