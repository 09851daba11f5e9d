//! The parts of which the summary is made: usage of CPU, memory, network and disk. Each begins at a
//! depth, which is that of the members of the thing that it belongs to.

use super::{
    super::{
        indent::put,
        json::{Out, Second},
        machine::{DISK_BYTES, INODES, INODES_FREE},
        view::Sample,
    },
    Known,
};

/// A sample, and its time as it is written, many times over.
pub(super) struct Taken {
    pub(super) sample: Sample,
    pub(super) time: Second,
}

impl Taken {
    pub(super) fn new(sample: Sample) -> Self {
        Self { time: Second::new(sample.time_ms), sample }
    }
}

/// What may be left out.
#[derive(Clone, Copy)]
pub(super) struct Told {
    /// What Windows has no word for is left out.
    pub(super) windows: bool,
    pub(super) known: Known,
}

/// `,"cpu":{..}`.
pub(super) fn cpu<const DEPTH: usize>(out: &mut Out, taken: &Taken, known: Known) {
    put!(out, DEPTH, r#","cpu":{"time":"#);
    taken.time.write(out);
    if known == Known::All {
        let nanocores = taken.sample.cpu_millicores * 1_000_000;
        put!(out, DEPTH + 1, r#","usageNanoCores":"#, nanocores);
    }
    let total = if known == Known::Zero { 0 } else { taken.sample.cpu_ns };
    put!(out, DEPTH + 1, r#","usageCoreNanoSeconds":"#, total);
    put!(out, DEPTH + 1, "}");
}

/// `,"memory":{..}`. What has no limit has nothing available.
pub(super) fn memory<const DEPTH: usize>(
    out: &mut Out,
    taken: &Taken,
    available: Option<u64>,
    told: Told,
) {
    if told.known == Known::Zero {
        return zero_memory::<DEPTH>(out, taken.time);
    }
    let sample = &taken.sample;
    put!(out, DEPTH, r#","memory":{"time":"#);
    taken.time.write(out);
    if told.windows {
        put!(out, DEPTH + 1, r#","workingSetBytes":"#, sample.working_set);
        put!(out, DEPTH + 1, "}");
        return;
    }
    if let Some(available) = available {
        put!(out, DEPTH + 1, r#","availableBytes":"#, available);
    }
    put!(out, DEPTH + 1, r#","usageBytes":"#, sample.working_set + sample.cache);
    put!(out, DEPTH + 1, r#","workingSetBytes":"#, sample.working_set);
    put!(out, DEPTH + 1, r#","rssBytes":"#, sample.working_set / 2);
    put!(out, DEPTH + 1, r#","pageFaults":"#, sample.page_faults);
    put!(out, DEPTH + 1, r#","majorPageFaults":"#, sample.major_page_faults);
    put!(out, DEPTH + 1, "}");
}

/// The memory of what runs no more or not yet.
pub(super) fn zero_memory<const DEPTH: usize>(out: &mut Out, time: Second) {
    put!(out, DEPTH, r#","memory":{"time":"#);
    time.write(out);
    put!(out, DEPTH + 1, r#","usageBytes":0,"workingSetBytes":0,"rssBytes":0,"pageFaults":0"#);
    put!(out, DEPTH + 1, r#","majorPageFaults":0}"#);
}

/// `,"network":{..}`, with the one interface that there is.
pub(super) fn network<const DEPTH: usize>(out: &mut Out, taken: &Taken, windows: bool) {
    put!(out, DEPTH, r#","network":{"time":"#);
    taken.time.write(out);
    put!(out, DEPTH + 1, ",");
    if windows {
        put!(out, DEPTH + 1, r#""name":"eth0","rxBytes":"#, taken.sample.received);
        put!(out, DEPTH + 1, r#","txBytes":"#, taken.sample.sent);
        put!(out, DEPTH + 1, r#","interfaces":[{"name":"eth0","rxBytes":"#, taken.sample.received);
        put!(out, DEPTH + 3, r#","txBytes":"#, taken.sample.sent);
        put!(out, DEPTH + 3, "}]}");
        return;
    }
    put!(out, DEPTH + 1, r#""name":"eth0","rxBytes":"#, taken.sample.received);
    put!(out, DEPTH + 1, r#","rxErrors":0,"txBytes":"#, taken.sample.sent);
    put!(out, DEPTH + 1, r#","txErrors":0,"interfaces":[{"name":"eth0","rxBytes":"#);
    put!(out, DEPTH + 3, "", taken.sample.received);
    put!(out, DEPTH + 3, r#","rxErrors":0,"txBytes":"#, taken.sample.sent);
    put!(out, DEPTH + 3, r#","txErrors":0}]}"#);
}

/// What follows `"NAME":{"time":` of a filesystem on the host's disk, of which `used` bytes are this
/// one's; the depth is that of its name.
pub(super) fn filesystem<const DEPTH: usize>(
    out: &mut Out,
    taken: &Taken,
    used: u64,
    windows: bool,
) {
    taken.time.write(out);
    let available = DISK_BYTES.saturating_sub(taken.sample.disk_used);
    put!(out, DEPTH + 1, r#","availableBytes":"#, available);
    put!(out, DEPTH + 1, r#","capacityBytes":"#, DISK_BYTES);
    put!(out, DEPTH + 1, r#","usedBytes":"#, used);
    if !windows {
        put!(out, DEPTH + 1, r#","inodesFree":"#, INODES_FREE);
        put!(out, DEPTH + 1, r#","inodes":"#, INODES);
        put!(out, DEPTH + 1, r#","inodesUsed":"#, INODES - INODES_FREE);
    }
    put!(out, DEPTH + 1, "}");
}
