//! Options of the gcm and stackdriver sinks: those of the Go Heapster, and where Google is.

use std::time::Duration;

use heapster_shared::{
    spec::{Spec, SpecError},
    units,
};
use reqwest::Url;
use serde::Deserialize;

use super::names::Model;
use crate::sinks::peer::PeerOptions;

/// What follows the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// Project to write to. Default: that of the credentials, of `GOOGLE_CLOUD_PROJECT`, or of the
    /// machine.
    pub(super) project: String,
    /// File with credentials as Google writes them (a service account's key, a user's, or workload
    /// identity federation with a file); `metadata` to ask the machine's metadata server; `none` for an
    /// endpoint that asks for none. Default: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, else
    /// that of `gcloud auth application-default login`, else `metadata`.
    pub(super) credentials: String,
    /// Name of the cluster in resources. Default: the name of the row's cluster.
    pub(super) cluster_name: Option<String>,
    /// Region or zone of the cluster in resources. Default: that of the machine, `global` where there is
    /// no metadata server.
    pub(super) cluster_location: String,
    /// `all`; `autoscaling` for the four metrics of nodes that groups of machines are scaled by, written
    /// for the machine (`gce_instance`); `none` to write events only. Default `all`.
    pub(super) metrics: Metrics,
    /// Write what Google has a name for under that name (`kubernetes.io/container/...`), and nothing
    /// else. Default `false`; with `stackdriver` `true` unless `use_old_resources` is given.
    #[serde(deserialize_with = "units::flag")]
    pub(super) use_new_resources: bool,
    /// Write under the names that Google had before (`container.googleapis.com/...` of
    /// `gke_container`), and nothing else. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) use_old_resources: bool,
    /// With either of those, write what Google has no name for as custom metrics. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) custom: bool,
    /// Labels that custom metrics have beside those of their resource, separated by commas; each set of
    /// values is a series of its own. Default `type,hostname,host_id,container_base_image`.
    pub(super) metric_labels: String,
    /// The least distance of two points of a series, in seconds; what lies between is left out. The API
    /// refuses points that are closer than 5. Default 10.
    pub(super) min_interval_sec: u64,
    /// Samples that are older are not sent: the API refuses them after 25 hours. Default `25h`.
    #[serde(deserialize_with = "units::duration")]
    pub(super) max_age: Duration,
    /// Requests of one write that are under way at once. Default 8.
    pub(super) requests: usize,
    /// Describe custom metrics (unit, description) before they are written first. Default `true`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) descriptors: bool,
    /// Write events to Cloud Logging, which takes another role. Default `false`.
    #[serde(deserialize_with = "units::flag")]
    pub(super) events: bool,
    /// Address of Cloud Monitoring. Default `https://monitoring.googleapis.com`.
    pub(super) endpoint: String,
    /// Address of Cloud Logging. Default `https://logging.googleapis.com`.
    pub(super) logging_endpoint: String,
    /// Host of the metadata server. Default: what `GCE_METADATA_HOST` says, else
    /// `metadata.google.internal`.
    pub(super) metadata_host: String,
    /// Taken for the ancestor's sake, and without effect: `timeout` limits a write. Default none.
    pub(super) batch_export_timeout_sec: Option<u64>,
    /// Taken for the ancestor's sake, and without effect. Default none.
    pub(super) initial_delay_sec: Option<u64>,
}

/// Which metrics are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Metrics {
    #[default]
    All,
    Autoscaling,
    None,
}

/// The shortest distance of points that the API takes.
const SHORTEST_INTERVAL_SEC: u64 = 5;
/// More at once would meet the project's quota sooner, and win nothing.
const MOST_REQUESTS: usize = 64;
/// A metric may have 30 labels; fields and the sink itself need some of them.
const MOST_LABELS: usize = 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            project: String::new(),
            credentials: String::new(),
            cluster_name: None,
            cluster_location: String::new(),
            metrics: Metrics::All,
            use_new_resources: false,
            use_old_resources: false,
            custom: false,
            metric_labels: "type,hostname,host_id,container_base_image".into(),
            min_interval_sec: 10,
            max_age: Duration::from_secs(25 * 3600),
            requests: 8,
            descriptors: true,
            events: false,
            endpoint: "https://monitoring.googleapis.com".into(),
            logging_endpoint: "https://logging.googleapis.com".into(),
            metadata_host: String::new(),
            batch_export_timeout_sec: None,
            initial_delay_sec: None,
        }
    }
}

