//! Where what is not delivered yet is kept.

// Comments on options are shown as help, where they are plain text.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;

use clap::Args;
use heapster_shared::units::ByteSize;

use crate::spool::{
    SpoolConfig,
    disk::{DiskConfig, Fsync, MOST_DISK_BYTES},
};

/// What memory holds: all, or what a disk does not take.
const MEMORY_BYTES: usize = 64 << 20;

/// The spool: rows and events that the master has not acknowledged.
#[derive(Clone, Debug, Args)]
pub struct SpoolArgs {
    /// A directory where rows that were not delivered are kept as they are polled, so that they
    /// outlast a stop or a crash of the buddy; without it they are in memory
    #[arg(id = "spool", long = "spool", value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Room for rows that are not delivered yet; past it the oldest are lost [default: 1GiB with
    /// --spool, else 64MiB of memory]
    #[arg(id = "spool_bytes", long = "spool-bytes", hide_short_help = true, value_name = "SIZE", value_parser = parse_bytes)]
    pub bytes: Option<ByteSize>,
    /// When what is in the spool outlasts a power cut: `always`, after each write, which costs a
    /// write of the disk's own for each host or group of hosts; `interval=DURATION`, so that a power
    /// cut loses what is newer; `never`, when the system sees fit, mostly within 30s. A crash of the
    /// buddy alone loses nothing that was written
    #[arg(
        long = "spool-fsync",
        hide_short_help = true,
        value_name = "WHEN",
        default_value = "interval=1s"
    )]
    pub fsync: Fsync,
}

impl SpoolArgs {
    /// Where the log is to be, with so much of it as there may be. Memory has never more than is
    /// asked for.
    #[must_use]
    pub fn config(&self) -> SpoolConfig {
        let bytes = self.bytes.map(|bytes| bytes.bytes());
        let Some(directory) = &self.directory else {
            return SpoolConfig::in_memory(bytes.unwrap_or(MEMORY_BYTES));
        };
        let most_bytes = bytes.unwrap_or(MOST_DISK_BYTES);
        let disk = DiskConfig { directory: directory.clone(), most_bytes, fsync: self.fsync };
        SpoolConfig { memory_bytes: MEMORY_BYTES.min(most_bytes), disk: Some(disk) }
    }
}

fn parse_bytes(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size < ByteSize::mib(1) {
        return Err("must be at least 1MiB".to_owned());
    }
    Ok(size)
}
