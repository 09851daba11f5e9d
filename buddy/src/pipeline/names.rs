//! Things by their names: for the polls in which a host says something new.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{pod::Pod, things::Thing};
use crate::source::{PodName, Subject};

/// What a thing is a part of; those of the host itself come last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Owner {
    /// Index of the pod.
    Pod(u32),
    Host,
}

/// The names that tell a thing from others.
#[derive(PartialEq, Eq, Hash)]
enum Name<'a> {
    Node,
    Pod(&'a str, &'a str),
    PodContainer(&'a str, &'a str, &'a str),
    SysContainer(&'a str),
}

/// Things and pods by their names, as long as a poll takes.
pub(super) struct Names {
    things: HashTable<u32>,
    pods: HashTable<u32>,
    hasher: RandomState,
}

impl Names {
    pub(super) fn new(things: &[Thing], pods: &[Pod]) -> Self {
        let mut names = Self {
            things: HashTable::with_capacity(things.len()),
            pods: HashTable::with_capacity(pods.len()),
            hasher: RandomState::new(),
        };
        (0..things.len()).for_each(|place| names.add_thing(things, place));
        (0..pods.len()).for_each(|place| names.add_pod(pods, place));
        names
    }

    /// Where the thing of this subject's names is.
    pub(super) fn thing(&self, things: &[Thing], subject: &Subject) -> Option<usize> {
        let name = name_of(subject);
        let is_it = |place: &u32| name_of(&things[*place as usize].subject) == name;
        self.things.find(self.hasher.hash_one(&name), is_it).map(|place| *place as usize)
    }

    /// Where the pod that this subject belongs to is; `Some(None)` where it is not known yet.
    pub(super) fn pod(&self, pods: &[Pod], subject: &Subject) -> Option<Option<u32>> {
        let name = pod_of(subject).map(of_pod)?;
        let is_it = |place: &u32| pod_name(pods, *place as usize) == name;
        Some(self.pods.find(self.hasher.hash_one(&name), is_it).copied())
    }

    pub(super) fn add_thing(&mut self, things: &[Thing], place: usize) {
        let hasher = &self.hasher;
        let hash = |place: &u32| hasher.hash_one(name_of(&things[*place as usize].subject));
        self.things.insert_unique(hash(&(place as u32)), place as u32, hash);
    }

    pub(super) fn add_pod(&mut self, pods: &[Pod], place: usize) {
        let hasher = &self.hasher;
        let hash = |place: &u32| hasher.hash_one(pod_name(pods, *place as usize));
        self.pods.insert_unique(hash(&(place as u32)), place as u32, hash);
    }
}

/// The pod that the subject is, or is a part of.
pub(super) fn pod_of(subject: &Subject) -> Option<&PodName> {
    match subject {
        Subject::Pod { pod, .. } | Subject::PodContainer { pod, .. } => Some(pod),
        Subject::Node { .. } | Subject::SysContainer { .. } => None,
    }
}

fn pod_name(pods: &[Pod], place: usize) -> Name<'_> {
    pod_of(pods[place].subject()).map_or(Name::Node, of_pod)
}

fn of_pod(pod: &PodName) -> Name<'_> {
    Name::Pod(&pod.namespace, &pod.name)
}

fn name_of(subject: &Subject) -> Name<'_> {
    match subject {
        Subject::Node { .. } => Name::Node,
        Subject::Pod { pod, .. } => of_pod(pod),
        Subject::PodContainer { pod, name, .. } => {
            Name::PodContainer(&pod.namespace, &pod.name, name)
        }
        Subject::SysContainer { name, .. } => Name::SysContainer(name),
    }
}
