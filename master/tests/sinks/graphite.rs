//! The graphite sink and a real carbon, whose files are read.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use heapster_master::delivery::{Outcome, Payload};
use heapster_testkit::{peer::Carbon, real_peer};

use crate::support::{PATIENCE, START_MS, entities, offer, rows, settled, start, until};

/// Paths with seconds, and the values there.
type Points = BTreeMap<(String, i64), f64>;

/// Rows of the last minute: carbon drops what is older than its files.
fn recent_rows() -> Vec<Payload> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let newest = (i64::try_from(now_ms).unwrap() - START_MS) / 15_000 - 1;
    (newest - 2..=newest).map(|number| rows(&entities(), number)).collect()
}

/// The paths of these entities, written out.
fn wanted(payloads: &[Payload]) -> Points {
    let places = [
        "nodes.node-a",
        "nodes.node-a.pods.default.web-1.containers.main",
        "nodes.node-a.pods.default.web-1.containers.side_car",
    ];
    let metrics = [
        "cpu.usage",
        "memory.usage",
        "network.rx_rate",
        "filesystem._2F.usage",
        "filesystem.Volume:a_20b.usage",
        "cpu.usage_rate",
        "uptime",
    ];
    let mut points = Points::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { panic!("{payload:?}") };
        for (place, row) in places.iter().zip(batch.blocks[0].rows()) {
            for (field, cell) in row.samples() {
                let label = field.labels.as_ref().and_then(|labels| labels.iter().next());
                let metric = metrics.iter().find(|metric| {
                    let volume = label.is_some_and(|(_, value)| value != "/");
                    let plain = metric.replace("._2F", "").replace(".Volume:a_20b", "");
                    plain.replace('.', "/") == field.metric.name()
                        && volume == metric.contains("Volume")
                });
                let metric = metric.unwrap_or_else(|| panic!("{}", field.metric.name()));
                let path = format!("kubernetes.{place}.{metric}");
                let value = cell.to_json(field.metric.value_type()).as_f64().unwrap();
                points.insert((path, row.head.time_ms / 1000), value);
            }
        }
    }
    points
}

/// What is there once as much is there as is wanted.
async fn read_back(carbon: &Carbon, wanted: usize) -> Points {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let points = carbon.points().unwrap().into_iter().flat_map(|(path, values)| {
            values.into_iter().map(move |(time, value)| ((path.clone(), time), value))
        });
        let points: Points = points.filter(|((path, _), _)| !path.starts_with("carbon.")).collect();
        if points.len() >= wanted || Instant::now() > deadline {
            return points;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All of them, and no others. serde_json reads the last bit of a double as it likes.
fn assert_same(found: &Points, wanted: &Points) {
    assert!(found.keys().eq(wanted.keys()), "{found:#?}\nnot\n{wanted:#?}");
    for (key, value) in wanted {
        assert!((found[key] - value).abs() <= value.abs() * 1e-15, "{key:?}: {}", found[key]);
    }
}

async fn write_and_compare(scheme: &str) {
    let carbon = real_peer!(Carbon::start());
    let spec = format!("graphite:{scheme}://{}?required=true&flush_interval=1ms", carbon.address());
    let sink = start(&spec);
    let payloads = recent_rows();
    for payload in &payloads {
        assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    }
    let wanted = wanted(&payloads);
    assert_same(&read_back(&carbon, wanted.len()).await, &wanted);
}

#[actix::test]
async fn written_over_tcp() {
    write_and_compare("tcp").await;
}

#[actix::test]
async fn written_over_udp() {
    write_and_compare("udp").await;
}

/// What is offered while carbon is away is there when it is back, on a connection of its own.
#[actix::test]
async fn carbon_may_be_started_again() {
    let mut carbon = real_peer!(Carbon::start());
    let options = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=50ms";
    let sink = start(&format!("graphite:tcp://{}?{options}", carbon.address()));
    let payloads = recent_rows();
    let [before, during, after] = payloads.as_slice() else { panic!("{payloads:?}") };
    assert_eq!(settled(offer(&sink, before.clone()).await).await, Outcome::Delivered);
    let first = wanted(&payloads[..1]);
    assert_same(&read_back(&carbon, first.len()).await, &first);
    carbon.stop().await.unwrap();
    let waiting = offer(&sink, during.clone()).await;
    until(&sink, |status| status.retries >= 1).await;
    carbon.start().await.unwrap();
    assert_eq!(settled(waiting).await, Outcome::Delivered);
    assert_eq!(settled(offer(&sink, after.clone()).await).await, Outcome::Delivered);
    let wanted = wanted(&payloads);
    assert_same(&read_back(&carbon, wanted.len()).await, &wanted);
}
