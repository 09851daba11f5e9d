//! The prometheus sink and a receiver written from the specifications of remote write, which keeps
//! what it reads.

use std::sync::{Arc, Mutex};

use actix::Addr;
use heapster_master::{
    actors::sink::SinkActor,
    delivery::{Outcome, Payload},
};
use heapster_shared::{entity::Entity, tick::Tick};
use heapster_testkit::peer::{FakeHttp, FakeReply, FakeRequest};

use crate::{
    remote_write::{Samples, wanted},
    remote_write_proto::{MetricMetadata, Received, is_two, read},
    support::{START_MS, entities, offer, rows, samples, settled, start, until},
};

/// What a receiver knows and how it answers.
#[derive(Clone, Copy, PartialEq)]
enum Knows {
    /// Both versions.
    Both,
    /// 1.0, and it says so.
    OneAndSays,
    /// 1.0, and it takes 2.0 for something without series.
    OneAndSwallows,
}

#[derive(Default)]
struct Got {
    received: Vec<Received>,
    metadata: Vec<MetricMetadata>,
    /// Answer so many requests with 503 first.
    failures: usize,
}

struct Receiver {
    server: FakeHttp,
    got: Arc<Mutex<Got>>,
}

impl Receiver {
    async fn start(knows: Knows) -> Self {
        let got = Arc::new(Mutex::new(Got::default()));
        let shared = Arc::clone(&got);
        let server =
            FakeHttp::start(move |request| reply(&mut shared.lock().unwrap(), knows, request));
        Self { server: server.await.unwrap(), got }
    }

    fn sink(&self, options: &str) -> Addr<SinkActor> {
        let common = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";
        start(&format!("prometheus:{}?{common}{options}", self.server.url()))
    }

    fn samples(&self) -> Samples {
        let got = self.got.lock().unwrap();
        let samples = got.received.iter().filter(|one| !one.is_marker());
        samples.map(|one| ((one.labels.clone(), one.time_ms), one.value)).collect()
    }

    fn markers(&self) -> Vec<(String, i64)> {
        let got = self.got.lock().unwrap();
        let markers = got.received.iter().filter(|one| one.is_marker());
        let mut markers: Vec<_> =
            markers.map(|one| (one.labels["__name__"].clone(), one.time_ms)).collect();
        markers.sort();
        markers
    }
}

fn reply(got: &mut Got, knows: Knows, request: &FakeRequest) -> FakeReply {
    assert_eq!(request.target, "/api/v1/write");
    if got.failures > 0 {
        got.failures -= 1;
        return FakeReply::status(503);
    }
    let is_two = is_two(request);
    match knows {
        Knows::OneAndSays if is_two => return FakeReply::status(415),
        Knows::OneAndSwallows if is_two => return FakeReply::status(204),
        _ => {}
    }
    let (received, metadata) = read(request);
    let count = received.len().to_string();
    got.received.extend(received);
    got.metadata.extend(metadata);
    let headers = if is_two {
        vec![("x-prometheus-remote-write-samples-written", count)]
    } else {
        Vec::new()
    };
    FakeReply::Answer { status: 204, headers, body: String::new() }
}

async fn deliver(sink: &Addr<SinkActor>, payload: Payload) {
    assert_eq!(settled(offer(sink, payload).await).await, Outcome::Delivered);
}

fn end(number: i64) -> Payload {
    Payload::RoundEnd { cluster: "lab".into(), tick: Tick(START_MS + number * 15_000) }
}

/// Both versions carry the same samples, also when each request is small.
#[actix::test]
async fn both_versions_carry_every_sample() {
    let entities = entities();
    let payloads: Vec<Payload> = (0..3).map(|number| rows(&entities, number)).collect();
    for options in ["", "&body_bytes=700B", "&version=2", "&version=2&body_bytes=700B"] {
        let receiver = Receiver::start(Knows::Both).await;
        let sink = receiver.sink(options);
        for payload in &payloads {
            deliver(&sink, payload.clone()).await;
        }
        assert_eq!(receiver.samples(), wanted(&payloads), "{options}");
        let status = until(&sink, |status| status.state == "ok").await;
        assert_eq!((status.delivered, status.retries), (status.accepted, 0), "{options}");
    }
}

