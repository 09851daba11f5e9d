//! Files of the buddy's spool as they are found after whatever happened to the disk.

use std::fs;

use heapster_buddy::spool::disk;

use super::Target;

pub(super) const TARGETS: &[Target] =
    &[Target { name: "spool-file", run: file, recorded: &[], made: written }];

/// A file is read as it was written, or set aside; and nothing is read that is not in it.
fn file(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if fs::write(folder.path().join("0001.segment"), input).is_err() {
        return;
    }
    let segments = match disk::read_all(folder.path()) {
        Ok(segments) => segments,
        Err(error) => panic!("a broken file is no reason to give up: {error}"),
    };
    for segment in segments {
        let bytes: usize = segment.records.iter().map(|record| record.len() + 4).sum();
        assert!(bytes <= input.len(), "{bytes} bytes of {}", input.len());
        let records = segment.records.iter().map(|record| &record[..]);
        let Ok(again) = disk::write(folder.path(), "0002", records) else { continue };
        assert_eq!(fs::read(again).unwrap_or_default(), input, "written again it is another file");
    }
}

fn written() -> Vec<Vec<u8>> {
    let records: [&[u8]; 3] = [b"open", b"a frame", b""];
    let write = || -> std::io::Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        fs::read(disk::write(folder.path(), "0001", records.into_iter())?)
    };
    write().into_iter().collect()
}
