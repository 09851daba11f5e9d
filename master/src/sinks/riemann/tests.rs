//! Events read by a definition of the messages of their own.

use heapster_shared::{row::Cell, schema::table};
use prost::Message;

use super::*;
use crate::sinks::samples::{SampleLines, testing};

#[derive(Clone, PartialEq, Message)]
struct ReadMessage {
    #[prost(message, repeated, tag = "6")]
    events: Vec<ReadEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadEvent {
    #[prost(int64, optional, tag = "1")]
    time: Option<i64>,
    #[prost(string, optional, tag = "2")]
    state: Option<String>,
    #[prost(string, optional, tag = "3")]
    service: Option<String>,
    #[prost(string, optional, tag = "4")]
    host: Option<String>,
    #[prost(string, optional, tag = "5")]
    description: Option<String>,
    #[prost(string, repeated, tag = "7")]
    tags: Vec<String>,
    #[prost(float, optional, tag = "8")]
    ttl: Option<f32>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<ReadAttribute>,
    #[prost(int64, optional, tag = "10")]
    time_micros: Option<i64>,
    #[prost(sint64, optional, tag = "13")]
    metric_sint64: Option<i64>,
    #[prost(double, optional, tag = "14")]
    metric_d: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct ReadAttribute {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

fn states() -> States {
    let choice = Choice { ttl: 60.0, state: "ok".into(), tags: vec!["heapster".into()] };
    States::new(choice, Arc::default())
}

fn attribute<'a>(event: &'a ReadEvent, key: &str) -> Option<&'a str> {
    let found = event.attributes.iter().find(|attribute| attribute.key == key);
    found.and_then(|attribute| attribute.value.as_deref())
}

#[test]
fn a_sample_is_an_event() {
    let fields = vec![
        Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
        Field::plain(table::NETWORK_RX_RATE.def()),
    ];
    let batch = testing::batch(fields, &[Cell::int(-7), Cell::real(0.5)]);
    let encoded = SampleLines::new(states(), 1 << 20).encode([&batch]);
    let message = ReadMessage::decode(encoded.bodies[0].text.as_slice()).unwrap();
    assert_eq!(message.events.len(), 12);
    let [.., disk, network] = message.events.as_slice() else { panic!("{message:?}") };
    assert_eq!(disk.service.as_deref(), Some("filesystem/usage"));
    assert_eq!((disk.metric_sint64, disk.metric_d), (Some(-7), None));
    assert_eq!((network.metric_sint64, network.metric_d), (None, Some(0.5)));
    assert_eq!(disk.host.as_deref(), Some("10.0.0.1"));
    assert_eq!((disk.state.as_deref(), disk.ttl), (Some("ok"), Some(60.0)));
    assert_eq!(disk.tags, ["heapster"]);
    assert_eq!(disk.time, Some(testing::TIME_MS / 1000));
    assert_eq!(disk.time_micros, Some(testing::TIME_MS * 1000));
    assert_eq!(attribute(disk, "resource_id"), Some("/"));
    assert_eq!(attribute(network, "resource_id"), None);
    assert_eq!(attribute(network, "cluster_name"), Some("lab.eu"));
    assert_eq!(attribute(network, "container_name"), Some("main"));
}

#[test]
fn an_event_of_a_cluster_is_one_too() {
    let event = Event {
        message: "back-off".into(),
        kind: "Warning".into(),
        reason: "BackOff".into(),
        object_kind: "Pod".into(),
        object_namespace: "shop".into(),
        count: 3,
        last_unix_ms: 1_795_345_201_000,
        ..Event::default()
    };
    let mut bytes = Vec::new();
    states().event("lab", &event, &mut bytes);
    let message = ReadMessage::decode(bytes.as_slice()).unwrap();
    let event = &message.events[0];
    assert_eq!(event.state.as_deref(), Some("warning"));
    assert_eq!(event.service.as_deref(), Some("BackOff"));
    assert_eq!((event.metric_sint64, event.host.as_deref()), (Some(3), None));
    assert_eq!(attribute(event, "namespace_name"), Some("shop"));
}

/// Whatever a server sends is an answer or an error.
#[test]
fn answers_are_read() {
    let told = |ok, error: Option<&str>| {
        let answer = wire::Answer { ok, error: error.map(str::to_owned) };
        wire::read_answer(&answer.encode_to_vec())
    };
    assert_eq!(told(Some(true), None), Ok(()));
    assert_eq!(told(None, None), Ok(()));
    assert_eq!(told(Some(false), Some("no")), Err("no".to_owned()));
    assert_eq!(told(Some(false), None), Err("no reason given".to_owned()));
    assert!(wire::read_answer(b"\xff\xff").unwrap_err().starts_with("it answers no message"));
    assert_eq!(wire::framed(b"abc"), b"\0\0\0\x03abc");
}
