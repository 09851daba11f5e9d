//! The influxdb sink and a real InfluxDB 1.6: what is written is what is read back.

use std::{collections::BTreeMap, sync::Arc};

use heapster_master::delivery::{EventBatch, Outcome, Payload};
use heapster_shared::event::Event;
use heapster_testkit::{
    peer::{Influxdb, InfluxdbOptions},
    real_peer,
};
use serde_json::{Number, Value};

use crate::support::{
    START_MS, SampleKey, drain, entities, expected, offer, rows, samples, settled, start, status,
    until,
};

const FAST: &str = "required=true&flush_interval=1ms&retry_first=20ms&retry_longest=200ms";

/// All that a database has, by what tells samples apart.
async fn read_back(influxdb: &Influxdb, db: &str) -> BTreeMap<SampleKey, Number> {
    let answer = influxdb.query(db, "SELECT * FROM /.*/ GROUP BY *").await.unwrap();
    let mut samples = BTreeMap::new();
    for series in answer["results"][0]["series"].as_array().into_iter().flatten() {
        let tags = series["tags"].as_object().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let tags: BTreeMap<_, _> =
            tags.map(|(k, v)| (k.clone(), text(v))).filter(|(_, v)| !v.is_empty()).collect();
        let columns: Vec<String> = series["columns"].as_array().unwrap().iter().map(text).collect();
        for row in series["values"].as_array().unwrap() {
            for (column, value) in columns.iter().zip(row.as_array().unwrap()).skip(1) {
                let Value::Number(value) = value else { continue };
                let time_ms = row[0].as_i64().unwrap();
                let key = (text(&series["name"]), column.clone(), tags.clone(), time_ms);
                assert!(samples.insert(key, value.clone()).is_none());
            }
        }
    }
    samples
}

fn assert_same(found: &BTreeMap<SampleKey, Number>, payloads: &[Payload], with_fields: bool) {
    let wanted = expected(payloads, with_fields);
    for (key, value) in &wanted {
        let found = found.get(key).unwrap_or_else(|| panic!("{key:?} is not there"));
        assert!(is_same(found, value), "{key:?}: {found}, not {value}");
    }
    assert_eq!(found.len(), wanted.len());
}

/// Integers to the last digit; doubles to the last bit but one, since the JSON reader of this test
/// is no better than that.
fn is_same(found: &Number, wanted: &Number) -> bool {
    let doubles = (found.as_f64().unwrap(), wanted.as_f64().unwrap());
    match wanted.as_i64() {
        Some(wanted) => found.as_i64() == Some(wanted),
        None => (doubles.0 - doubles.1).abs() <= f64::EPSILON * doubles.1.abs(),
    }
}

/// Every value, tag and time, in both schemas, with labels full of commas, spaces, quotes and
/// backslashes; the databases are made by the sink. Written twice, there are no duplicates.
#[actix::test]
async fn what_is_written_is_read_back() {
    let influxdb = real_peer!(Influxdb::start());
    let entities = entities();
    let payloads: Vec<Payload> = (0..4).map(|number| rows(&entities, number)).collect();
    for (db, with_fields) in [("k8s", false), ("with \"fields\"", true)] {
        let url = influxdb.url();
        let mut spec = heapster_shared::spec::Spec {
            kind: "influxdb".into(),
            location: url,
            options: vec![("db".into(), db.into())],
        };
        spec.options.push(("withfields".into(), with_fields.to_string()));
        let sink = start(&format!("{spec}&{FAST}"));
        for _ in 0..2 {
            for payload in &payloads {
                let outcome = settled(offer(&sink, payload.clone()).await).await;
                assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
            }
            assert_same(&read_back(&influxdb, db).await, &payloads, with_fields);
        }
    }
}

/// Integers are integers and doubles doubles, as in the databases that the Go Heapster wrote.
#[actix::test]
async fn fields_have_the_ancestors_types() {
    let influxdb = real_peer!(Influxdb::start());
    let sink = start(&format!("influxdb:{}?{FAST}", influxdb.url()));
    assert_eq!(settled(offer(&sink, rows(&entities(), 1)).await).await, Outcome::Delivered);
    let answer = influxdb.query("k8s", "SHOW FIELD KEYS").await.unwrap();
    let series = answer["results"][0]["series"].as_array().unwrap();
    let types: BTreeMap<&str, &str> = series
        .iter()
        .map(|series| (series["name"].as_str().unwrap(), series["values"][0][1].as_str().unwrap()))
        .collect();
    assert_eq!(types["cpu/usage"], "integer");
    assert_eq!(types["cpu/usage_rate"], "integer");
    assert_eq!(types["filesystem/usage"], "integer");
    assert_eq!(types["network/rx_rate"], "float");
    assert_eq!(types["uptime"], "integer");
}

