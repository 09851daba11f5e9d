//! The objects of a cluster, their resource versions, and what changed since when.
//!
//! Simulated pods and nodes lie underneath and are never held: the store has what differs from them
//! (an overlay), and the latest changes, from which it tells watchers what they missed and readers
//! of pages what the list was when they began.

mod simulated;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use serde_json::Value;

use super::{
    object::{Candidate, Entry, Object, with_version},
    resources::Resource,
    selector::Selector,
};
use crate::sim::World;

/// What happened to an object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) resource: &'static Resource,
    pub(super) key: String,
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
}

/// The version that was asked for is too old: what changed since then is no longer known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) asked: u64,
    pub(super) oldest: u64,
}

/// Which objects are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) resource: &'static Resource,
    /// Empty for all namespaces.
    pub(super) namespace: String,
    pub(super) selector: Selector,
}

/// Some objects of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// The key of the last one, when there are more.
    pub(super) last: Option<String>,
}

type Overlay = BTreeMap<String, Option<Entry>>;

/// All objects.
#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    /// What changed at or before this version is forgotten.
    compacted: u64,
    /// By the plural of the resource; `None` for a simulated object that was deleted.
    overlays: HashMap<&'static str, Overlay>,
    changes: VecDeque<Change>,
    kept_changes: usize,
    world: Option<Arc<World>>,
}

