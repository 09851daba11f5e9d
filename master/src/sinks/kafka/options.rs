//! Options of the kafka sink: those of the Go Heapster 1.5, and what clusters ask for today.

use heapster_shared::{
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use serde::Deserialize;

use super::{records::Compression, sasl::Mechanism};
use crate::sinks::peer::{PeerOptions, Verification};

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// Addresses of brokers to begin with, as `host:9092`, separated by commas; may come more than
    /// once. Default: those in front of the question mark, else `127.0.0.1:9092`.
    pub(super) brokers: Vec<String>,
    /// Topic of samples. Default `heapster-metrics`.
    pub(super) timeseriestopic: String,
    /// Topic of events. Default `heapster-events`.
    pub(super) eventstopic: String,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`. Default `gzip`.
    pub(super) compression: Compression,
    /// `json`: a message a sample, as the ancestor's; `protobuf`: a message a row, by
    /// `proto/heapster/export/v1/row.proto`. Default `json`.
    pub(super) format: Format,
    /// Use TLS; so do `ca`, `cert` and `tls=skip`. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) secure: bool,
    /// Accept any certificate, as `tls=skip`. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) insecuressl: bool,
    /// How a user logs in: `plain`, `scram-sha-256` or `scram-sha-512`. Default `plain`.
    pub(super) sasl: Mechanism,
    /// Make topics that are absent. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) create_topics: bool,
    /// Partitions of topics that are made. Default: as the broker has it.
    pub(super) partitions: Option<i32>,
    /// Replicas of topics that are made. Default: as the broker has it.
    pub(super) replicas: Option<i16>,
    /// Value of the label `cluster_name`. Default: the name of the row's cluster.
    pub(super) cluster_name: Option<String>,
    /// Write events too. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) events: bool,
    /// The most that one batch of a partition carries before compression. Default `768KiB`.
    pub(super) body_bytes: ByteSize,
}

/// The form of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Protobuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            timeseriestopic: "heapster-metrics".into(),
            eventstopic: "heapster-events".into(),
            compression: Compression::default(),
            format: Format::default(),
            secure: false,
            insecuressl: false,
            sasl: Mechanism::default(),
            create_topics: true,
            partitions: None,
            replicas: None,
            cluster_name: None,
            events: true,
            body_bytes: ByteSize(768 << 10),
        }
    }
}

/// A batch has to hold a message.
const SMALLEST_BODY: usize = 16 << 10;
/// Brokers refuse longer names.
const LONGEST_TOPIC: usize = 249;
const DEFAULT_PORT: u16 = 9092;

impl Options {
    /// Takes the options of the connection and the sink's own out of a spec, and checks them; the
    /// brokers are then all that there are.
    pub(super) fn take(spec: &mut Spec) -> Result<(PeerOptions, Self), SpecError> {
        for (name, _) in &mut spec.options {
            if name == "cacert" {
                "ca".clone_into(name);
            }
        }
        let (mut peer, mut options): (PeerOptions, Self) = PeerOptions::take(spec)?;
        if options.insecuressl {
            peer.tls = Verification::Skip;
        }
        options.secure |=
            peer.ca.is_some() || peer.cert.is_some() || peer.tls == Verification::Skip;
        let wrong = |message: String| SpecError(format!("kafka: {message}"));
        options.brokers = brokers(&spec.location, &options.brokers).map_err(wrong)?;
        options.check().map_err(wrong)?;
        Ok((peer, options))
    }

    fn check(&self) -> Result<(), String> {
        let topics =
            [("timeseriestopic", &self.timeseriestopic), ("eventstopic", &self.eventstopic)];
        for (option, topic) in topics {
            let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if topic.is_empty() || topic.len() > LONGEST_TOPIC || !topic.chars().all(legal) {
                return Err(format!(
                    "{option}: `{topic}` is no name of a topic: use up to {LONGEST_TOPIC} of letters, digits, `.`, `_` and `-`"
                ));
            }
        }
        if self.partitions.is_some_and(|count| count < 1)
            || self.replicas.is_some_and(|count| count < 1)
        {
            return Err("partitions and replicas are numbers from 1 up".to_owned());
        }
        if self.body_bytes.bytes() < SMALLEST_BODY {
            return Err("body_bytes must be at least 16KiB".to_owned());
        }
        Ok(())
    }
}

fn brokers(location: &str, more: &[String]) -> Result<Vec<String>, String> {
    let listed = std::iter::once(location).chain(more.iter().map(String::as_str));
    let mut brokers: Vec<String> = Vec::new();
    for broker in listed.flat_map(|list| list.split(',')).map(str::trim) {
        if broker.is_empty() {
            continue;
        }
        let broker = broker.strip_prefix("tcp://").unwrap_or(broker).trim_end_matches('/');
        if broker.contains(['/', '@', ' ']) {
            return Err(
                "a broker is like kafka-1.lan:9092; write the account as options".to_owned()
            );
        }
        let has_port = broker.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        brokers.push(if has_port { broker.to_owned() } else { format!("{broker}:{DEFAULT_PORT}") });
    }
    if brokers.is_empty() {
        brokers.push(format!("127.0.0.1:{DEFAULT_PORT}"));
    }
    Ok(brokers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<(PeerOptions, Options), String> {
        Options::take(&mut text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_ancestors_options_work() {
        let (peer, options) = taken(
            "kafka:?brokers=a:9092&brokers=b:9093&timeseriestopic=t&eventstopic=e&\
             compression=snappy&user=u&password=p&cacert=/ca&cert=/c&key=/k",
        )
        .unwrap();
        assert_eq!(options.brokers, ["a:9092", "b:9093"]);
        assert_eq!((options.timeseriestopic.as_str(), options.eventstopic.as_str()), ("t", "e"));
        assert_eq!((options.compression, options.secure), (Compression::Snappy, true));
        assert_eq!((peer.ca, peer.user.as_str()), (Some("/ca".into()), "u"));
        let (peer, _) = taken("kafka:a?insecuressl=true").unwrap();
        assert_eq!(peer.tls, Verification::Skip);
    }

    #[test]
    fn brokers_have_a_port() {
        let brokers = |text: &str| taken(text).unwrap().1.brokers;
        assert_eq!(brokers("kafka"), ["127.0.0.1:9092"]);
        assert_eq!(brokers("kafka:a,[::1]:7?brokers=b"), ["a:9092", "[::1]:7", "b:9092"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("kafka:http://u:hunter2@h", "is like kafka-1.lan:9092"),
            ("kafka?timeseriestopic=a%20b", "`a b` is no name of a topic"),
            ("kafka?compression=brotli", "unknown variant `brotli`"),
            ("kafka?partitions=0", "from 1 up"),
            ("kafka?body_bytes=1KiB", "at least 16KiB"),
        ] {
            let error = taken(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
