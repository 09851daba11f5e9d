//! Which pod: told once for a pod and all its containers.

use std::sync::Arc;

use compact_str::CompactString;

/// Which pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PodName {
    /// Its namespace.
    pub namespace: CompactString,
    /// Its name.
    pub name: CompactString,
    /// Its uid; may be empty.
    pub uid: CompactString,
}

/// Keeps one `Arc` for what follows one another and belongs to the same pod.
#[derive(Default, Debug)]
pub(crate) struct PodNames {
    newest: Option<Arc<PodName>>,
}

impl PodNames {
    /// The name; that of the call before where it is the same.
    pub(crate) fn share(&mut self, [namespace, name, uid]: [&str; 3]) -> Arc<PodName> {
        let is_it = |known: &&Arc<PodName>| {
            known.uid == uid && known.name == name && known.namespace == namespace
        };
        if let Some(known) = self.newest.as_ref().filter(is_it) {
            return Arc::clone(known);
        }
        let name = PodName { namespace: namespace.into(), name: name.into(), uid: uid.into() };
        Arc::clone(self.newest.insert(Arc::new(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_one_another_shares_its_pod() {
        let mut names = PodNames::default();
        let first = names.share(["ns", "web", "1"]);
        assert!(Arc::ptr_eq(&first, &names.share(["ns", "web", "1"])));
        for other in [["ns", "web", "2"], ["ns", "db", "2"], ["other", "db", "2"]] {
            let share = names.share(other);
            assert_eq!([&*share.namespace, &*share.name, &*share.uid], other);
        }
    }
}