/// Events of one pod and second, told twice, and one whose text is hard to write.
fn events() -> Payload {
    let event = |uid: &str, reason: &str, message: &str| Event {
        uid: uid.into(),
        last_unix_ms: START_MS,
        count: 2,
        kind: "Normal".into(),
        reason: reason.into(),
        message: message.into(),
        object_kind: "Pod".into(),
        object_namespace: "default".into(),
        object_name: "web-1".into(),
        host: "node-a".into(),
        ..Event::default()
    };
    let events = vec![
        event("u1", "Pulled", "pulled"),
        event("u2", "Created", "created"),
        event("u3", "Created", "C:\\ says \"größe\", a=b\\"),
    ];
    Payload::Events(Arc::new(EventBatch { cluster: "lab".into(), events }))
}

/// The rows of a query, each with its tags' values as the query names them.
async fn select(influxdb: &Influxdb, statement: &str) -> Vec<Vec<Value>> {
    let answer = influxdb.query("k8s", statement).await.unwrap();
    let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row.as_array().unwrap()[1..].to_vec()).collect()
}

/// In both shapes each event is a point of its own, the same one when it is written again, beside
/// rows of the same write; where events are not wanted none is.
#[actix::test]
async fn events_are_read_back() {
    let influxdb = real_peer!(Influxdb::start());
    let shapes = [
        ("withfields=false", "SELECT value, pod_name, hostname FROM \"log/events\""),
        ("withfields=true", "SELECT message, reason, count, event_uid, kind FROM events"),
        ("events=false&withfields=true", "SELECT message FROM events"),
    ];
    for (options, statement) in shapes {
        influxdb.query("", "DROP DATABASE k8s").await.unwrap();
        let sink = start(&format!("influxdb:{}?{options}&{FAST}", influxdb.url()));
        for payload in [rows(&entities(), 0), events(), events()] {
            assert_eq!(settled(offer(&sink, payload).await).await, Outcome::Delivered);
        }
        let mut found = select(&influxdb, statement).await;
        found.sort_by_key(|row| row[0].to_string());
        if options.starts_with("events=false") {
            assert_eq!(found, Vec::<Vec<Value>>::new());
            continue;
        }
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(!select(&influxdb, "SELECT * FROM /.*emory.*/").await.is_empty());
        let Payload::Events(wanted) = events() else { unreachable!() };
        for event in &wanted.events {
            let is_it = |row: &&Vec<Value>| {
                let message = row[0].as_str().unwrap();
                let value: Value = serde_json::from_str(message).unwrap_or_default();
                message == event.message || value["message"] == event.message.as_str()
            };
            let row = found.iter().find(is_it).unwrap_or_else(|| panic!("{event:?}: {found:?}"));
            match options {
                "withfields=false" => assert_eq!(row[1..], ["web-1", "node-a"]),
                _ => {
                    let reason = event.reason.as_str();
                    let (count, uid) = (Value::from(2), event.uid.as_str());
                    assert_eq!(row[1..], [reason.into(), count, uid.into(), "Pod".into()]);
                }
            }
        }
    }
}

async fn default_policy(influxdb: &Influxdb, db: &str) -> (String, String) {
    let statement = format!("SHOW RETENTION POLICIES ON \"{db}\"");
    let answer = influxdb.query(db, &statement).await.unwrap();
    let policies = answer["results"][0]["series"][0]["values"].as_array().unwrap().clone();
    let default = policies.iter().find(|policy| policy[4] == true).unwrap();
    (default[1].as_str().unwrap().to_owned(), default[2].as_str().unwrap().to_owned())
}

/// Retention is applied to a new database and to one that is there, whose samples stay in sight;
/// without the option a database keeps what it has.
#[actix::test]
async fn retention_is_applied() {
    let influxdb = real_peer!(Influxdb::start());
    let now = rows_of_now();
    let payload = now.clone();
    for (retention, duration, shards) in
        [("0", "0s", "168h0m0s"), ("30d", "720h0m0s", "24h0m0s"), ("24h", "24h0m0s", "1h0m0s")]
    {
        let sink = start(&format!("influxdb:{}?retention={retention}&{FAST}", influxdb.url()));
        let outcome = settled(offer(&sink, payload.clone()).await).await;
        assert_eq!(outcome, Outcome::Delivered, "{:?}", status(&sink).await);
        let found = default_policy(&influxdb, "k8s").await;
        assert_eq!(found, (duration.to_owned(), shards.to_owned()));
        assert_same(&read_back(&influxdb, "k8s").await, std::slice::from_ref(&now), false);
    }
}

/// Rows of this minute, which no retention policy drops.
fn rows_of_now() -> Payload {
    let now_ms = heapster_shared::tick::unix_ms();
    rows(&entities(), (now_ms - crate::support::START_MS) / 15_000)
}

