//! Labels that many have are there once: replicas on a thousand nodes have the same.

use heapster_shared::{Set, entity::Labels};

/// The labels that somebody has, each once.
#[derive(Debug, Default)]
pub(crate) struct SharedLabels(Set<Labels>);

impl SharedLabels {
    /// The same labels, in the memory of those that were shared first.
    pub(crate) fn share(&mut self, labels: Labels) -> Labels {
        if labels.is_empty() { labels } else { self.0.get_or_insert(labels).clone() }
    }

    /// Forgets those that nobody has any more.
    pub(crate) fn prune(&mut self) {
        self.0.retain(|labels| labels.shared_by() > 1);
    }

    /// Number of labels that are kept.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_are_one_and_unused_ones_go() {
        let labels = |value: &str| Labels::from_iter([("app", value)]);
        let mut shared = SharedLabels::default();
        let kept = shared.share(labels("a"));
        assert_eq!(shared.share(labels("a")).shared_by(), 3, "the pool's, this one and that");
        drop(shared.share(labels("b")));
        assert!(shared.share(Labels::default()).is_empty());
        assert_eq!(shared.len(), 2);
        shared.prune();
        assert_eq!((shared.len(), kept.shared_by()), (1, 2));
    }
}
