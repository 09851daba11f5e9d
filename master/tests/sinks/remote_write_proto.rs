//! The messages of remote write as their specifications have them, for reading what the sink wrote.

use std::collections::BTreeMap;

use heapster_testkit::peer::FakeRequest;
use prost::Message;

/// `prometheus.WriteRequest`, version 1.0.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricMetadata {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(string, tag = "2")]
    pub(crate) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(crate) help: String,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

/// `io.prometheus.write.v2.Request`, version 2.0.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(string, repeated, tag = "4")]
    pub(crate) symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<TimeSeriesTwo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeriesTwo {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, optional, tag = "5")]
    pub(crate) metadata: Option<MetadataTwo>,
    #[prost(int64, tag = "6")]
    pub(crate) created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetadataTwo {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(uint32, tag = "3")]
    pub(crate) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) unit_ref: u32,
}

/// The value of a marker.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Labels of a series, its name among them.
pub(crate) type Labels = BTreeMap<String, String>;

/// A sample as a receiver reads it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Received {
    pub(crate) labels: Labels,
    pub(crate) time_ms: i64,
    pub(crate) value: f64,
    /// Of version 2.0: type, help, unit and creation.
    pub(crate) about: Option<(i32, String, String, i64)>,
}

impl Received {
    pub(crate) fn is_marker(&self) -> bool {
        self.value.to_bits() == STALE
    }
}

/// Whether a request says that it is of version 2.0, in each of the places that have to agree.
pub(crate) fn is_two(request: &FakeRequest) -> bool {
    let header = |name: &str| request.headers[name].to_str().unwrap();
    assert_eq!((request.method.as_str(), header("content-encoding")), ("POST", "snappy"));
    let (version, content) = (header("x-prometheus-remote-write-version"), header("content-type"));
    match version {
        "0.1.0" => assert_eq!(content, "application/x-protobuf"),
        "2.0.0" => {
            assert_eq!(content, "application/x-protobuf;proto=io.prometheus.write.v2.Request");
        }
        other => panic!("no version: {other}"),
    }
    version == "2.0.0"
}

/// What a request carries; panics where it breaks a rule of the specification.
pub(crate) fn read(request: &FakeRequest) -> (Vec<Received>, Vec<MetricMetadata>) {
    let bytes = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    if is_two(request) {
        return (read_two(Request::decode(bytes.as_slice()).unwrap()), Vec::new());
    }
    let WriteRequest { timeseries, metadata } = WriteRequest::decode(bytes.as_slice()).unwrap();
    let received = timeseries.into_iter().map(|series| {
        let labels = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
        received(labels, &series.samples, None)
    });
    (received.collect(), metadata)
}

fn read_two(request: Request) -> Vec<Received> {
    let Request { symbols, timeseries } = request;
    assert_eq!(symbols[0], "", "the first symbol is empty");
    let symbol = |number: &u32| symbols[*number as usize].clone();
    let received = timeseries.iter().map(|series| {
        let (pairs, rest) = series.labels_refs.as_chunks::<2>();
        assert!(rest.is_empty(), "names and values in turn");
        let labels = pairs.iter().map(|[name, value]| (symbol(name), symbol(value))).collect();
        let about = series.metadata.as_ref().unwrap();
        let about = (
            about.kind,
            symbol(&about.help_ref),
            symbol(&about.unit_ref),
            series.created_timestamp,
        );
        received(labels, &series.samples, Some(about))
    });
    received.collect()
}

fn received(
    labels: Vec<(String, String)>,
    samples: &[Sample],
    about: Option<(i32, String, String, i64)>,
) -> Received {
    let [sample] = samples else { panic!("{} samples", samples.len()) };
    assert!(labels.is_sorted_by(|one, next| one.0 < next.0), "not sorted: {labels:?}");
    for (name, value) in &labels {
        assert!(!value.is_empty() && is_legal(name), "{name}={value}");
    }
    let labels: Labels = labels.into_iter().collect();
    assert!(is_legal(&labels["__name__"]), "{labels:?}");
    Received { labels, time_ms: sample.timestamp, value: sample.value, about }
}

fn is_legal(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
