//! A short run of the torture oracle; `make torture` makes long ones.

use clap::Parser as _;
use heapster_testkit::{
    peer::{Influxdb, VictoriaMetrics},
    real_peer,
    torture::{self, Options},
};

use crate::support::program;

/// Kills, stops, halts, cut and frozen ways, broken and full disks, one after the other and two at a
/// time: every row that a buddy promised is in both databases with its value, nothing else is there,
/// no rate is negative or a spike, memory stays under its ceilings, and fresh rows flow in the end.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_happens() {
    drop(real_peer!(Influxdb::start()));
    drop(real_peer!(VictoriaMetrics::start()));
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(program(), folder.path().join("heapster")).unwrap();
    let bin_dir = Some(folder.path().to_owned());
    let fixed =
        Options::parse_from(["torture", "--seed", "7", "--faults", "22", "--spool", "disk"]);
    let options = Options { bin_dir, ..fixed };
    let mut told = Vec::new();
    let report = torture::run(&options, &mut |line| told.push(line.to_owned())).await.unwrap();
    let broken = report.broken();
    assert!(broken.is_empty(), "{}\n{}\n{report}", broken.join("\n"), told.join("\n"));
    // Or nothing would have been asked for.
    assert!(report.fault_count() == 22 && report.promised_rows() > 100, "{report}");
}
