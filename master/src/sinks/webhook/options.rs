//! Options of the webhook sink.

use std::path::PathBuf;

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::sign::Signer;
use crate::sinks::peer::{HttpPeer, PeerOptions};

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// A header of each request, as `NAME:VALUE`; may be given several times. Default none.
    pub(super) header: Vec<String>,
    /// What requests are signed with: HMAC-SHA256 of the body, as `sha256=` and hexadecimal digits.
    /// Default none.
    pub(super) secret: Secret,
    /// File with the secret instead; it is read again for each request. Default none.
    pub(super) secret_file: Option<PathBuf>,
    /// The header that the signature is in. Default `X-Heapster-Signature`.
    pub(super) signature_header: String,
    /// Send rows too. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) rows: bool,
    /// A request ends when it is as long as this. Default `256KiB`.
    pub(super) body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            header: Vec::new(),
            secret: Secret::default(),
            secret_file: None,
            signature_header: "X-Heapster-Signature".to_owned(),
            rows: false,
            body_bytes: ByteSize(256 << 10),
        }
    }
}

/// Where and how to post.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) peer: HttpPeer,
    /// What the path of the location ends with.
    pub(super) path: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) signer: Signer,
}

impl Target {
    /// Takes the options of the connection and those of requests out of a spec.
    pub(super) fn take(spec: &mut Spec) -> Result<(Self, Options), SpecError> {
        let wrong = |message: String| SpecError(format!("webhook: {message}"));
        let (connection, options): (PeerOptions, Options) = PeerOptions::take(spec)?;
        if spec.location.is_empty() {
            return Err(wrong(
                "say where to post to, as webhook:https://hooks.example.com/x".into(),
            ));
        }
        let peer = HttpPeer::new("the webhook", &spec.location, connection).map_err(wrong)?;
        let path = if spec.location.ends_with('/') { "/" } else { "" };
        let headers = headers(&options.header).map_err(wrong)?;
        let signer = Signer::new(&options).map_err(wrong)?;
        Ok((Self { peer, path, headers, signer }, options))
    }
}

/// Reads `NAME:VALUE`. What is wrong is told by its name: a value may be a secret.
fn headers(list: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in list.iter().map(|text| text.split_once(':').unwrap_or((text, ""))) {
        let header: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| format!("header: `{name}` is no name of a header: write NAME:VALUE"))?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| {
            format!("header: the value of `{name}` has characters that none may have")
        })?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for (spec, part) in [
            ("webhook", "say where to post"),
            ("webhook:ftp://h", "must be like http://"),
            ("webhook:http://h?header=a%20b:hunter2", "`a b` is no name"),
            ("webhook:http://h?header=A:hunter2%0ax", "the value of `A`"),
            ("webhook:http://h?secret=hunter2&secret_file=/x", "not both"),
            ("webhook:http://h?signature_header=a%20b", "signature_header"),
        ] {
            let error = Target::take(&mut spec.parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hunter2"), "{spec}: {error}");
        }
    }

    #[test]
    fn headers_may_come_several_times() {
        let spec = "webhook:http://h/a/?header=A:1&header=B:x:y&token=t";
        let (target, _) = Target::take(&mut spec.parse().unwrap()).unwrap();
        assert_eq!(
            (&target.headers["a"], &target.headers["b"]),
            (&"1".parse().unwrap(), &"x:y".parse().unwrap())
        );
        assert_eq!(target.peer.url(target.path).as_str(), "http://h/a/");
    }
}
