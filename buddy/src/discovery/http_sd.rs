//! The discovery `http_sd`: targets that a web server lists in the form of Prometheus' `http_sd`.
//!
//! The form has no watch, so the list is asked for on the interval of discoveries. As with
//! Prometheus, an empty list is `[]`, and anything but a complete answer with status 200 is none.

use std::path::PathBuf;

use async_trait::async_trait;
use heapster_shared::spec::{Spec, SpecError};
use serde::Deserialize;

use super::{
    Discovery, Kind,
    static_file::hosts_of_groups,
    web::{Access, Api, Endpoint, Found, Http, Ports, Web, endpoints},
};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "http_sd",
    summary: "targets that a web server lists, in the form of Prometheus' http_sd",
    samples: &[
        "http_sd:http://inventory.example.org/targets",
        "http_sd:https://inventory.example.org/targets?query=role%3Dnode&token_file=/etc/heapster/inventory-token",
        "http_sd:https://inventory.example.org/targets?username=heapster&password_file=/etc/heapster/inventory-password",
    ],
    build,
};

const EXAMPLE: &str = "http://inventory.example.org/targets";

/// The options, beside those of the connection.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// What is appended to the address after a `?`. Default: nothing.
    #[serde(default)]
    query: String,
    /// File with a token that is sent as `authorization: Bearer`; it is read again when it was
    /// refused. Default: none.
    token_file: Option<PathBuf>,
}

fn build(mut spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let (access, options): (Access, Options) = Access::take(&mut spec)?;
    let wrong = |what: String| SpecError(format!("http_sd: {what}"));
    if spec.location.is_empty() {
        return Err(wrong(format!("name an address, such as {EXAMPLE}")));
    }
    let access = access.with_token("authorization", "Bearer ", options.token_file);
    let endpoints = endpoints(&spec.location, EXAMPLE, Ports::both(&[])).map_err(wrong)?;
    if !matches!(endpoints[..], [Endpoint::Url(_)]) {
        return Err(wrong(format!("name one address, such as {EXAMPLE}")));
    }
    access.check(&endpoints).map_err(wrong)?;
    let legal = |c: char| c.is_ascii_graphic() && c != '#';
    if !options.query.chars().all(legal) {
        return Err(wrong(
            "`query` has a character that must be percent-encoded, twice: write %2520 for a space"
                .to_owned(),
        ));
    }
    let slash = if spec.location.ends_with('/') { "/" } else { "" };
    let question = if options.query.is_empty() { "" } else { "?" };
    let api = HttpSd { path: format!("{slash}{question}{}", options.query) };
    Ok(Box::new(Web::new(KIND.name, endpoints, access, api)))
}

struct HttpSd {
    /// What follows on the endpoint.
    path: String,
}

#[async_trait]
impl Api for HttpSd {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        let answer = http.ask(&self.path).await?;
        let text = std::str::from_utf8(&answer.body);
        let text = text.map_err(|_| "no valid answer: it is no UTF-8 text")?;
        let hosts = hosts_of_groups(text).map_err(|error| format!("no valid answer: {error}"))?;
        Ok(Found { hosts, left_out: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("http_sd", "name an address"),
            ("http_sd:http://a/x,http://b/x", "name one address"),
            ("http_sd:unix:///run/x", "name one address"),
            ("http_sd:http://a/x?query=a%20b", "must be percent-encoded"),
            ("http_sd:http://a/x?token_file=/t&username=u&password_file=/p", "not both"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
