//! The options of a buddy.

// Comments on options are shown as help, where they are plain text.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

mod enrichment;
mod spool;

use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgAction, Args, Parser, ValueEnum};
use heapster_shared::{spec::Spec, tick::Resolution, tls::ClientTls, units::parse_duration};

pub use enrichment::EnrichmentArgs;
pub use spool::SpoolArgs;

use crate::events::Observer;
use crate::metrics_api::MetricsArgs;

/// What to poll, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Polling")]
pub struct PollingArgs {
    /// The cluster that the hosts belong to: letters, digits, `.`, `_` and `-`
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = parse_cluster)]
    pub cluster: String,
    /// What this buddy does; may be given several times. One that only discovers tells the master
    /// which hosts there are, one that only polls asks the master for hosts [default: both]
    #[arg(long, value_name = "ROLE", action = ArgAction::Append)]
    pub role: Vec<Role>,
    /// What finds hosts, such as static:hosts.json; may be given several times
    #[arg(long, value_name = "SPEC", action = ArgAction::Append)]
    pub discovery: Vec<Spec>,
    /// What polls hosts, such as cgroup, cadvisor or cadvisor:http://127.0.0.1:8080; of several the
    /// next is asked where the one before failed [default: cadvisor for discovered hosts; without a
    /// discovery cgroup, which is this machine]
    #[arg(long, value_name = "SPEC", action = ArgAction::Append)]
    pub source: Vec<Spec>,
    #[command(flatten)]
    #[allow(missing_docs)] // it would be shown as help
    pub events: EventArgs,
    /// What a host may take to answer [default: 10s, or two thirds of the resolution where that is
    /// less]
    #[arg(long, value_name = "DURATION", value_parser = parse_positive)]
    pub host_timeout: Option<Duration>,
    /// Hosts that are polled at once; those that failed last time have as many places of their own
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    pub poll_concurrency: u16,
    /// How often a discovery that cannot tell of changes lists its hosts
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = "30s", value_parser = parse_positive)]
    pub discovery_interval: Duration,
    #[command(flatten)]
    #[allow(missing_docs)] // its own are the help
    pub spool: SpoolArgs,
    /// Tells buddies of one cluster apart, the same over restarts [default: the host's name]
    #[arg(long, hide_short_help = true, value_name = "ID")]
    pub buddy_id: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)] // its own are the help
    pub enrichment: EnrichmentArgs,
    /// What `kubectl top` asks.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

impl PollingArgs {
    /// The options of a buddy that polls what the master gives it; all others have their defaults.
    ///
    /// # Errors
    /// Never, as long as no option has to be given.
    pub fn only_polling(cluster: &str, buddy_id: &str, source: Vec<Spec>) -> anyhow::Result<Self> {
        #[derive(Parser)]
        struct Defaults {
            #[command(flatten)]
            polling: PollingArgs,
        }
        let Defaults { polling } = Defaults::try_parse_from(["buddy"])?;
        let (cluster, buddy_id) = (cluster.to_owned(), Some(buddy_id.to_owned()));
        Ok(Self { cluster, role: vec![Role::Polls], source, buddy_id, ..polling })
    }
}

/// A part of a buddy's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Role {
    /// Find hosts.
    Discovers,
    /// Poll hosts.
    Polls,
}

/// What to tell of besides what is polled.
#[derive(Clone, Debug, Args)]
pub struct EventArgs {
    /// What tells of events, such as kubernetes; of the buddies of a cluster, one is to have it
    #[arg(long, value_name = "SPEC")]
    pub events: Option<Spec>,
}

impl EventArgs {
    /// Checks the spec, where there is one.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn observer(self) -> anyhow::Result<Option<Observer>> {
        let Some(spec) = self.events else { return Ok(None) };
        let name = spec.name();
        Ok(Some(Observer::build(spec).with_context(|| format!("--events {name}"))?))
    }
}

/// Where the master is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Master")]
pub struct UplinkArgs {
    /// The master to send to, such as https://heapster.example:8085
    #[arg(long, value_name = "URL")]
    pub master: String,
    #[command(flatten)]
    #[allow(missing_docs)] // it would be shown as help
    pub tls: ClientTls,
    /// Speak plain text with the master: anyone on the way can read and change it
    #[arg(long)]
    pub insecure: bool,
    /// The distance between ticks [default: what the master says]
    #[arg(long, value_name = "DURATION", value_parser = parse_resolution)]
    pub resolution: Option<Resolution>,
}

impl UplinkArgs {
    /// Checks the URL.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn config(&self) -> Result<crate::uplink::UplinkConfig, String> {
        crate::uplink::UplinkConfig::new(
            &self.master,
            self.insecure,
            self.tls.clone(),
            self.resolution,
        )
    }
}

/// Reads a resolution.
///
/// # Errors
/// A sentence for the user when it is no duration, or too short or too long.
pub fn parse_resolution(text: &str) -> Result<Resolution, String> {
    Resolution::new(parse_duration(text)?)
}

fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() {
        return Err("must be longer than 0".to_owned());
    }
    Ok(duration)
}

fn parse_cluster(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > 253 || !text.chars().all(legal) {
        return Err("write 1 to 253 letters, digits, `.`, `_` or `-`".to_owned());
    }
    Ok(text.to_owned())
}