/// Type, unit and help of every family are told: apart from the series in 1.0, with them in 2.0.
#[actix::test]
async fn families_are_described() {
    let payload = rows(&entities(), 0);
    let one = Receiver::start(Knows::Both).await;
    deliver(&one.sink(""), payload.clone()).await;
    let two = Receiver::start(Knows::Both).await;
    deliver(&two.sink("&version=2"), payload).await;

    let metadata = one.got.lock().unwrap().metadata.clone();
    let described = |name: &str| {
        let of = metadata.iter().find(|one| one.metric_family_name == name).unwrap();
        (of.kind, of.help.clone(), of.unit.clone())
    };
    let counter = described("heapster_node_cpu_usage_seconds_total");
    assert_eq!(counter, (1, "CPU time used on all cores.".into(), "seconds".into()));
    assert_eq!(described("heapster_container_memory_usage_bytes").0, 2);
    for received in &two.got.lock().unwrap().received {
        let name = &received.labels["__name__"];
        let (kind, help, unit, created) = received.about.clone().unwrap();
        assert_eq!((kind, help, unit), described(name), "{name}");
        let start = if name.ends_with("_total") { START_MS - 60_000 } else { 0 };
        assert_eq!(created, start, "{name}");
    }
}

/// A receiver that does not know 2.0 gets everything in 1.0, and no sample is lost on the way: also
/// where it takes a request of 2.0 and finds nothing in it.
#[actix::test]
async fn a_receiver_of_version_one_is_recognised() {
    let entities = entities();
    for knows in [Knows::OneAndSays, Knows::OneAndSwallows] {
        let receiver = Receiver::start(knows).await;
        let sink = receiver.sink("&version=2");
        let payloads: Vec<Payload> = (0..2).map(|number| rows(&entities, number)).collect();
        for payload in &payloads {
            deliver(&sink, payload.clone()).await;
        }
        assert_eq!(receiver.samples(), wanted(&payloads));
        let status = until(&sink, |status| status.state == "ok").await;
        assert_eq!((status.delivered, status.retries), (status.accepted, 1));
    }
}

/// A thing that two rounds lack gets one marker a series, right after its last sample; a round that
/// only one host missed, a failed write and a second sink's options change nothing of that.
#[actix::test]
async fn what_is_gone_is_marked_once() {
    let entities: Vec<Arc<Entity>> = entities();
    let receiver = Receiver::start(Knows::Both).await;
    let sink = receiver.sink("");
    let silent = receiver.sink("&staleness=false");
    for sink in [&silent, &sink] {
        deliver(sink, rows(&entities, 0)).await;
        deliver(sink, end(0)).await;
        deliver(sink, rows(&entities[..2], 1)).await;
        deliver(sink, end(1)).await;
        assert_eq!(receiver.markers(), [], "one round may miss it");
    }
    deliver(&silent, end(2)).await;
    deliver(&silent, end(3)).await;
    assert_eq!(receiver.markers(), [], "that one was told to say nothing");

    receiver.got.lock().unwrap().failures = 2;
    deliver(&sink, rows(&entities[..2], 2)).await;
    deliver(&sink, end(2)).await;
    let payload = rows(&entities, 0);
    let of_last = wanted(std::slice::from_ref(&payload));
    let gone = of_last
        .keys()
        .filter(|(labels, _)| labels.get("container_name").is_some_and(|name| name == "side car"));
    let mut marked: Vec<_> =
        gone.map(|(labels, time)| (labels["__name__"].clone(), time + 1)).collect();
    marked.sort();
    assert!(marked.len() >= 5, "{marked:?}");
    deliver(&sink, rows(&entities[..2], 3)).await;
    assert_eq!(receiver.markers(), marked);

    let status = until(&sink, |status| status.state == "ok").await;
    assert_eq!(status.delivered, status.accepted, "markers are no samples");
    assert!(samples(&payload) > 0);
}
