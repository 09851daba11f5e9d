//! Options of the nats sink.

use std::{path::PathBuf, time::Duration};

use heapster_shared::{
    spec::{Spec, SpecError},
    units,
};
use serde::Deserialize;

use super::nkey::Creds;
use crate::sinks::peer::{PeerOptions, Verification};

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// More addresses of servers, as `host:4222`, separated by commas; may come more than once.
    /// Default none.
    pub(super) servers: Vec<String>,
    /// The stream that keeps messages. Default `HEAPSTER`.
    pub(super) stream: String,
    /// Subject of rows; `{cluster}`, `{level}` and `{namespace}` stand for theirs. Default
    /// `heapster.{cluster}.{level}`.
    pub(super) subject: String,
    /// Subject of events, in the same form. Default `heapster.{cluster}.events`.
    pub(super) events_subject: String,
    /// Make the stream where it is absent. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) create_stream: bool,
    /// How long a stream that is made keeps messages; `0` for ever. Default `24h`.
    #[serde(deserialize_with = "units::duration")]
    pub(super) retention: Duration,
    /// How long a stream that is made remembers messages, to tell one that comes again. Default `10m`.
    #[serde(deserialize_with = "units::duration")]
    pub(super) duplicate_window: Duration,
    /// Replicas of a stream that is made. Default 1.
    pub(super) replicas: u8,
    /// File with the credentials of a user, as `nsc` writes it, or with the seed of a key. Default none.
    pub(super) creds: Option<PathBuf>,
    /// Ask for TLS also where the server does not; so do `ca`, `cert` and `tls=skip`. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) secure: bool,
    /// Name of the cluster in messages and subjects. Default: the name of the row's cluster.
    pub(super) cluster_name: Option<String>,
    /// Write events too. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) events: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            stream: "HEAPSTER".into(),
            subject: "heapster.{cluster}.{level}".into(),
            events_subject: "heapster.{cluster}.events".into(),
            create_stream: true,
            retention: Duration::from_secs(86_400),
            duplicate_window: Duration::from_secs(600),
            replicas: 1,
            creds: None,
            secure: false,
            cluster_name: None,
            events: true,
        }
    }
}

const DEFAULT_PORT: u16 = 4222;

impl Options {
    /// Takes the options of the connection and the sink's own out of a spec, and checks them; the
    /// servers are then all that there are.
    pub(super) fn take(spec: &mut Spec) -> Result<(PeerOptions, Self), SpecError> {
        let (peer, mut options): (PeerOptions, Self) = PeerOptions::take(spec)?;
        options.secure |=
            peer.ca.is_some() || peer.cert.is_some() || peer.tls == Verification::Skip;
        let wrong = |message: String| SpecError(format!("nats: {message}"));
        options.servers = servers(&spec.location, &options.servers).map_err(wrong)?;
        options.check().map_err(wrong)?;
        Ok((peer, options))
    }

    fn check(&self) -> Result<(), String> {
        let illegal = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
        if self.stream.is_empty() || self.stream.contains(illegal) {
            return Err(format!("stream: `{}` is no name of a stream", self.stream));
        }
        for (option, subject) in
            [("subject", &self.subject), ("events_subject", &self.events_subject)]
        {
            let mut tokens = subject.split('.');
            let begins =
                tokens.next().is_some_and(|first| !first.is_empty() && !first.contains('{'));
            let bad = |c: char| c.is_whitespace() || c.is_control() || "*>$".contains(c);
            if !begins || tokens.any(str::is_empty) || subject.contains(bad) {
                return Err(format!(
                    "{option}: `{subject}` is no subject here: begin with a word, as heapster.{{cluster}}.{{level}}"
                ));
            }
        }
        if !(1..=5).contains(&self.replicas) {
            return Err("replicas is a number from 1 to 5".to_owned());
        }
        Ok(())
    }

    /// What the file of credentials has now.
    ///
    /// # Errors
    /// A sentence, when it cannot be read.
    pub(super) fn read_creds(&self) -> Result<Option<Creds>, String> {
        let Some(path) = &self.creds else { return Ok(None) };
        let place = path.display();
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("`creds` {place}: {error}"))?;
        Creds::parse(&text).map(Some).map_err(|message| format!("`creds` {place}: {message}"))
    }
}

fn servers(location: &str, more: &[String]) -> Result<Vec<String>, String> {
    let listed = std::iter::once(location).chain(more.iter().map(String::as_str));
    let mut servers = Vec::new();
    for server in listed.flat_map(|list| list.split(',')).map(str::trim) {
        if server.is_empty() {
            continue;
        }
        let server = server.strip_prefix("nats://").unwrap_or(server).trim_end_matches('/');
        if server.contains(['/', '@', ' ']) {
            return Err("a server is like nats.lan:4222; write the account as options".to_owned());
        }
        let has_port = server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        servers.push(if has_port { server.to_owned() } else { format!("{server}:{DEFAULT_PORT}") });
    }
    if servers.is_empty() {
        servers.push(format!("127.0.0.1:{DEFAULT_PORT}"));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<Options, String> {
        let taken = Options::take(&mut text.parse().unwrap());
        taken.map(|(_, options)| options).map_err(|error| error.to_string())
    }

    #[test]
    fn servers_have_a_port() {
        assert_eq!(taken("nats").unwrap().servers, ["127.0.0.1:4222"]);
        let options = taken("nats:nats://a:1,b?servers=c&tls=skip").unwrap();
        assert_eq!(options.servers, ["a:1", "b:4222", "c:4222"]);
        assert!(options.secure);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("nats:nats://u:hunter2@h", "is like nats.lan:4222"),
            ("nats?stream=a.b", "`a.b` is no name of a stream"),
            ("nats?subject={cluster}.x", "begin with a word"),
            ("nats?events_subject=a..b", "begin with a word"),
            ("nats?subject=a.*", "begin with a word"),
            ("nats?replicas=9", "from 1 to 5"),
        ] {
            let error = taken(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
