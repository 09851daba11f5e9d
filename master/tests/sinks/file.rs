//! The `file` sink with files that are rotated, torn and compressed.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use heapster_master::delivery::Outcome;
use serde_json::Value;

use crate::support::{entities, offer, rows, samples, settled, start, status, until};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";

/// All lines of all files of a folder, compressed ones as gzip itself reads them.
fn lines(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let text = files.iter().map(|file| match file.extension().is_some_and(|ext| ext == "gz") {
        true => {
            let output = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        }
        false => fs::read_to_string(file).unwrap(),
    });
    let text: String = text.collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Over many rotations no line is lost, twice or torn, and files are compressed beside the writing.
#[actix::test]
async fn rotation_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let options = "rotate_bytes=64KiB&keep=1000&gzip=true&fsync=always&batch_samples=1";
    let sink = start(&format!("file:{}?{options}&{FAST}", path.display()));
    let entities = entities();
    let mut offered = 0;
    for number in 0..150 {
        let payload = rows(&entities, number);
        offered += samples(&payload);
        assert_eq!(settled(offer(&sink, payload).await).await, Outcome::Delivered);
    }
    let files = || fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let compressed = || files().filter(|file| file.extension().is_some_and(|ext| ext == "gz"));
    assert!(files().count() > 2, "it was too little to tell");
    until(&sink, |_| {
        compressed().count() > 0
            && !files().any(|file| file.extension().is_some_and(|ext| ext == "part"))
    })
    .await;
    let lines = lines(folder.path());
    let written: u64 =
        lines.iter().map(|line| line["samples"].as_array().unwrap().len() as u64).sum();
    assert_eq!(written, offered);
    let distinct: BTreeSet<String> = lines.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), lines.len());
    assert_eq!(status(&sink).await.delivered, offered);
}

/// A program that was killed in the middle of a line leaves no half of it before the next.
#[actix::test]
async fn a_torn_line_is_written_again_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let payload = rows(&entities(), 0);
    let sink = start(&format!("file:{}?{FAST}", path.display()));
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 40]).unwrap();
    assert_eq!(settled(offer(&sink, payload).await).await, Outcome::Delivered);
    assert_eq!(lines(folder.path()).len(), 3 + 3 - 1);
}

/// What is in the way of a file is waited for, as it can be put right: here a device has its place.
#[actix::test]
async fn what_is_no_file_is_waited_for() {
    let sink = start(&format!("file:/dev/full?{FAST}"));
    let _outcome = offer(&sink, rows(&entities(), 0)).await;
    let state = until(&sink, |state| state.retries >= 2).await;
    assert!(state.last_error.starts_with("cannot write to /dev/full: it is no file"), "{state:?}");
    assert_eq!((state.state.as_str(), state.delivered), ("retrying", 0));
}
