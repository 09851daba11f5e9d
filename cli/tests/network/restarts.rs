//! Rates over restarts of a buddy: they go on, and nothing is made up.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::support::{Lab, Master, SOON, cut_off, eventually, rounds};

/// Of each thing the values of a metric by time, in milliseconds.
type Series = BTreeMap<String, BTreeMap<i64, f64>>;

/// What a file of the sink `log` has of a metric, sums apart.
fn series(log: &Path, metric: &str) -> Series {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut all = Series::new();
    for row in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if matches!(row["labels"]["type"].as_str(), None | Some("ns" | "cluster")) {
            continue;
        }
        let time: jiff::Timestamp = row["time"].as_str().unwrap().parse().unwrap();
        let samples = row["samples"].as_array().into_iter().flatten();
        for sample in samples.filter(|sample| sample["metric"] == metric) {
            let values = all.entry(row["labels"].to_string()).or_default();
            values.insert(time.as_millisecond(), sample["value"].as_f64().unwrap());
        }
    }
    all
}

/// Each rate lies where the counter says, over the time since the row before: none is missing but the
/// very first, and all together are what the counter grew by. `unit` is what the counter grows by a
/// millisecond at a rate of one.
fn check(counters: &Series, rates: &Series, unit: f64) {
    assert!(!counters.is_empty());
    for (thing, totals) in counters {
        let (times, rates) = (totals.keys().copied().collect::<Vec<_>>(), &rates[thing]);
        let (mut sum, mut rounding) = (0.0, 0.0);
        for pair in times.windows(2) {
            let rate = rates.get(&pair[1]);
            let rate = rate.unwrap_or_else(|| panic!("{thing}: no rate at {}: {times:?}", pair[1]));
            let span = f64::from(u32::try_from(pair[1] - pair[0]).unwrap());
            let grown = totals[&pair[1]] - totals[&pair[0]];
            let expected = grown / span / unit;
            let is_near = (rate - expected).abs() <= expected * 0.1 + 1.0;
            assert!(is_near, "{thing}: {rate} at {}, not {expected}", pair[1]);
            sum += rate * span * unit;
            rounding += span * unit;
        }
        let all = totals[&times[times.len() - 1]] - totals[&times[0]];
        assert!((sum - all).abs() <= all * 0.02 + rounding, "{thing}: {sum}, not {all}");
    }
}

/// A buddy is stopped and started, killed and started: with a spool on disk each row but the very
/// first has its rates, at every level, and they add up to what the counters say.
#[tokio::test(flavor = "multi_thread")]
async fn rates_go_on_over_restarts() {
    let lab = Lab::start(2, 2, 2).await;
    let (log, spool) = (lab.folder.path().join("samples.log"), lab.folder.path().join("spool"));
    let sink = format!("log:{}?format=json&required=true", log.display());
    let master = Master::start(&["--sink", &sink]);
    let options = ["--resolution", "1s", "--spool", spool.to_str().unwrap()];
    for life in 0..4 {
        let mut buddy = lab.buddy(&master, "lab", &options);
        let enough = || (rounds(&buddy.output()).len() >= 4).then_some(());
        eventually(enough, || buddy.output());
        if life % 2 == 0 {
            assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
        } else {
            cut_off(&mut buddy);
        }
        assert!(!buddy.output().contains("begin anew"), "{}", buddy.output());
    }
    let cpu = || series(&log, "cpu/usage");
    let is_whole = || cpu().values().all(|times| times.len() >= 14);
    eventually(|| (!cpu().is_empty() && is_whole()).then_some(()), || format!("{:?}", cpu()));
    assert_eq!(cpu().len(), 2 + 8, "nodes and containers");
    // A millicore is a microsecond a millisecond; a byte a second is a thousandth of one.
    check(&cpu(), &series(&log, "cpu/usage_rate"), 1_000.0);
    let received = series(&log, "network/rx");
    assert_eq!(received.len(), 2, "nodes");
    check(&received, &series(&log, "network/rx_rate"), 0.001);
}

/// A file of counters that is broken is told of once, and costs the rates of the first rows.
#[tokio::test(flavor = "multi_thread")]
async fn broken_counters_cost_one_interval() {
    let lab = Lab::start(1, 1, 1).await;
    let (log, spool) = (lab.folder.path().join("samples.log"), lab.folder.path().join("spool"));
    let sink = format!("log:{}?format=json&required=true", log.display());
    let master = Master::start(&["--sink", &sink]);
    let options = ["--resolution", "1s", "--spool", spool.to_str().unwrap()];
    for life in 0..2 {
        let mut buddy = lab.buddy(&master, "lab", &options);
        let enough = || (rounds(&buddy.output()).len() >= 3).then_some(());
        eventually(enough, || buddy.output());
        assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
        let told = "the file of counters cannot be used: rates begin anew";
        assert_eq!(buddy.output().matches(told).count(), life, "{}", buddy.output());
        fs::write(spool.join("counters"), "something else").unwrap();
    }
    let (usage, rates) = (series(&log, "cpu/usage"), series(&log, "cpu/usage_rate"));
    for (thing, times) in &usage {
        assert_eq!(rates[thing].len() + 2, times.len(), "{thing}");
    }
}
