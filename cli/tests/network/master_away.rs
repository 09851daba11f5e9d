//! Nothing is lost while the master or the database is away: every row that the buddy polled is in
//! a real InfluxDB in the end, once.

use heapster_testkit::{peer::Influxdb, process::Process, real_peer};
use serde_json::Value;

use crate::support::{Lab, Master, SOON, cut_off, eventually, rounds};

/// What each node, pod and container has in each row.
pub(crate) const EVERYWHERE: &str = "memory/usage";

/// Waits until the buddy has polled so many rounds more.
pub(crate) fn more_rounds(buddy: &Process, count: usize) {
    let before = rounds(&buddy.output()).len();
    let enough = || (rounds(&buddy.output()).len() >= before + count).then_some(());
    eventually(enough, || buddy.output());
}

/// Points of each series of a metric, of all that a buddy polls.
async fn counts(influxdb: &Influxdb, metric: &str) -> Vec<(Value, usize)> {
    let statement = format!(
        "SELECT COUNT(value) FROM \"{metric}\" WHERE type =~ /^(node|pod|pod_container)$/ GROUP BY *"
    );
    let Ok(answer) = influxdb.query("k8s", &statement).await else { return Vec::new() };
    let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
    let count = |one: &Value| usize::try_from(one["values"][0][1].as_u64().unwrap()).unwrap();
    series.iter().map(|one| (one["tags"].clone(), count(one))).collect()
}

pub(crate) async fn total(influxdb: &Influxdb, metric: &str) -> usize {
    counts(influxdb, metric).await.iter().map(|(_, count)| count).sum()
}

/// Waits until the database has this many rows.
pub(crate) async fn wait_for_rows(
    influxdb: &Influxdb,
    wanted: usize,
    describe: impl Fn() -> String,
) {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let found = total(influxdb, EVERYWHERE).await;
        if found >= wanted {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{found} of {wanted} rows:\n{}", describe());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// The database has exactly the rows that the buddy polled, of each thing as many as there were
/// rounds, and a rate for each but the first.
pub(crate) async fn assert_all_there(influxdb: &Influxdb, buddy: &Process, master: &Master) {
    let polled = rounds(&buddy.output());
    let rows: usize = polled.iter().map(|round| round.rows).sum();
    let said = || format!("{}\n{}", buddy.output(), master.process.output());
    wait_for_rows(influxdb, rows, said).await;
    let usage = counts(influxdb, EVERYWHERE).await;
    let rates = counts(influxdb, "cpu/usage_rate").await;
    assert_eq!(usage.iter().map(|(_, count)| count).sum::<usize>(), rows, "{}", said());
    let ticks = polled.iter().filter(|round| round.rows > 0).count();
    if polled.iter().all(|round| round.failed == 0) {
        assert!(usage.iter().all(|(_, count)| *count == ticks), "{ticks} ticks: {usage:?}");
    }
    assert_eq!(rates.len(), usage.len());
    for ((thing, rates), (_, samples)) in rates.iter().zip(&usage) {
        assert_eq!(rates + 1, *samples, "rates of {thing}");
    }
}

pub(crate) fn sink(influxdb: &Influxdb) -> String {
    let options = "db=k8s&required=true&flush_interval=100ms&retry_first=100ms&retry_longest=1s";
    format!("influxdb:{}?{options}", influxdb.url())
}

/// The master is cut off and started again, and then the database is: the buddy keeps what is not
/// acknowledged, reconnects by itself, and sends it again; what the database has twice is the same
/// point.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_master_or_database_are_cut_off() {
    let mut influxdb = real_peer!(Influxdb::start());
    let lab = Lab::start(2, 2, 2).await;
    let mut master = Master::start(&["--sink", &sink(&influxdb)]);
    let mut buddy = lab.buddy(&master, "lab", &["--host-timeout", "900ms"]);
    let rows_at_first = 20;
    wait_for_rows(&influxdb, rows_at_first, || master.process.output()).await;

    cut_off(&mut master.process);
    more_rounds(&buddy, 3);
    master.start_again();
    master.api().validate_says("): connected");
    more_rounds(&buddy, 2);

    influxdb.kill().unwrap();
    more_rounds(&buddy, 3);
    master.api().validate_says("retrying");
    influxdb.start().await.unwrap();
    let rows: usize = rounds(&buddy.output()).iter().map(|round| round.rows).sum();
    wait_for_rows(&influxdb, rows, || master.process.output()).await;

    assert!(buddy.terminate(SOON).unwrap().success(), "{}", buddy.output());
    assert!(!buddy.output().contains("are lost"), "{}", buddy.output());
    assert_all_there(&influxdb, &buddy, &master).await;
    master.api().validate_says("buddy");
    assert!(master.process.terminate(SOON).unwrap().success(), "{}", master.process.output());
}
