//! Options of the elasticsearch sink: those of the Go Heapster 1.5, and those of data streams.

use std::time::Duration;

use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use serde::Deserialize;

use crate::sinks::peer::PeerOptions;

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// More addresses of the cluster, separated by commas, to which writes go when one does not
    /// answer; may come more than once. Default none.
    nodes: Vec<String>,
    /// Data streams are `NAME-metrics` and `NAME-events`. Default `heapster`.
    data_stream: String,
    /// Write to an index a day, `NAME-2026.11.22`, instead of data streams. Default none.
    index: String,
    /// How long samples are kept: `30d`, `24h`; `0` for ever, or as a policy of the cluster has it.
    /// Used when the index template is made. Default `0`.
    retention: String,
    /// Make an index template where there is none. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    template: bool,
    /// Ingest pipeline that documents go through. Default none.
    pipeline: String,
    /// Value of the label `cluster_name`. Default: the name of the row's cluster.
    cluster_name: Option<String>,
    /// Write events too. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    events: bool,
    /// Compress what is sent. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    gzip: bool,
    /// The most that one request carries before compression. Default `4MiB`.
    body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            data_stream: "heapster".into(),
            index: String::new(),
            retention: "0".into(),
            template: true,
            pipeline: String::new(),
            cluster_name: None,
            events: true,
            gzip: true,
            body_bytes: ByteSize::mib(4),
        }
    }
}

/// What is written where, and how.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) place: Place,
    /// `None`: for ever, or as a policy of the cluster has it.
    pub(super) retention: Option<Duration>,
    pub(super) template: bool,
    pub(super) pipeline: String,
    pub(super) cluster_name: Option<String>,
    pub(super) events: bool,
    pub(super) gzip: bool,
    pub(super) body_bytes: usize,
}

/// Where documents go, by the first part of its names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Two data streams.
    Streams(String),
    /// An index a day.
    Daily(String),
}

const DEFAULT_LOCATION: &str = "http://127.0.0.1:9200";
/// What the ancestor's client needed to be told.
const WITHOUT_EFFECT: [&str; 6] =
    ["ver", "bulkWorkers", "sniff", "healthCheck", "startupHealthcheckTimeout", "maxRetries"];
const DAY: Duration = Duration::from_secs(86_400);

/// Takes the addresses, the options of the connection and the sink's own out of a spec.
pub(super) fn take(spec: &mut Spec) -> Result<(Vec<String>, PeerOptions, Settings), SpecError> {
    for (name, _) in &spec.split_off(&WITHOUT_EFFECT).options {
        tracing::warn!(option = %name, sink = %spec.name(), "this option has no effect any more");
    }
    for (name, _) in &mut spec.options {
        match name.as_str() {
            "esUserName" => "user".clone_into(name),
            "esUserSecret" => "password".clone_into(name),
            _ => {}
        }
    }
    let (peer, options): (PeerOptions, Options) = PeerOptions::take(spec)?;
    let wrong = |message: String| SpecError(format!("elasticsearch: {message}"));
    let nodes = nodes(&spec.location, &options.nodes);
    let settings = settings(options).map_err(wrong)?;
    Ok((nodes, peer, settings))
}

fn nodes(location: &str, more: &[String]) -> Vec<String> {
    let listed = std::iter::once(location).chain(more.iter().map(String::as_str));
    let mut nodes: Vec<String> = Vec::new();
    for node in listed.flat_map(|list| list.split(',')).map(str::trim) {
        if !node.is_empty() && !nodes.iter().any(|known| known == node) {
            nodes.push(node.to_owned());
        }
    }
    if nodes.is_empty() {
        nodes.push(DEFAULT_LOCATION.to_owned());
    }
    nodes
}

fn settings(options: Options) -> Result<Settings, String> {
    let place = if options.index.is_empty() {
        Place::Streams(name("data_stream", options.data_stream)?)
    } else {
        Place::Daily(name("index", options.index)?)
    };
    Ok(Settings {
        place,
        retention: retention(&options.retention)?,
        template: options.template,
        pipeline: options.pipeline,
        cluster_name: options.cluster_name,
        events: options.events,
        gzip: options.gzip,
        body_bytes: options.body_bytes.bytes(),
    })
}

/// The first part of a name of an index, by the rules that the peers have for those. The ancestor's
/// may have had capitals, which they refuse.
fn name(option: &str, name: String) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !begins || !name.chars().all(legal) || name.len() > 200 {
        return Err(format!(
            "{option}: `{name}` is no name here: begin with a letter or digit, and use a-z, 0-9, `-`, `_` and `.`"
        ));
    }
    Ok(name)
}

fn retention(text: &str) -> Result<Option<Duration>, String> {
    let days = text.strip_suffix('d').and_then(|count| count.parse::<u32>().ok());
    let duration = match days {
        Some(days) => DAY * days,
        None => units::parse_duration(text)
            .map_err(|error| format!("retention: {error}, or days as 30d"))?,
    };
    if duration.is_zero() {
        return Ok(None);
    }
    if duration < Duration::from_secs(3600) {
        return Err("retention must be 0 or at least 1h".to_owned());
    }
    Ok(Some(duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<(Vec<String>, PeerOptions, Settings), String> {
        take(&mut text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_ancestors_options_work() {
        let (nodes, peer, settings) = taken(
            "elasticsearch:?nodes=http://a:9200&nodes=http://b:9200&index=k8s&esUserName=u&\
             esUserSecret=p&ver=5&bulkWorkers=3&sniff=false&healthCheck=false&maxRetries=3&\
             startupHealthcheckTimeout=10&cluster_name=c&pipeline=x",
        )
        .unwrap();
        assert_eq!(nodes, ["http://a:9200", "http://b:9200"]);
        assert_eq!(peer.account(), "user `u`");
        assert_eq!(settings.place, Place::Daily("k8s".into()));
        assert_eq!((settings.pipeline.as_str(), settings.cluster_name), ("x", Some("c".into())));
    }

    #[test]
    fn addresses_come_from_everywhere_and_once() {
        let nodes = |text: &str| taken(text).unwrap().0;
        assert_eq!(nodes("elasticsearch:a:1, b:1?nodes=b:1,c:1"), ["a:1", "b:1", "c:1"]);
        assert_eq!(nodes("elasticsearch"), [DEFAULT_LOCATION]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("elasticsearch?index=Logs", "`Logs` is no name here"),
            ("elasticsearch?data_stream=-x", "`-x` is no name here"),
            ("elasticsearch?retention=5m", "at least 1h"),
            ("elasticsearch?retention=ever", "or days as 30d"),
            ("elasticsearch?esUserSecret=hunter2", "a password needs `user`"),
        ] {
            let error = taken(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
        let retention =
            |text: &str| taken(&format!("elasticsearch?retention={text}")).unwrap().2.retention;
        assert_eq!(retention("30d"), Some(DAY * 30));
        assert_eq!(retention("0"), None);
    }
}
