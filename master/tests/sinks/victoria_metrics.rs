//! The influxdb sink and a real VictoriaMetrics, which speaks both versions of the protocol and
//! has no databases.

use std::collections::BTreeMap;

use heapster_master::delivery::{Outcome, Payload};
use heapster_testkit::{peer::VictoriaMetrics, real_peer};

use crate::support::{entities, expected, offer, rows, settled, start, status};

type Series = BTreeMap<String, String>;

/// Name, labels and time of a sample, and its value.
type Samples = BTreeMap<(Series, i64), f64>;

async fn read_back(victoria: &VictoriaMetrics) -> Samples {
    let mut samples = Samples::new();
    for series in victoria.export("{__name__!=\"\"}").await.unwrap() {
        let labels = series["metric"].as_object().unwrap().iter();
        let labels: Series = labels
            .filter(|(name, _)| *name != "db")
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let times = series["timestamps"].as_array().unwrap();
        for (time, value) in times.iter().zip(series["values"].as_array().unwrap()) {
            let key = (labels.clone(), time.as_i64().unwrap());
            assert!(samples.insert(key, value.as_f64().unwrap()).is_none());
        }
    }
    samples
}

/// As VictoriaMetrics names them: `MEASUREMENT_FIELD`, tags as labels.
fn wanted(payloads: &[Payload]) -> Samples {
    let named = |((measurement, field, mut tags, time), value): (crate::support::SampleKey, _)| {
        tags.insert("__name__".into(), format!("{measurement}_{field}"));
        let value: serde_json::Number = value;
        ((tags, time), value.as_f64().unwrap())
    };
    expected(payloads, false).into_iter().map(named).collect()
}

async fn write_and_compare(options: &str) {
    let victoria = real_peer!(VictoriaMetrics::start());
    let options = format!("{options}&required=true&flush_interval=1ms");
    let sink = start(&format!("influxdb:{}?{options}", victoria.url()));
    // Without the labels whose backslashes it reads in its own way.
    let entities: Vec<_> = entities().into_iter().filter(|entity| entity.name != "main").collect();
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities, number)).collect();
    for payload in &payloads {
        let outcome = settled(offer(&sink, payload.clone()).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
    }
    let (found, wanted) = (read_back(&victoria).await, wanted(&payloads));
    for (key, value) in &wanted {
        let found = found.get(key).unwrap_or_else(|| panic!("{key:?} is not there"));
        // It keeps twelve decimal digits, not the bits of a double.
        assert!((found - value).abs() <= value.abs() * 1e-11, "{key:?}: {found}, not {value}");
    }
    assert_eq!(found.len(), wanted.len());
}

#[actix::test]
async fn written_by_the_api_of_version_1() {
    write_and_compare("db=k8s").await;
}

#[actix::test]
async fn written_by_the_api_of_version_2() {
    write_and_compare("org=o&bucket=b&token=t").await;
}