/// Killed without warning while batches come in, and started again: every batch is there once.
#[actix::test]
async fn nothing_is_lost_when_the_database_is_killed() {
    let mut influxdb = real_peer!(Influxdb::start());
    let sink = start(&format!("influxdb:{}?{FAST}&batch_samples=1", influxdb.url()));
    let entities = entities();
    let payloads: Vec<Payload> = (0..60).map(|number| rows(&entities, number)).collect();
    let mut outcomes = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        outcomes.push(offer(&sink, payload.clone()).await);
        match number {
            20 => {
                until(&sink, |status| status.delivered > 0).await;
                influxdb.kill().unwrap();
            }
            40 => {
                until(&sink, |status| status.retries > 0).await;
                influxdb.start().await.unwrap();
            }
            _ => {}
        }
    }
    for outcome in outcomes {
        assert_eq!(settled(outcome).await, Outcome::Delivered);
    }
    assert_same(&read_back(&influxdb, "k8s").await, &payloads, false);
    let status = status(&sink).await;
    assert_eq!((status.delivered, status.rejected), (status.accepted, 0));
    assert!(status.retries > 0);
    drain(&sink, crate::support::PATIENCE).await;
}

/// A database that hangs with its connections open is noticed by the timeout.
#[actix::test]
async fn a_frozen_database_is_waited_out() {
    let influxdb = real_peer!(Influxdb::start());
    let sink = start(&format!("influxdb:{}?{FAST}&timeout=300ms", influxdb.url()));
    assert_eq!(settled(offer(&sink, rows(&entities(), 0)).await).await, Outcome::Delivered);
    influxdb.freeze().unwrap();
    let outcome = offer(&sink, rows(&entities(), 1)).await;
    let held = until(&sink, |status| status.retries > 0).await;
    assert!(held.last_error.contains("no answer within 300ms"), "{}", held.last_error);
    influxdb.thaw().unwrap();
    assert_eq!(settled(outcome).await, Outcome::Delivered);
}

/// One measurement whose type another program has set is refused; the rest of the batch is taken,
/// and the counts are exact.
#[actix::test]
async fn a_partial_write_is_counted() {
    let influxdb = real_peer!(Influxdb::start());
    influxdb.query("", "CREATE DATABASE k8s").await.unwrap();
    let payload = rows(&entities(), 0);
    // The same shard, or the types would not clash.
    let select = format!("memory/usage,a=b value=1.5 {}", crate::support::START_MS);
    let client = heapster_testkit::peer::http_client().unwrap();
    let url = format!("{}/write?db=k8s&precision=ms", influxdb.url());
    assert!(client.post(url).body(select).send().await.unwrap().status().is_success());

    let sink = start(&format!("influxdb:{}?{FAST}", influxdb.url()));
    assert_eq!(settled(offer(&sink, payload.clone()).await).await, Outcome::Delivered);
    let status = status(&sink).await;
    assert_eq!((status.rejected, status.delivered), (3, samples(&payload) - 3));
    assert!(status.last_error.contains("field type conflict"), "{}", status.last_error);
    assert_eq!(read_back(&influxdb, "k8s").await.len() as u64, samples(&payload) - 3 + 1);
}

/// A wrong password is one sentence that says what to do and does not tell the password; nothing is
/// lost meanwhile. An account that may only write needs no right to create.
#[actix::test]
async fn a_wrong_password_is_said_and_waited_for() {
    let account = Some(("root".to_owned(), "hunter2".to_owned()));
    let influxdb = real_peer!(Influxdb::start_with(InfluxdbOptions { account }));
    for statement in [
        "CREATE DATABASE k8s",
        "CREATE USER writer WITH PASSWORD 'old'",
        "GRANT WRITE ON k8s TO writer",
    ] {
        influxdb.query("", statement).await.unwrap();
    }
    let url = influxdb.url();
    let nobody = start(&format!("influxdb:{url}?{FAST}"));
    drop(offer(&nobody, rows(&entities(), 0)).await);
    let error = until(&nobody, |status| status.retries > 0).await.last_error;
    assert!(error.contains("without an account") && error.contains("give user=NAME"), "{error}");

    let sink = start(&format!("influxdb:{url}?user=writer&pw=swordfish&{FAST}"));
    let outcome = offer(&sink, rows(&entities(), 0)).await;
    let error = until(&sink, |status| status.retries > 0).await.last_error;
    let wanted =
        format!("InfluxDB at {url} refuses user `writer`: authorization failed; check user=");
    assert!(error.starts_with(&wanted) && !error.contains("swordfish"), "{error}");
    influxdb.query("", "SET PASSWORD FOR writer = 'swordfish'").await.unwrap();
    assert_eq!(settled(outcome).await, Outcome::Delivered);
    assert!(!read_back(&influxdb, "k8s").await.is_empty());
}
