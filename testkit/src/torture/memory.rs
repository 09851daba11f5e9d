//! How much memory the programs took at most.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;

/// Looks at the memory of processes now and then, until it is dropped.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    watching: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// By the program's name, its present process.
    processes: BTreeMap<String, u32>,
    peak_bytes: BTreeMap<String, u64>,
}

impl Watch {
    pub(super) fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let watched = Arc::clone(&seen);
        let watching = tokio::spawn(async move {
            loop {
                watched.lock().unwrap_or_else(PoisonError::into_inner).look();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { seen, watching }
    }

    /// From now on this process is looked at.
    pub(super) fn follow(&self, name: &str, process: Option<u32>) {
        let Some(process) = process else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.processes.insert(name.to_owned(), process);
    }

    /// The most that each took, in bytes.
    pub(super) fn peaks(&self) -> BTreeMap<String, u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.look();
        seen.peak_bytes.clone()
    }
}

impl Seen {
    fn look(&mut self) {
        for (name, process) in &self.processes {
            // The kernel's own mark of the highest: nothing between two looks is missed but the end.
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            let peak = self.peak_bytes.entry(name.clone()).or_default();
            *peak = (*peak).max(kib.unwrap_or_default() << 10);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
