//! Options of the prometheus sink.

use heapster_shared::units::{self, ByteSize};
use serde::Deserialize;

use super::Version;

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// Version of the protocol, `1` or `2`; `2` goes back to `1` when the receiver does not know it.
    /// Default `1`, which every receiver knows.
    pub(super) version: Version,
    /// Tell the receiver when series have ended. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) staleness: bool,
    /// Tenant, as Mimir, Cortex and Thanos have them: the header `X-Scope-OrgID`. Default none.
    pub(super) tenant: String,
    /// The most that one request carries before compression. Default `1MiB`.
    pub(super) body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::One,
            staleness: true,
            tenant: String::new(),
            body_bytes: ByteSize::mib(1),
        }
    }
}

/// Where to write: a location without a path gets the one that Prometheus has.
pub(super) fn location(given: &str) -> String {
    let given = if given.is_empty() { "http://127.0.0.1:9090" } else { given };
    let without_scheme = given.split_once("://").map_or(given, |(_, rest)| rest);
    match without_scheme.split_once('/') {
        Some((_, path)) if !path.is_empty() => given.to_owned(),
        _ => format!("{}/api/v1/write", given.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_given_stays() {
        for (given, location_of_it) in [
            ("", "http://127.0.0.1:9090/api/v1/write"),
            ("h:9090", "h:9090/api/v1/write"),
            ("https://h/", "https://h/api/v1/write"),
            ("https://h/api/v1/push", "https://h/api/v1/push"),
        ] {
            assert_eq!(location(given), location_of_it);
        }
    }
}
