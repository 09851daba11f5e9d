//! The recorded `/stats/summary` as readings, said as plainly as it can be.

use std::sync::Arc;

use heapster_buddy::source::{PlainReading, PodName, Subject};
use heapster_shared::{
    entity::Labels,
    row::Cell,
    schema::{Field, Kind, MetricId, table},
};
use jiff::Timestamp;
use serde_json::Value;

const SUMMARY: &str = include_str!("../../testdata/enrichment/stats-summary.json");

/// The readings so many seconds after the recording, all counters one a millisecond further.
pub(crate) fn readings(later_s: i64) -> Vec<PlainReading> {
    let summary: Value = serde_json::from_str(SUMMARY).unwrap();
    let mut readings = Vec::new();
    for pod in items(&summary, "/pods") {
        of_pod(pod, &mut readings);
    }
    for container in items(&summary, "/node/systemContainers") {
        let (name, uid) = (text(container, "/name").into(), "".into());
        let subject = Subject::SysContainer { name, uid, labels: Labels::default() };
        readings.push(reading(subject, container, &[]));
    }
    let node = &summary["node"];
    let subject = Subject::Node { labels: Labels::default() };
    readings.push(reading(subject, node, &[("/", &node["fs"])]));
    readings.iter_mut().for_each(|reading| pass(reading, later_s * 1000));
    readings
}

fn of_pod(pod: &Value, readings: &mut Vec<PlainReading>) {
    let [namespace, name, uid] =
        ["namespace", "name", "uid"].map(|word| text(pod, &format!("/podRef/{word}")).into());
    let named = Arc::new(PodName { namespace, name, uid });
    let volumes: Vec<(String, &Value)> = items(pod, "/volume")
        .map(|volume| (format!("Volume:{}", text(volume, "/name")), volume))
        .collect();
    let volumes: Vec<(&str, &Value)> = volumes.iter().map(|(name, it)| (&**name, *it)).collect();
    let subject = Subject::Pod { pod: named.clone(), labels: Labels::default() };
    let mut whole = reading(subject, pod, &volumes);
    // CPU and memory of a pod are sums.
    whole.values.retain(|(field, _)| {
        let name = field.metric.name();
        !name.starts_with("cpu/") && !name.starts_with("memory/")
    });
    readings.push(whole);
    for container in items(pod, "/containers") {
        let (name, labels) = (text(container, "/name").into(), Labels::default());
        let subject = Subject::PodContainer { pod: named.clone(), name, uid: "".into(), labels };
        let disks = [("/", &container["rootfs"]), ("logs", &container["logs"])];
        readings.push(reading(subject, container, &disks));
    }
}

fn reading(subject: Subject, stats: &Value, filesystems: &[(&str, &Value)]) -> PlainReading {
    let mut values = Vec::new();
    for (metric, path) in [
        (table::CPU_USAGE, "/cpu/usageCoreNanoSeconds"),
        (table::MEMORY_USAGE, "/memory/usageBytes"),
        (table::MEMORY_WORKING_SET, "/memory/workingSetBytes"),
        (table::MEMORY_RSS, "/memory/rssBytes"),
        (table::MEMORY_PAGE_FAULTS, "/memory/pageFaults"),
        (table::MEMORY_MAJOR_PAGE_FAULTS, "/memory/majorPageFaults"),
        (table::NETWORK_RX, "/network/rxBytes"),
        (table::NETWORK_RX_ERRORS, "/network/rxErrors"),
        (table::NETWORK_TX, "/network/txBytes"),
        (table::NETWORK_TX_ERRORS, "/network/txErrors"),
    ] {
        let value = number(stats, path);
        values.extend(value.map(|value| (Field::plain(metric.def()), value)));
    }
    for (resource, stats) in filesystems {
        for (metric, path) in [
            (table::FILESYSTEM_USAGE, "/usedBytes"),
            (table::FILESYSTEM_LIMIT, "/capacityBytes"),
            (table::FILESYSTEM_AVAILABLE, "/availableBytes"),
            (table::FILESYSTEM_INODES, "/inodes"),
            (table::FILESYSTEM_INODES_FREE, "/inodesFree"),
        ] {
            let field = |metric: MetricId| Field::resource(metric.def(), resource);
            values.extend(number(stats, path).map(|value| (field(metric), value)));
        }
    }
    let time_ms = time(stats, "/cpu/time").unwrap();
    let start_time_ms = time(stats, "/startTime").unwrap();
    PlainReading { subject, time_ms, start_time_ms, values }
}

fn pass(reading: &mut PlainReading, later_ms: i64) {
    reading.time_ms += later_ms;
    for (field, cell) in &mut reading.values {
        let is_steady = field.metric.name().ends_with("major_page_faults");
        if field.metric.kind() == Kind::Cumulative && !is_steady {
            *cell = Cell::int(cell.as_int().unwrap() + later_ms);
        }
    }
}

fn items<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap()
}

fn number(value: &Value, path: &str) -> Option<Cell> {
    value.pointer(path).and_then(Value::as_i64).map(Cell::int)
}

fn time(value: &Value, path: &str) -> Option<i64> {
    let time: Timestamp = value.pointer(path)?.as_str()?.parse().unwrap();
    Some(time.as_millisecond())
}
