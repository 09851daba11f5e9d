//! Options of the honeycomb sink: those of the Go Heapster 1.5, and those of a connection.

use heapster_shared::{
    secret::Secret,
    spec::{Spec, SpecError},
    units::{self, ByteSize},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;

use crate::sinks::{
    SinkError,
    peer::{Answer, Credentials, HttpPeer, PeerOptions},
};

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// Dataset that events go to; Honeycomb creates it. Default `heapster`.
    pub(super) dataset: String,
    /// Key of the account, as `token`. Default none.
    pub(super) writekey: Secret,
    /// Address of the API, where no location is given. Default `https://api.honeycomb.io`.
    pub(super) apihost: String,
    /// Compress what is sent. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) gzip: bool,
    /// A request ends when it is as long as this before compression; Honeycomb takes 5 MB.
    /// Default `1MiB`.
    pub(super) body_bytes: ByteSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dataset: "heapster".to_owned(),
            writekey: Secret::default(),
            apihost: "https://api.honeycomb.io".to_owned(),
            gzip: true,
            body_bytes: ByteSize::mib(1),
        }
    }
}

/// Less than Honeycomb's 5 MB, by what one row more may take.
const LARGEST_BODY: ByteSize = ByteSize::mib(4);

/// Where and as whom to write.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) peer: HttpPeer,
    path: String,
    writekey: Secret,
}

impl Target {
    /// Takes the options of the connection and those of the dataset out of a spec.
    pub(super) fn take(spec: &mut Spec) -> Result<(Self, Options), SpecError> {
        let wrong = |message: String| SpecError(format!("honeycomb: {message}"));
        let (connection, options): (PeerOptions, Options) = PeerOptions::take(spec)?;
        if options.dataset.is_empty() {
            return Err(wrong("dataset must not be empty".into()));
        }
        if !connection.user.is_empty() || connection.has_token() != options.writekey.is_empty() {
            return Err(wrong("give the key as writekey=KEY, or as token or token_file".into()));
        }
        if options.body_bytes > LARGEST_BODY {
            return Err(wrong(format!("body_bytes must be at most {LARGEST_BODY}")));
        }
        let location = if spec.location.is_empty() { &options.apihost } else { &spec.location };
        // The API is not served in plain text: who means that says so.
        let location = match location.contains("://") {
            true => location.clone(),
            false => format!("https://{location}"),
        };
        let peer = HttpPeer::new("Honeycomb", &location, connection).map_err(wrong)?;
        let path = format!("/1/batch/{}", utf8_percent_encode(&options.dataset, NON_ALPHANUMERIC));
        Ok((Self { peer, path, writekey: options.writekey.clone() }, options))
    }

    /// A request for the dataset with the key.
    ///
    /// # Errors
    /// When the file of the key cannot be read, which may be put right while samples wait.
    pub(super) fn request(&self, method: Method) -> Result<RequestBuilder, SinkError> {
        let key = match self.peer.credentials()? {
            Credentials::Token(token) => token,
            Credentials::None | Credentials::Password { .. } => self.writekey.clone(),
        };
        Ok(self.peer.bare_request(method, &self.path).header("X-Honeycomb-Team", key.expose()))
    }

    /// What an answer means that is no success.
    pub(super) fn failure(&self, answer: &Answer) -> SinkError {
        answer.failure(&self.peer.place(), "the key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(spec: &str) -> Result<Target, SpecError> {
        Target::take(&mut spec.parse().unwrap()).map(|(target, _)| target)
    }

    fn request(spec: &str) -> reqwest::Request {
        target(spec).unwrap().request(Method::POST).unwrap().build().unwrap()
    }

    #[test]
    fn the_ancestors_options_work() {
        let request = request("honeycomb:?dataset=a%20b&writekey=k&apihost=h.example:8080");
        assert_eq!(request.url().as_str(), "https://h.example:8080/1/batch/a%20b");
        assert_eq!(request.headers()["x-honeycomb-team"], "k");
        let request = super::tests::request("honeycomb:http://h?token=t");
        assert_eq!(request.url().as_str(), "http://h/1/batch/heapster");
        assert_eq!(request.headers()["x-honeycomb-team"], "t");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (spec, part) in [
            ("honeycomb", "writekey=KEY"),
            ("honeycomb:?writekey=hunter2&token=hunter2", "writekey=KEY"),
            ("honeycomb:?writekey=hunter2&user=u", "writekey=KEY"),
            ("honeycomb:?writekey=hunter2&dataset=", "dataset"),
            ("honeycomb:?writekey=hunter2&body_bytes=5MiB", "body_bytes"),
            ("honeycomb:ftp://h?writekey=hunter2", "must be like http://"),
        ] {
            let error = target(spec).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hunter2"), "{spec}: {error}");
        }
    }
}
