//! Notices that a file may have changed.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Without a watch, or beside one that sees only the directory, metadata are looked at this often.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A writer gets this long to finish after its first write.
const SETTLE: Duration = Duration::from_millis(50);

/// Watches one file.
pub(super) struct Watch {
    path: PathBuf,
    events: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    seen: Option<Fingerprint>,
}

/// Tells versions of a file apart: device, inode, size, and the times of the newest changes of
/// content and inode in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fingerprint([i64; 7]);

impl Fingerprint {
    /// Of the file that the path leads to, through links; none when there is no file.
    async fn of(path: &Path) -> Option<Self> {
        let metadata = tokio::fs::metadata(path).await.ok()?;
        Some(Self([
            metadata.dev().cast_signed(),
            metadata.ino().cast_signed(),
            metadata.size().cast_signed(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ]))
    }
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), events: Arc::default(), watcher: None, seen: None }
    }

    /// From here on every difference is a change.
    pub(super) async fn begin(&mut self) {
        if self.watcher.is_none() {
            self.watcher = self.start().inspect_err(|error| self.complain(error)).ok();
        }
        self.seen = Fingerprint::of(&self.path).await;
    }

    /// Returns when the file is another one than at [`Watch::begin`].
    pub(super) async fn changed(&self) {
        loop {
            // Whether the watch spoke or the time is up, the metadata decide: other files of the
            // directory may change all the time.
            let _ = tokio::time::timeout(LOOK_INTERVAL, self.events.notified()).await;
            if Fingerprint::of(&self.path).await != self.seen {
                tokio::time::sleep(SETTLE).await;
                return;
            }
        }
    }

    fn start(&self) -> notify::Result<RecommendedWatcher> {
        let events = Arc::clone(&self.events);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    events.notify_one();
                }
            })?;
        watcher.watch(directory(&self.path), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    fn complain(&self, error: &notify::Error) {
        let path = self.path.display();
        tracing::debug!(%path, %error, "cannot watch the directory; looking at the file instead");
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
