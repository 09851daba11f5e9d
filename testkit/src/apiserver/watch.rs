//! Watches: every change since a version, then each as it happens, as lines of JSON.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::{
    Shared,
    list::CHUNK,
    object::Entry,
    request::Asked,
    respond::{self, Answer, Failure, Parts},
    store::{Change, Expired, Store, Wanted},
    table::{self, TableRequest},
};

/// A watch whose client names no end is ended after this time.
const LONGEST: Duration = Duration::from_secs(45 * 60);

/// One watch.
struct Watch {
    shared: Arc<Shared>,
    wanted: Wanted,
    /// Everything up to here was told.
    version: u64,
    /// Begins with all objects that there are.
    with_objects: bool,
    /// Marks the end of those.
    marks_beginning: bool,
    bookmarks: bool,
    table: Option<TableRequest>,
    until: Instant,
    parts: Parts,
    /// Restarts and tests cut it.
    cut: tokio::sync::watch::Receiver<u64>,
    /// Changes were made.
    changed: tokio::sync::watch::Receiver<u64>,
}

/// The watch is over: the client is gone, or was told an error.
struct Over;

/// Starts a watch.
pub(super) fn watch(
    shared: &Arc<Shared>,
    wanted: Wanted,
    asked: &Asked,
    table: Option<TableRequest>,
) -> Result<Answer, Failure> {
    let sends_initial = asked.parameter("sendInitialEvents") == "true";
    if !asked.parameter("sendInitialEvents").is_empty() && !shared.options.streaming_lists {
        return Err(Failure::invalid(
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the \
             WatchList feature gate is enabled",
        ));
    }
    let from = asked.parameter("resourceVersion");
    let from = from.parse::<u64>().ok().filter(|version| *version > 0 && !sends_initial);
    let seconds = asked.parameter("timeoutSeconds").parse().ok().map(Duration::from_secs);
    let (parts, answer) = respond::stream();
    let watch = Watch {
        version: from.unwrap_or_else(|| shared.store().version()),
        with_objects: from.is_none(),
        marks_beginning: sends_initial,
        bookmarks: ["true", "1"].contains(&asked.parameter("allowWatchBookmarks")),
        table,
        until: Instant::now() + seconds.unwrap_or(LONGEST),
        parts,
        cut: shared.cut.subscribe(),
        changed: shared.changed.subscribe(),
        shared: Arc::clone(shared),
        wanted,
    };
    tokio::spawn(watch.run());
    Ok(answer)
}

impl Watch {
    async fn run(mut self) {
        let _open = self.shared.count_watch();
        // It is over either way.
        let _: Result<(), Over> = self.tell().await;
    }

    async fn tell(&mut self) -> Result<(), Over> {
        if self.with_objects {
            self.tell_objects().await?;
        }
        let every = self.shared.options.bookmarks.max(Duration::from_millis(1));
        let mut bookmarks = interval_at(Instant::now() + every, every);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.tell_changes().await?;
            tokio::select! {
                changed = self.changed.changed() => changed.map_err(|_| Over)?,
                _ = self.cut.changed() => return self.break_off().await,
                () = self.parts.closed() => return Err(Over),
                _ = bookmarks.tick(), if self.bookmarks => self.bookmark(false).await?,
                () = sleep_until(self.until) => {
                    return if self.bookmarks { self.bookmark(false).await } else { Ok(()) };
                }
            }
        }
    }

    /// Closes the connection in the middle of the body.
    async fn break_off(&self) -> Result<(), Over> {
        self.parts.send(Err(io::ErrorKind::ConnectionAborted.into())).await.map_err(|_| Over)
    }

    /// Tells of every object that there is, as if it had just been added.
    async fn tell_objects(&mut self) -> Result<(), Over> {
        let mut after = None;
        loop {
            let page = {
                let store = self.shared.store();
                store.page(&self.wanted, self.version, after.as_deref(), CHUNK)
            };
            let Ok(page) = page else { return self.break_off().await.and(Err(Over)) };
            let mut lines = Vec::new();
            for entry in &page.entries {
                self.line(&mut lines, "ADDED", entry);
            }
            self.send(lines).await?;
            after = page.last;
            if after.is_none() {
                break;
            }
        }
        if self.marks_beginning { self.bookmark(true).await } else { Ok(()) }
    }

    async fn tell_changes(&mut self) -> Result<(), Over> {
        let (events, version) = {
            let store = self.shared.store();
            (self.events(&store), store.version())
        };
        match events {
            Ok(events) => {
                self.version = version;
                let mut lines = Vec::new();
                for (kind, entry) in &events {
                    self.line(&mut lines, kind, entry);
                }
                self.send(lines).await
            }
            Err(expired) => {
                let line =
                    json!({ "type": "ERROR", "object": Failure::expired(&expired).status() });
                self.send(format!("{line}\n").into_bytes()).await.and(Err(Over))
            }
        }
    }

    /// What happened since it was last told.
    fn events(&self, store: &Store) -> Result<Vec<(&'static str, Entry)>, Expired> {
        let changes = store.changes_since(self.wanted.resource, self.version)?;
        let event = |change: &Change| {
            let is_wanted = |entry: &Option<Entry>| {
                let entry = entry.as_ref();
                entry.is_some_and(|entry| store.is_wanted(&self.wanted, &change.key, entry))
            };
            event(change, is_wanted(&change.before), is_wanted(&change.after))
        };
        Ok(changes.iter().filter_map(event).collect())
    }

    /// Tells the version up to which nothing is missing.
    async fn bookmark(&mut self, beginning: bool) -> Result<(), Over> {
        let resource = self.wanted.resource;
        let mut metadata =
            json!({ "resourceVersion": self.version.to_string(), "creationTimestamp": null });
        if beginning {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({
            "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata,
        });
        let line = json!({ "type": "BOOKMARK", "object": object });
        self.send(format!("{line}\n").into_bytes()).await
    }

    fn line(&self, lines: &mut Vec<u8>, kind: &str, entry: &Entry) {
        let (resource, world) = (self.wanted.resource, self.shared.world());
        lines.extend_from_slice(format!(r#"{{"type":"{kind}","object":"#).as_bytes());
        match self.table {
            Some(request) => {
                let object: Value = entry.value(resource, world);
                let table = table::table(resource, &[object], request);
                lines.extend_from_slice(table.to_string().as_bytes());
            }
            None => lines.extend_from_slice(&entry.json(resource, world, true)),
        }
        lines.extend_from_slice(b"}\n");
    }

    async fn send(&self, lines: Vec<u8>) -> Result<(), Over> {
        if lines.is_empty() {
            return Ok(());
        }
        self.parts.send(Ok(Bytes::from(lines))).await.map_err(|_| Over)
    }
}

/// What a change is to somebody who wants some of the objects: an object that is no longer one of
/// those is deleted for him.
fn event(change: &Change, before: bool, after: bool) -> Option<(&'static str, Entry)> {
    let kept = |entry: &Option<Entry>| entry.clone();
    let (kind, entry) = match (before, after) {
        (false, true) => ("ADDED", kept(&change.after)),
        (true, true) => ("MODIFIED", kept(&change.after)),
        (true, false) => {
            let last = change.after.as_ref().or(change.before.as_ref());
            ("DELETED", last.map(|entry| entry.deleted_at(change.version)))
        }
        (false, false) => return None,
    };
    Some((kind, entry?))
}
