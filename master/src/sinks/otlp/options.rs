//! Options of the otlp sink.

use heapster_shared::units::{self, ByteSize};
use serde::Deserialize;

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// How to speak to the receiver, `http` or `grpc`. Default `http`.
    pub(super) protocol: Protocol,
    /// Compress what is sent. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) gzip: bool,
    /// The most that one request carries before compression. Default `2MiB`; receivers of gRPC
    /// refuse more than 4 MiB as a rule.
    pub(super) body_bytes: ByteSize,
}

/// How to speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// Protocol Buffers over HTTP.
    #[default]
    Http,
    /// Over gRPC.
    Grpc,
}

impl Default for Options {
    fn default() -> Self {
        Self { protocol: Protocol::Http, gzip: true, body_bytes: ByteSize::mib(2) }
    }
}

impl Protocol {
    /// Where a collector on this machine listens.
    pub(super) const fn default_location(self) -> &'static str {
        match self {
            Self::Http => "http://127.0.0.1:4318",
            Self::Grpc => "http://127.0.0.1:4317",
        }
    }
}
