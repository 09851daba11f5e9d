//! The newest samples of hosts, on their way to disk and back.
//!
//! They go there behind the rows that they stand for, so that what is found there was sent, or is on
//! disk to be sent. What waits is bounded: of each host the newest only.

use std::time::Duration;

use compact_str::CompactString;
use heapster_shared::Map;
use tokio::sync::oneshot;

use super::Shared;
use crate::{
    pipeline::{HostSamples, RecalledHost},
    spool::disk::counters::HostRecord,
};

/// Numbers and identities; a higher level takes longer and gives little.
const LEVEL: i32 = 1;
/// Of one host, unpacked.
const MOST_BYTES: usize = 16 << 20;
/// What the disk may take to give what is there, before polling begins without it.
const RECALLED_WITHIN: Duration = Duration::from_secs(3);

/// What waits for the disk, and for what is on it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    is_kept: bool,
    waiting: Map<CompactString, HostSamples>,
    /// `None` once the disk was looked at.
    recalled: Option<oneshot::Sender<Vec<RecalledHost>>>,
    recalling: Option<oneshot::Receiver<Vec<RecalledHost>>>,
}

/// What an earlier start left, once it is known.
#[derive(Debug)]
pub struct Recalling(Option<oneshot::Receiver<Vec<RecalledHost>>>);

impl Counters {
    /// Those of a journal that has a disk.
    pub(super) fn on_disk() -> Self {
        let (recalled, recalling) = oneshot::channel();
        Self {
            is_kept: true,
            waiting: Map::default(),
            recalled: Some(recalled),
            recalling: Some(recalling),
        }
    }

    pub(super) const fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub(super) fn put(&mut self, samples: &HostSamples) {
        if self.is_kept {
            self.waiting.insert(samples.host().clone(), samples.clone());
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is to be written now.
    pub(super) fn take(&mut self) -> Vec<HostSamples> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Nothing is written any more.
    pub(super) fn stop(&mut self) {
        self.is_kept = false;
        self.waiting = Map::default();
    }

    pub(super) fn recalling(&mut self) -> Recalling {
        Recalling(self.recalling.take())
    }

    /// The disk is not to be had, or nothing is on it: whatever comes to light later is too old.
    pub(super) fn recall(&mut self, hosts: Vec<RecalledHost>) {
        if let Some(recalled) = self.recalled.take() {
            // Nobody waits where the poller has begun, or there is none.
            let _ = recalled.send(hosts);
        }
    }

    /// Whether somebody waits for what is on disk.
    pub(super) const fn is_awaited(&self) -> bool {
        self.recalled.is_some()
    }
}

impl Recalling {
    /// Until it is known what an earlier start left, or the disk has had its time.
    pub async fn hosts(self) -> Vec<RecalledHost> {
        let Some(recalling) = self.0 else { return Vec::new() };
        match tokio::time::timeout(RECALLED_WITHIN, recalling).await {
            Ok(recalled) => recalled.unwrap_or_default(),
            Err(_) => {
                tracing::warn!("the spool's disk is slow: rates begin anew");
                Vec::new()
            }
        }
    }
}

impl Shared {
    /// Hands over what was found on disk, to the poller that waits for it.
    pub(super) fn recall(&self, records: &[HostRecord]) {
        if !self.lock().counters.is_awaited() {
            return;
        }
        let count = records.len();
        let hosts: Vec<RecalledHost> = records.iter().filter_map(unpack).collect();
        if hosts.len() < count {
            tracing::warn!(
                hosts = count - hosts.len(),
                "what was kept of some hosts' counters cannot be read: their rates begin anew"
            );
        }
        self.lock().counters.recall(hosts);
    }
}

/// Samples as they are written.
pub(super) fn pack(samples: &HostSamples) -> std::io::Result<HostRecord> {
    let payload = zstd::bulk::compress(&samples.encode(), LEVEL)?.into();
    Ok(HostRecord { host: samples.host().clone(), payload })
}

fn unpack(record: &HostRecord) -> Option<RecalledHost> {
    let size = zstd::bulk::Decompressor::upper_bound(&record.payload)?.min(MOST_BYTES);
    let bytes = zstd::bulk::decompress(&record.payload, size).ok()?;
    RecalledHost::decode(&bytes).ok().filter(|known| known.host() == record.host)
}
