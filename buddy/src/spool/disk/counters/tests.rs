//! Tests of the file of counters.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MOST: u64 = 64 << 20;

fn record(host: &str, payload: &[u8]) -> HostRecord {
    HostRecord { host: host.into(), payload: Bytes::copy_from_slice(payload) }
}

fn found(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>, Unusable> {
    let (_, records) = CountersFile::open(directory, MOST).unwrap();
    Ok(records?.into_iter().map(|it| (it.host.to_string(), it.payload.to_vec())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever is appended, and however often the file is written anew or opened again: of each host
    /// the last record is there, and nothing else.
    #[test]
    fn the_last_record_of_each_host_is_found(
        steps in proptest::collection::vec((0..6_u8, 0..400_000_usize, any::<bool>()), 1..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = CountersFile::open(directory.path(), MOST).unwrap();
        let (mut expected, mut most) = (BTreeMap::new(), 0);
        for (host, bytes, is_reopened) in steps {
            let (host, payload) = (format!("host-{host}"), vec![host; bytes]);
            file.append(&[record(&host, &payload)], 1).unwrap();
            expected.insert(host, payload);
            most = most.max(expected.values().map(Vec::len).sum::<usize>() as u64 + 1_000);
            prop_assert!(file.bytes() <= SMALLEST_COMPACTION + 3 * most);
            if is_reopened {
                file = CountersFile::open(directory.path(), MOST).unwrap().0;
            }
        }
        prop_assert_eq!(found(directory.path()).unwrap(), expected);
    }

    /// A file that is cut short or changed anywhere is none, or has what it had: never other records.
    #[test]
    fn damage_is_seen(at in 0..120_usize, change in prop::option::of(1..=255_u8)) {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = CountersFile::open(directory.path(), MOST).unwrap();
        file.append(&[record("host-a", b"0123456789"), record("host-b", b"abc")], 1).unwrap();
        file.append(&[record("host-a", b"newer")], 2).unwrap();
        let whole = found(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        let mut content = fs::read(&path).unwrap();
        let at = at % content.len();
        match change {
            Some(change) => content[at] ^= change,
            None => content.truncate(at),
        }
        fs::write(&path, &content).unwrap();
        match found(directory.path()) {
            Err(_) => {}
            // A file that ends between two records cannot be told from a whole one.
            Ok(records) => prop_assert!(
                change.is_none() && records.iter().all(|(host, _)| whole.contains_key(host)),
                "{:?}", records
            ),
        }
    }
}

/// After damage, or where somebody else has a file of this name, a new one is begun with the next record.
#[test]
fn a_foreign_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    for foreign in ["", "heapster-counters 2\nmore", "something else"] {
        fs::write(&path, foreign).unwrap();
        let (mut file, records) = CountersFile::open(directory.path(), MOST).unwrap();
        assert!(records.is_err(), "{foreign}");
        file.append(&[record("host-a", b"new")], 1).unwrap();
        assert_eq!(found(directory.path()).unwrap().len(), 1, "{foreign}");
    }
}

/// Past its bound there is no file rather than one with a part of the hosts as they are and a part as
/// they were.
#[test]
fn a_file_has_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, _) = CountersFile::open(directory.path(), 10_000).unwrap();
    for round in 0..20 {
        file.append(&[record("host-a", &[round; 3_000])], 1).unwrap();
        assert!(file.bytes() <= 10_000);
    }
    let large = file.append(&[record("host-b", &[0; 8_000])], 1);
    assert!(matches!(large, Err(NotKept::TooLarge)), "{large:?}");
    assert!(!directory.path().join(FILE).exists());
}

/// Hosts that are gone for a day leave the file when it is written anew.
#[test]
fn hosts_that_are_gone_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, _) = CountersFile::open(directory.path(), 10_000).unwrap();
    file.append(&[record("gone", b"old")], 1).unwrap();
    for _ in 0..4 {
        file.append(&[record("host-a", &[1; 3_000])], 2 + KEPT_MS).unwrap();
    }
    assert_eq!(found(directory.path()).unwrap().into_keys().collect::<Vec<_>>(), ["host-a"]);
}
