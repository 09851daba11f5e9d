//! What a kubelet's things are called, and which of several of one name is the living one.
//!
//! Control groups of the dead may be left over: a pod that was there before under the same name, or
//! an earlier run of a container. A kubelet that was just started may tell of both.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{entity::Labels, tag};

use super::series::ByName;
use crate::source::{PodName, PodNames, Recorder, Subject};

/// Which of several things of one name is the living one: the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::source) struct Rank {
    /// It has used CPU, and has memory.
    pub(in crate::source) in_use: bool,
    /// When it was started; 0 when not known.
    pub(in crate::source) start_time_ms: i64,
}

/// Picks the living among things that stand in a list.
pub(in crate::source) struct Candidates<K> {
    best: ByName<K, (usize, Rank)>,
    is_unique: bool,
}

impl<K: std::hash::Hash + Eq> Candidates<K> {
    /// Of things with these names and ranks.
    pub(in crate::source) fn of(things: impl ExactSizeIterator<Item = (K, Rank)>) -> Self {
        let mut best = ByName::with_capacity_and_hasher(things.len(), Default::default());
        let mut is_unique = true;
        for (index, (name, rank)) in things.enumerate() {
            let (known, known_rank) = best.entry(name).or_insert((index, rank));
            if *known != index {
                is_unique = false;
                if rank > *known_rank {
                    (*known, *known_rank) = (index, rank);
                }
            }
        }
        Self { best, is_unique }
    }

    /// Whether the thing of this name at this place of the list is the living one.
    pub(in crate::source) fn has(&self, name: &K, index: usize) -> bool {
        self.is_unique || self.best.get(name).is_some_and(|(best, _)| *best == index)
    }
}

/// A pod, or a container of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Who<'a> {
    pub(in crate::source) namespace: &'a str,
    pub(in crate::source) pod: &'a str,
    /// May be empty.
    pub(in crate::source) pod_uid: &'a str,
}

/// Begins readings of things by their names.
#[derive(Default)]
pub(in crate::source) struct Names {
    key: String,
    pods: PodNames,
}

impl Names {
    /// Begins the reading of the node; says whether it is its first.
    pub(in crate::source) fn begin_node(&mut self, recorder: &mut Recorder<'_>) -> bool {
        let make = || Subject::Node { labels: Labels::default() };
        begin(recorder, "/", 0, make)
    }

    /// Begins the reading of a pod as a whole; says whether it is its first, and has a name. One
    /// without a namespace is nobody's: a master refuses the whole stream that defines it.
    pub(in crate::source) fn begin_pod(
        &mut self,
        recorder: &mut Recorder<'_>,
        who: Who<'_>,
    ) -> bool {
        if !who.is_named() {
            return false;
        }
        self.set_key(&[who.namespace, who.pod]);
        let fingerprint = recorder.fingerprint(who.pod_uid);
        let pods = &mut self.pods;
        let make = || Subject::Pod { pod: who.name(pods), labels: Labels::default() };
        begin(recorder, &self.key, fingerprint, make)
    }

    /// Begins the reading of a container of a pod; says whether it is its first, and has a name.
    /// The identity of its run and its image may be empty.
    pub(in crate::source) fn begin_container(
        &mut self,
        recorder: &mut Recorder<'_>,
        who: Who<'_>,
        name: &str,
        (uid, image): (&str, &str),
    ) -> bool {
        if !who.is_named() || name.is_empty() {
            return false;
        }
        self.set_key(&[who.namespace, who.pod, name]);
        let fingerprint = recorder.fingerprint(&(who.pod_uid, uid, image));
        let pods = &mut self.pods;
        let make = || Subject::PodContainer {
            pod: who.name(pods),
            name: name.into(),
            uid: uid.into(),
            labels: image_label(image),
        };
        begin(recorder, &self.key, fingerprint, make)
    }

    /// Begins the reading of a container of no pod; says whether it is its first.
    pub(in crate::source) fn begin_system(
        &mut self,
        recorder: &mut Recorder<'_>,
        name: &str,
    ) -> bool {
        self.set_key(&["", name]);
        let make = || Subject::SysContainer {
            name: name.into(),
            uid: CompactString::default(),
            labels: Labels::default(),
        };
        begin(recorder, &self.key, 0, make)
    }

    /// No name of Kubernetes has a slash.
    fn set_key(&mut self, parts: &[&str]) {
        self.key.clear();
        for part in parts {
            self.key.push_str(part);
            self.key.push('/');
        }
    }
}

impl Who<'_> {
    fn is_named(&self) -> bool {
        !self.namespace.is_empty() && !self.pod.is_empty()
    }

    fn name(&self, pods: &mut PodNames) -> Arc<PodName> {
        pods.share([self.namespace, self.pod, self.pod_uid])
    }
}

fn begin(
    recorder: &mut Recorder<'_>,
    key: &str,
    fingerprint: u64,
    make: impl FnOnce() -> Subject,
) -> bool {
    let make = || Ok::<_, std::convert::Infallible>((make(), ()));
    let Ok(begun) = recorder.begin(key, fingerprint, make);
    begun.is_some()
}

fn image_label(image: &str) -> Labels {
    let label = (!image.is_empty()).then_some((tag::CONTAINER_BASE_IMAGE, image));
    label.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn living(things: &[(&str, bool, i64)]) -> Vec<usize> {
        let ranked = things.iter().map(|(name, in_use, start_time_ms)| {
            (*name, Rank { in_use: *in_use, start_time_ms: *start_time_ms })
        });
        let candidates = Candidates::of(ranked);
        (0..things.len()).filter(|index| candidates.has(&things[*index].0, *index)).collect()
    }

    /// Zeros lose, then the older one does, then the later in the list.
    #[test]
    fn of_one_name_one_lives() {
        assert_eq!(living(&[("a", true, 1), ("b", true, 1)]), [0, 1]);
        assert_eq!(living(&[("a", true, 1), ("b", true, 1), ("a", true, 2)]), [1, 2]);
        assert_eq!(living(&[("a", true, 1), ("a", false, 2)]), [0]);
        assert_eq!(living(&[("a", false, 1), ("a", false, 2), ("a", false, 2)]), [1]);
    }
}
