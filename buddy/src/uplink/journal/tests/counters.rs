//! The newest samples of hosts: written behind rows, and found by the next start.

use std::{fs, path::Path, time::Duration};

use heapster_shared::host::Host;

use super::*;
use crate::{
    pipeline::{HostPipeline, HostSamples, Plans, RecalledHost},
    source::{Layouts, PlainReading, Readings, Subject},
    spool::{
        SpoolConfig,
        disk::{DiskConfig, Fsync},
    },
};

fn on_disk(directory: &Path, most_bytes: usize) -> Journal {
    let directory = directory.to_owned();
    let disk = DiskConfig { directory, most_bytes, fsync: Fsync::Never };
    Journal::with_spool("i1".into(), SpoolConfig { memory_bytes: 1 << 20, disk: Some(disk) })
}

fn samples(host: &str, time_ms: i64) -> HostSamples {
    let reading = PlainReading {
        subject: Subject::Node { labels: Labels::default() },
        time_ms,
        start_time_ms: 0,
        values: vec![(Field::plain(table::CPU_USAGE.def()), Cell::int(time_ms * 7))],
    };
    let mut pipeline = HostPipeline::default();
    let readings = Readings::collect(vec![reading], &Layouts::default());
    pipeline.advance(&mut Plans::default(), &Arc::new(Host::named(host)), &readings);
    pipeline.samples(&"lab".into()).unwrap()
}

async fn recalled(journal: &Journal) -> Vec<RecalledHost> {
    let mut hosts = journal.recalling().hosts().await;
    hosts.sort_by(|a, b| a.host().cmp(b.host()));
    hosts
}

fn known(host: &str, time_ms: i64) -> RecalledHost {
    RecalledHost::decode(&samples(host, time_ms).encode()).unwrap()
}

/// Of each host the newest samples are there for the next start, after an orderly stop and after a
/// crash; where the log is in memory they are not kept.
#[tokio::test]
async fn the_next_start_knows_the_newest_samples() {
    let directory = tempfile::tempdir().unwrap();
    let first = on_disk(directory.path(), 1 << 30);
    assert!(first.keeps_samples());
    assert_eq!(recalled(&first).await, []);
    for (host, time_ms) in [("a", 1), ("b", 2), ("a", 3)] {
        first.write(&Polled::Samples(samples(host, time_ms)));
    }
    first.close(Duration::from_secs(20));
    drop(first);
    let second = on_disk(directory.path(), 1 << 30);
    assert_eq!(recalled(&second).await, [known("a", 3), known("b", 2)]);
    let file_bytes = || fs::metadata(directory.path().join("counters")).unwrap().len();
    let before = file_bytes();
    second.write(&Polled::Samples(samples("b", 4)));
    super::on_disk::until("the sample is written", || file_bytes() > before);
    drop(second);
    let third = on_disk(directory.path(), 1 << 30);
    assert_eq!(recalled(&third).await, [known("a", 3), known("b", 4)]);

    let in_memory = Journal::new("i1".into(), 1 << 20);
    assert!(!in_memory.keeps_samples());
    in_memory.write(&Polled::Samples(samples("a", 1)));
    assert!(in_memory.lock().counters.is_empty());
    assert_eq!(recalled(&in_memory).await, []);
}

/// While the disk refuses, samples wait as rows do, of each host the newest: none is on disk before
/// the rows that it stands for.
#[tokio::test]
async fn samples_wait_for_a_disk_that_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("spool");
    fs::write(&directory, "in the way").unwrap();
    let journal = on_disk(&directory, 1 << 30);
    assert_eq!(recalled(&journal).await, []);
    for time_ms in 1..=3 {
        journal.write(&Polled::Samples(samples("a", time_ms)));
    }
    assert_eq!(journal.lock().counters.len(), 1);
    fs::remove_file(&directory).unwrap();
    super::on_disk::until("the disk is back", || journal.lock().counters.is_empty());
    journal.close(Duration::from_secs(20));
    drop(journal);
    assert_eq!(recalled(&on_disk(&directory, 1 << 30)).await, [known("a", 3)]);
}

/// A file of counters that is broken, or no file at all, costs no row and no start: it is as if there
/// were none.
#[tokio::test]
async fn a_broken_file_of_counters_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("counters");
    let first = on_disk(directory.path(), 1 << 30);
    first.write(&Polled::Samples(samples("a", 1)));
    first.close(Duration::from_secs(20));
    drop(first);
    let mut content = fs::read(&path).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&path, content).unwrap();
    let second = on_disk(directory.path(), 1 << 30);
    assert_eq!(recalled(&second).await, []);
    second.close(Duration::from_secs(20));
    drop(second);

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let third = on_disk(directory.path(), 1 << 30);
    assert_eq!(recalled(&third).await, []);
    write(&third, 1);
    super::on_disk::stored(&third);
    assert_eq!(third.disk_error(), None);
}

/// Where counters do not fit into their part of the spool they are not kept, and rows are.
#[tokio::test]
async fn counters_have_a_part_of_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let journal = on_disk(directory.path(), 1_000);
    for host in ["a", "b", "c", "d", "e"] {
        journal.write(&Polled::Samples(samples(host, 1)));
    }
    super::on_disk::until("it is given up", || !journal.keeps_samples());
    assert!(!directory.path().join("counters").exists());
    assert_eq!(journal.disk_error(), None);
}
