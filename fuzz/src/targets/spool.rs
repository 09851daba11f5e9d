//! Files of the buddy's spool as they are found after whatever happened to the disk.

use std::{fs, path::Path};

use heapster_buddy::{
    pipeline::RecalledHost,
    spool::{
        LogFrame,
        disk::{
            Scanned, SegmentFile,
            counters::{CountersFile, HostRecord},
            scan,
        },
    },
};

use super::Target;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "spool-file", run: file, recorded: &[], made: written },
    Target { name: "counters-file", run: counters, recorded: &[], made: kept },
];

/// The bound of a file of counters.
const MOST_BYTES: u64 = 1 << 20;

/// What is good of a file and what is damaged are all of it; and what is good is so without the
/// rest, too.
fn file(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("0001.segment");
    let Some(found) = scanned(&path, input) else { return };
    let (good, length) = (found.bytes, input.len() as u64);
    assert!(found.head_bytes <= good && good <= length, "{found:?} of {length}");
    if let Some(damage) = &found.damage {
        assert_eq!(good + damage.bytes, length, "{found:?}");
    }
    let whole = usize::try_from(good).ok().and_then(|good| input.get(..good)).unwrap_or_default();
    let Some(again) = scanned(&path, whole) else {
        panic!("what was good of a file is none by itself: {found:?}");
    };
    assert!(again.damage.is_none(), "{again:?}");
    assert_eq!(told(&found), told(&again));
}

/// A file of counters is whole or none; what is whole can be gone on with, and loses no host.
fn counters(input: &[u8]) {
    // What is in a record is packed, which no change of bytes gets past.
    let _ = RecalledHost::decode(input);
    let Ok(folder) = tempfile::tempdir() else { return };
    let wrote = fs::write(folder.path().join("counters"), input);
    let Ok((mut file, found)) = wrote.and_then(|()| CountersFile::open(folder.path(), MOST_BYTES))
    else {
        return;
    };
    let mut expected = found.unwrap_or_default();
    let next = HostRecord { host: "next".into(), payload: (&b"more"[..]).into() };
    if file.append(std::slice::from_ref(&next), 0).is_err() {
        return;
    }
    expected.retain(|record| record.host != next.host);
    expected.push(next);
    let again = CountersFile::open(folder.path(), MOST_BYTES);
    let mut again = again.ok().and_then(|(_, found)| found.ok()).unwrap_or_default();
    for records in [&mut expected, &mut again] {
        records.sort_by(|a, b| a.host.cmp(&b.host));
    }
    assert_eq!(again, expected);
}

/// A file of counters with a record that does not count any more.
fn kept() -> Vec<Vec<u8>> {
    let record = |host: &str, payload: &'static [u8]| HostRecord {
        host: host.into(),
        payload: payload.into(),
    };
    let write = || {
        let folder = tempfile::tempdir().ok()?;
        let (mut file, _) = CountersFile::open(folder.path(), MOST_BYTES).ok()?;
        file.append(&[record("node-a", b"first"), record("node-b", b"")], 1).ok()?;
        file.append(&[record("node-a", b"second")], 2).ok()?;
        fs::read(folder.path().join("counters")).ok()
    };
    write().into_iter().collect()
}

fn scanned(path: &Path, content: &[u8]) -> Option<Scanned> {
    fs::write(path, content).ok()?;
    scan(path).ok()
}

/// All that is said of the good part.
fn told(scanned: &Scanned) -> String {
    let Scanned { open, head_bytes, through, numbers, records, bytes, .. } = scanned;
    format!("{open:?} {head_bytes} {through} {numbers:?} {records} {bytes}")
}

/// A file with an Open, definitions, a checkpoint, rows and events.
fn written() -> Vec<Vec<u8>> {
    let frame = |sequence, is_events, bytes: &'static [u8]| LogFrame {
        sequence,
        tick_unix_ms: 1_800_000_000_000,
        is_events,
        bytes: bytes.into(),
    };
    let write = || -> std::io::Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("0001.segment");
        let mut file = SegmentFile::create(&path, b"open")?;
        file.append_head(None, &[(&b"definitions"[..]).into()])?;
        file.append_head(Some(7), &[(&b"newest rows"[..]).into()])?;
        file.append(&[frame(0, false, b"more"), frame(8, false, b"rows"), frame(9, true, b"")])?;
        file.finish()?;
        fs::read(path)
    };
    write().into_iter().collect()
}
