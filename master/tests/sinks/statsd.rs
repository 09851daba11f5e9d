//! The statsd sink and a real StatsD.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use heapster_master::delivery::{Outcome, Payload};
use heapster_testkit::{peer::Statsd, real_peer};

use crate::support::{PATIENCE, entities, offer, rows, settled, start, until};

/// Each gauge has its value, a negative one too, as StatsD names it: slashes are dashes there.
#[actix::test]
async fn gauges_are_set() {
    let statsd = real_peer!(Statsd::start());
    let sink = start(&format!(
        "statsd:udp://{}?prefix=k.&max_age=0&required=true&flush_interval=1ms",
        statsd.address()
    ));
    let payload = rows(&entities(), 3);
    let Payload::Rows(batch) = &payload else { panic!("{payload:?}") };
    let places = [
        "node.node-a.arch.amd64",
        "node.node-a.namespace.default.pod.web-1.container.main.app.web.tier.a_b_c",
        "node.node-a.namespace.default.pod.web-1.container.side_car.app.web.tier.a_b_c",
    ];
    let mut wanted = BTreeMap::new();
    for (place, row) in places.iter().zip(batch.blocks[0].rows()) {
        for (field, cell) in row.samples() {
            let labels = field.labels.iter().flat_map(|labels| labels.iter());
            let resource: String = labels.map(|(_, value)| format!(".{value}")).collect();
            let resource = resource.replace([':', ' '], "_").replace('/', "-");
            let name = field.metric.name().replace('/', "-");
            let value = cell.to_json(field.metric.value_type()).as_f64().unwrap();
            wanted.insert(format!("k.{place}.{name}{resource}"), value);
        }
    }
    assert!(wanted.values().any(|value| *value < 0.0));
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let gauges: BTreeMap<String, f64> = statsd.gauges().await.unwrap();
        let ours: BTreeMap<_, _> =
            gauges.into_iter().filter(|(name, _)| name.starts_with("k.")).collect();
        if ours == wanted {
            break;
        }
        assert!(Instant::now() < deadline, "{ours:#?}\nnot\n{wanted:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A protocol without times would take what waited for an hour for what is now.
#[actix::test]
async fn what_is_old_is_refused() {
    let statsd = real_peer!(Statsd::start());
    let sink = start(&format!("statsd:udp://{}?flush_interval=1ms", statsd.address()));
    drop(offer(&sink, rows(&entities(), -1000)).await);
    let status = until(&sink, |status| status.rejected > 0).await;
    assert_eq!(status.delivered, 0);
    assert!(status.last_error.contains("max_age"), "{status:?}");
}