impl Store {
    pub(super) fn new(world: Option<Arc<World>>, kept_changes: usize) -> Self {
        Self {
            version: 0,
            compacted: 0,
            overlays: HashMap::new(),
            changes: VecDeque::new(),
            kept_changes,
            world,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Everything that was put so far was there from the beginning.
    pub(super) fn begin(&mut self, version: u64) {
        self.version = self.version.max(version).max(self.last_simulated_version());
        self.compact();
    }

    /// Forgets all changes.
    pub(super) fn compact(&mut self) {
        self.changes.clear();
        self.compacted = self.version;
    }

    /// Forgets nothing, but lets some versions pass, as changes elsewhere do.
    pub(super) fn pass(&mut self, versions: u64) {
        self.version += versions;
    }

    pub(super) fn put(&mut self, resource: &'static Resource, key: String, value: Value) {
        let version = self.version + 1;
        self.set(resource, key, Object::Json(Arc::new(with_version(value, version))));
    }

    /// Puts an object that has a version of its own, in front of the beginning.
    pub(super) fn put_recorded(&mut self, resource: &'static Resource, value: Value) {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").unwrap_or_default();
        let key = text("/metadata/namespace")
            .map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        let version = text("/metadata/resourceVersion").and_then(|text| text.parse().ok());
        let object = Object::Json(Arc::new(value));
        let entry = Entry { version: version.unwrap_or(1), object };
        self.overlays.entry(resource.plural).or_default().insert(key, Some(entry));
    }

    pub(super) fn set(&mut self, resource: &'static Resource, key: String, object: Object) {
        let before = self.get(resource, &key);
        self.version += 1;
        let after = Some(Entry { version: self.version, object });
        self.overlays.entry(resource.plural).or_default().insert(key.clone(), after.clone());
        self.remember(Change { version: self.version, resource, key, before, after });
    }

    /// Whether there was such an object.
    pub(super) fn remove(&mut self, resource: &'static Resource, key: &str) -> bool {
        let Some(before) = self.get(resource, key) else { return false };
        self.version += 1;
        let simulated = self.simulated_place(resource, key).is_some();
        let overlay = self.overlays.entry(resource.plural).or_default();
        if simulated {
            overlay.insert(key.to_owned(), None);
        } else {
            overlay.remove(key);
        }
        let (version, key) = (self.version, key.to_owned());
        self.remember(Change { version, resource, key, before: Some(before), after: None });
        true
    }

    fn remember(&mut self, change: Change) {
        self.changes.push_back(change);
        while self.changes.len() > self.kept_changes {
            if let Some(forgotten) = self.changes.pop_front() {
                self.compacted = forgotten.version;
            }
        }
    }

    pub(super) fn get(&self, resource: &Resource, key: &str) -> Option<Entry> {
        if let Some(entry) = self.overlays.get(resource.plural).and_then(|all| all.get(key)) {
            return entry.clone();
        }
        let place = self.simulated_place(resource, key)?;
        Some(self.simulated(resource, place))
    }

    /// The changes after a version, those of one resource, oldest first.
    pub(super) fn changes_since(
        &self,
        resource: &Resource,
        version: u64,
    ) -> Result<Vec<Change>, Expired> {
        self.check(version)?;
        let first = self.changes.partition_point(|change| change.version <= version);
        let later = self.changes.range(first..);
        Ok(later.filter(|change| change.resource == resource).cloned().collect())
    }

    fn check(&self, version: u64) -> Result<(), Expired> {
        if version < self.compacted {
            return Err(Expired { asked: version, oldest: self.compacted });
        }
        Ok(())
    }

    /// Up to `limit` objects behind a key, as they were at a version.
    pub(super) fn page(
        &self,
        wanted: &Wanted,
        version: u64,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, Expired> {
        self.check(version)?;
        let prefix = match wanted.namespace.as_str() {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        };
        let start = after.unwrap_or(&prefix);
        let undone = self.undone_since(wanted.resource, version);
        let mut page = Page { entries: Vec::new(), last: None };
        let mut last = None;
        for (key, entry) in self.merged(wanted.resource, &undone, start) {
            if !key.starts_with(&prefix) {
                break;
            }
            if !self.is_wanted(wanted, &key, &entry) {
                continue;
            }
            if page.entries.len() == limit {
                page.last = last;
                break;
            }
            page.entries.push(entry);
            last = Some(key);
        }
        Ok(page)
    }

    /// Whether an object is among those wanted, its namespace included.
    pub(super) fn is_wanted(&self, wanted: &Wanted, key: &str, entry: &Entry) -> bool {
        let namespace = key.rsplit_once('/').map_or("", |(namespace, _)| namespace);
        if !wanted.namespace.is_empty() && namespace != wanted.namespace {
            return false;
        }
        let (of, world) = (wanted.resource, self.world.as_deref());
        wanted.selector.is_empty() || wanted.selector.matches(&Candidate { key, entry, of, world })
    }

    /// Objects behind a key, all namespaces; those of the version `undone` has taken back.
    pub(super) fn count_behind(&self, resource: &Resource, key: &str) -> usize {
        let simulated = self.simulated_len(resource) - self.seek(resource, key);
        let mut count = simulated;
        for (key, entry) in self.overlay_behind(resource, key) {
            match (self.simulated_place(resource, key).is_some(), entry) {
                (false, Some(_)) => count += 1,
                (true, None) => count -= 1,
                _ => {}
            }
        }
        count
    }

    /// What the objects that changed since a version were then.
    fn undone_since(&self, resource: &Resource, version: u64) -> Overlay {
        let mut undone = Overlay::new();
        let first = self.changes.partition_point(|change| change.version <= version);
        for change in self.changes.range(first..).filter(|change| change.resource == resource) {
            undone.entry(change.key.clone()).or_insert_with(|| change.before.clone());
        }
        undone
    }

    fn overlay_behind<'a>(
        &'a self,
        resource: &Resource,
        key: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Option<Entry>)> {
        let overlay = self.overlays.get(resource.plural);
        let bounds = (Bound::Excluded(key.to_owned()), Bound::Unbounded);
        overlay.into_iter().flat_map(move |overlay| overlay.range(bounds.clone()))
    }

    /// The objects behind a key, in order: what was undone hides the overlay, which hides what is
    /// simulated.
    fn merged<'a>(
        &'a self,
        resource: &'a Resource,
        undone: &'a Overlay,
        start: &'a str,
    ) -> impl Iterator<Item = (String, Entry)> + 'a {
        let bounds = (Bound::Excluded(start.to_owned()), Bound::Unbounded);
        let mut undone = undone.range(bounds).peekable();
        let mut overlay = self.overlay_behind(resource, start).peekable();
        let places = self.seek(resource, start)..self.simulated_len(resource);
        let mut simulated =
            places.map(|place| (self.simulated_key(resource, place), place)).peekable();
        let mut next = move || -> Option<(String, Option<Entry>)> {
            let candidates = [
                undone.peek().map(|(key, _)| (*key).clone()),
                overlay.peek().map(|(key, _)| (*key).clone()),
                simulated.peek().map(|(key, _)| key.clone()),
            ];
            let key = candidates.into_iter().flatten().min()?;
            let lowest = simulated.next_if(|(own, _)| *own == key);
            let middle = overlay.next_if(|(own, _)| **own == key);
            let highest = undone.next_if(|(own, _)| **own == key);
            let entry = match (highest, middle, lowest) {
                (Some((_, entry)), _, _) | (None, Some((_, entry)), _) => entry.clone(),
                (None, None, Some((_, place))) => Some(self.simulated(resource, place)),
                (None, None, None) => None,
            };
            Some((key, entry))
        };
        std::iter::from_fn(move || {
            loop {
                let (key, entry) = next()?;
                if let Some(entry) = entry {
                    return Some((key, entry));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::resources::by_plural, *};

    fn store_of(names: &[&str]) -> Store {
        let mut store = Store::new(None, 100);
        let pods = by_plural("pods").unwrap();
        for name in names {
            store.put(pods, format!("default/{name}"), json!({"metadata": {"name": name}}));
        }
        store.begin(0);
        store
    }

    fn all() -> Wanted {
        let resource = by_plural("pods").unwrap();
        Wanted { resource, namespace: String::new(), selector: Selector::default() }
    }

    fn names(page: &Page) -> Vec<String> {
        let name = |entry: &Entry| entry.value(by_plural("pods").unwrap(), None);
        let names = page.entries.iter().map(name);
        names.map(|value| value["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A reader of pages sees the list as it was when it began, whatever happens meanwhile.
    #[test]
    fn pages_are_of_one_version() {
        let pods = by_plural("pods").unwrap();
        let mut store = store_of(&["a", "c", "e", "g"]);
        let version = store.version();
        let first = store.page(&all(), version, None, 2).unwrap();
        assert_eq!(
            (names(&first), first.last.as_deref()),
            (vec!["a".into(), "c".into()], Some("default/c"))
        );
        store.remove(pods, "default/e");
        store.put(pods, "default/f".into(), json!({"metadata": {"name": "f"}}));
        store.put(pods, "default/g".into(), json!({"metadata": {"name": "g", "x": 1}}));
        let rest = store.page(&all(), version, first.last.as_deref(), 10).unwrap();
        assert_eq!((names(&rest), rest.last), (vec!["e".into(), "g".into()], None));
        assert!(rest.entries.iter().all(|entry| entry.version <= version));
        let now = store.page(&all(), store.version(), None, 10).unwrap();
        assert_eq!(names(&now), ["a", "c", "f", "g"]);
    }

    #[test]
    fn what_was_compacted_cannot_be_told() {
        let pods = by_plural("pods").unwrap();
        let mut store = store_of(&["a"]);
        let version = store.version();
        store.put(pods, "default/b".into(), json!({"metadata": {"name": "b"}}));
        assert_eq!(store.changes_since(pods, version).unwrap().len(), 1);
        store.compact();
        assert!(store.changes_since(pods, version).is_err());
        assert!(store.page(&all(), version, None, 1).is_err());
        assert!(store.changes_since(pods, store.version()).unwrap().is_empty());
    }

    /// The log is bounded: the oldest changes go first.
    #[test]
    fn old_changes_are_forgotten() {
        let pods = by_plural("pods").unwrap();
        let mut store = store_of(&["a"]);
        let version = store.version();
        for _ in 0..101 {
            store.put(pods, "default/a".into(), json!({"metadata": {"name": "a"}}));
        }
        assert!(store.changes_since(pods, version).is_err());
        assert_eq!(store.changes_since(pods, version + 1).unwrap().len(), 100);
    }
}
