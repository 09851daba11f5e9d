//! The opentsdb sink and a real VictoriaMetrics, which takes the same points.

use std::collections::BTreeMap;

use heapster_master::delivery::{Outcome, Payload};
use heapster_testkit::{peer::VictoriaMetrics, real_peer};

use crate::support::{entities, offer, rows, settled, start, status};

/// Name, container, resource and time of a sample, and its value.
type Samples = BTreeMap<(String, String, String, i64), f64>;

fn wanted(payloads: &[Payload]) -> Samples {
    let mut samples = Samples::new();
    for payload in payloads {
        let Payload::Rows(batch) = payload else { panic!("{payload:?}") };
        for row in batch.blocks[0].rows() {
            let container = match row.head.entity.name.as_str() {
                "node-a" => String::new(),
                name => name.replace(' ', "_"),
            };
            for (field, cell) in row.samples() {
                let counter = field.metric.kind() == heapster_shared::schema::Kind::Cumulative;
                let kind = if counter { "cumulative" } else { "gauge" };
                let name = format!("{}_{kind}", field.metric.name().replace('/', "_"));
                let labels = field.labels.iter().flat_map(|labels| labels.iter());
                let resource: String = labels.map(|(_, value)| value).collect();
                let resource = resource.replace([':', ' '], "_");
                let value = cell.to_json(field.metric.value_type()).as_f64().unwrap();
                samples.insert((name, container.clone(), resource, row.head.time_ms), value);
            }
        }
    }
    samples
}

/// Every sample is there with its labels, labelled ones too; written twice, it is there once.
#[actix::test]
async fn points_are_there() {
    let victoria = real_peer!(VictoriaMetrics::start());
    let options = "required=true&flush_interval=1ms&cluster=lab";
    let sink = start(&format!("opentsdb:{}?{options}", victoria.opentsdb_url()));
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities(), number)).collect();
    for payload in payloads.iter().chain(&payloads[..1]) {
        let outcome = settled(offer(&sink, payload.clone()).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
    }
    let mut found = Samples::new();
    for series in victoria.export("{__name__!=\"\"}").await.unwrap() {
        let label = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!((label("cluster"), label("nodename")), ("lab".into(), "node-a".into()));
        let times = series["timestamps"].as_array().unwrap();
        for (time, value) in times.iter().zip(series["values"].as_array().unwrap()) {
            let key = (
                label("__name__"),
                label("container_name"),
                label("resource_id"),
                time.as_i64().unwrap(),
            );
            found.insert(key, value.as_f64().unwrap());
        }
    }
    let wanted = wanted(&payloads);
    for (key, value) in &wanted {
        let found = found.get(key).unwrap_or_else(|| panic!("{key:?} is not in {found:#?}"));
        // It keeps twelve decimal digits, not the bits of a double.
        assert!((found - value).abs() <= value.abs() * 1e-11, "{key:?}: {found}, not {value}");
    }
    assert_eq!(found.len(), wanted.len());
}