impl Options {
    /// Takes the options of the connection and those of the sink out of a spec, and checks them. With
    /// `named`, Google's names are written unless the old ones are asked for.
    pub(super) fn take(spec: &mut Spec, named: bool) -> Result<(PeerOptions, Self), SpecError> {
        let kind = spec.kind.clone();
        let (peer, mut options): (PeerOptions, Self) = PeerOptions::take(spec)?;
        if named && !options.use_old_resources {
            options.use_new_resources = true;
        }
        let checked = options.check(&spec.location, &peer);
        checked.map_err(|message| SpecError(format!("{kind}: {message}")))?;
        Ok((peer, options))
    }

    fn check(&self, location: &str, peer: &PeerOptions) -> Result<(), String> {
        if !location.is_empty() {
            return Err("takes no location: write endpoint=https://... after the `?`".into());
        }
        if !peer.user.is_empty() {
            return Err("Google knows no `user` with a password: use `credentials`".into());
        }
        if peer.has_token() && !self.credentials.is_empty() {
            return Err("give `credentials` or a token, not both".into());
        }
        if self.min_interval_sec < SHORTEST_INTERVAL_SEC {
            return Err(format!("min_interval_sec must be at least {SHORTEST_INTERVAL_SEC}"));
        }
        if !(1..=MOST_REQUESTS).contains(&self.requests) {
            return Err(format!("requests must lie between 1 and {MOST_REQUESTS}"));
        }
        if self.metric_labels().count() > MOST_LABELS {
            return Err(format!("metric_labels may have {MOST_LABELS} names"));
        }
        if self.metrics == Metrics::None && !self.events {
            return Err("metrics=none without events=true would write nothing".into());
        }
        if self.credentials != "none" {
            is_private("endpoint", &self.endpoint)?;
            is_private("logging_endpoint", &self.logging_endpoint)?;
        }
        Ok(())
    }

    /// Names of the labels of custom metrics.
    pub(super) fn metric_labels(&self) -> impl Iterator<Item = &str> {
        self.metric_labels.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// Under whose names samples are written, the first that has one first.
    pub(super) fn models(&self) -> Vec<Model> {
        match self.metrics {
            Metrics::None => return Vec::new(),
            Metrics::Autoscaling => return vec![Model::Machine],
            Metrics::All => {}
        }
        let google = self.use_new_resources || self.use_old_resources;
        let wanted = [
            (Model::Google, self.use_new_resources),
            (Model::Legacy, self.use_old_resources),
            (Model::Custom, self.custom || !google),
        ];
        wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(model, _)| model).collect()
    }
}

/// Whether nobody can read a token on its way there.
fn is_private(option: &str, address: &str) -> Result<(), String> {
    let url = Url::parse(address).map_err(|error| format!("`{option}` is no URL: {error}"))?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" || loopback {
        return Ok(());
    }
    Err(format!("`{option}` must begin with https://, for the token would be in plain sight"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Options, String> {
        let named = text.starts_with("stackdriver");
        let taken = Options::take(&mut text.parse().unwrap(), named);
        taken.map(|(_, options)| options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_of_the_ancestor_are_taken() {
        assert_eq!(take("gcm").unwrap().models(), [Model::Custom]);
        assert_eq!(take("gcm:?metrics=autoscaling").unwrap().models(), [Model::Machine]);
        let ancestor = "cluster_name=c&cluster_location=europe-west1&min_interval_sec=60&\
                        batch_export_timeout_sec=60&initial_delay_sec=3";
        let options = take(&format!("stackdriver:?{ancestor}")).unwrap();
        assert_eq!(options.models(), [Model::Google]);
        let both = "stackdriver:?use_old_resources=true&use_new_resources=true&custom=true";
        assert_eq!(take(both).unwrap().models(), [Model::Google, Model::Legacy, Model::Custom]);
        let old = take("stackdriver:?use_old_resources=true").unwrap();
        assert_eq!(old.models(), [Model::Legacy]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (spec, part) in [
            ("gcm:http://h", "endpoint=https"),
            ("gcm?user=u&pw=hunter2", "use `credentials`"),
            ("gcm?token=hunter2&credentials=/k", "not both"),
            ("gcm?min_interval_sec=1", "at least 5"),
            ("gcm?requests=0", "between 1 and 64"),
            ("gcm?metrics=some", "unknown variant `some`"),
            ("gcm?metrics=none", "would write nothing"),
            ("gcm?endpoint=http://h.lan", "`endpoint` must begin with https://"),
            ("gcm?logging_endpoint=x", "`logging_endpoint` is no URL"),
        ] {
            let error = take(spec).unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{spec}: {error}");
        }
        assert!(
            take("gcm?endpoint=http://h.lan&logging_endpoint=http://h&credentials=none").is_ok()
        );
    }
}
