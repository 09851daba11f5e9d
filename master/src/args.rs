//! The master's options.

// Comments on options are shown as help, where they are plain text.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

mod access;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use heapster_shared::{spec::Spec, tick::Resolution, units::ByteSize};

pub use access::AccessArgs;

/// Options of the master. Each is also a key of the configuration file and an environment
/// variable, see `heapster_shared::config`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Master")]
pub struct MasterArgs {
    /// Where to serve the page and the API, over HTTPS, or HTTP with --insecure
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub listen: SocketAddr,
    /// Where buddies connect to, over gRPC [default: 127.0.0.1:8085; standalone: any free port of
    /// 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub grpc_listen: Option<SocketAddr>,
    /// Where samples go, such as 'influxdb:http://127.0.0.1:8086?db=k8s' or log; may be given several
    /// times
    #[arg(long = "sink", value_name = "SPEC")]
    pub sinks: Vec<Spec>,
    /// Talk to buddies and by HTTP in plain text: anybody on the way can read and change what is sent
    #[arg(long)]
    pub insecure: bool,
    /// How often hosts are polled
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = resolution)]
    pub resolution: Resolution,
    /// How much of the past the API and the page have; what is gone is forgotten after it too
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub model_retention: Duration,
    /// Memory that this past may take; the oldest goes first
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    pub model_max_bytes: ByteSize,
    /// Memory that the streams of all buddies may take for what they define; past it a stream ends,
    /// and its buddy keeps its rows and comes again
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub streams_max_bytes: ByteSize,
    /// How long the sinks may write what they hold when the master is stopped; what is left then
    /// stays with the buddies, or is lost to sinks that are not required
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub drain_time: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitArgs,
}

/// Bounds on what a single buddy may send, of which it is told when it connects, and on who may connect
/// how often and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Args)]
#[command(next_help_heading = "Limits on what a buddy may send")]
pub struct LimitArgs {
    /// Bytes of one frame, decompressed
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "4MiB")]
    pub max_frame_bytes: ByteSize,
    /// Bytes that a stream of a buddy may have on the way to the sinks
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "8MiB")]
    pub credit_bytes: ByteSize,
    /// Entities in one segment of a buddy's log, and hosts of one buddy
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 1_000_000)]
    pub max_entities: u32,
    /// Labels of one entity, field or host
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 64)]
    pub max_labels: u32,
    /// Bytes of one label, or of one name
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "16KiB")]
    pub max_label_bytes: ByteSize,
    /// Clusters that may be known at a time
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 1000)]
    pub max_clusters: usize,
    /// Bytes of frames a second, decompressed, that a buddy may send; who sends more has to wait
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "64MiB")]
    pub max_bytes_per_second: ByteSize,
    /// Connections of buddies at a time
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 8192)]
    pub max_connections: usize,
    /// Connections of buddies at a time from one address, or one /64 of IPv6
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 2048)]
    pub max_connections_per_address: usize,
    /// Buddies at a time with one credential, or from one address where nobody is asked for any
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 2048)]
    pub max_sessions_per_credential: usize,
    /// How long who connects may take for TLS, the head of a request and the first message of a stream
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub handshake_timeout: Duration,
    /// When a connection ends that no buddy uses, or that takes nothing of what is sent
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub idle_timeout: Duration,
}

/// A frame of the largest size may hold up its buddy for so many seconds.
const LONGEST_WAIT_SECONDS: u64 = 8;

impl LimitArgs {
    fn check(&self) -> Result<(), String> {
        if self.credit_bytes.0 == 0 || self.max_frame_bytes.0 == 0 {
            return Err("--credit-bytes and --max-frame-bytes must be more than 0".to_owned());
        }
        if self.max_bytes_per_second.0 < self.max_frame_bytes.0 / LONGEST_WAIT_SECONDS {
            return Err(format!(
                "--max-bytes-per-second must be at least an eighth of --max-frame-bytes ({})",
                self.max_frame_bytes
            ));
        }
        for (option, count) in [
            ("--max-connections", self.max_connections),
            ("--max-connections-per-address", self.max_connections_per_address),
            ("--max-sessions-per-credential", self.max_sessions_per_credential),
        ] {
            if count == 0 {
                return Err(format!("{option} must be more than 0: no buddy could connect"));
            }
        }
        if self.handshake_timeout.is_zero() || self.idle_timeout.is_zero() {
            return Err("--handshake-timeout and --idle-timeout must be more than 0".to_owned());
        }
        Ok(())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    heapster_shared::units::parse_duration(text)
}

fn resolution(text: &str) -> Result<Resolution, String> {
    Resolution::new(duration(text)?)
}

/// Where buddies connect to, unless told otherwise.
const GRPC_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8085);

impl MasterArgs {
    /// Where buddies connect to.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_listen.unwrap_or(GRPC_LISTEN)
    }

    /// Whether the options make sense together, before anything starts.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn check(&self) -> Result<(), String> {
        self.access.check(self.insecure, !self.listen.ip().is_loopback())?;
        self.limits.check()?;
        if self.listen == self.grpc_address() && self.listen.port() != 0 {
            return Err(format!(
                "--listen and --grpc-listen are both {}: give each its own port",
                self.listen
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        master: MasterArgs,
    }

    fn parse(argv: &[&str]) -> Result<MasterArgs, clap::Error> {
        let argv = std::iter::once("master").chain(argv.iter().copied());
        Cli::try_parse_from(argv).map(|cli| cli.master)
    }

    #[test]
    fn the_defaults_stand() {
        let args = parse(&["--insecure", "--sink", "log"]).unwrap();
        assert_eq!(args.listen.port(), 8082);
        assert_eq!(args.resolution, Resolution::DEFAULT);
        assert_eq!(args.model_retention, Duration::from_secs(900));
        assert_eq!(args.sinks[0].kind, "log");
        assert_eq!(args.check(), Ok(()));
    }

    #[test]
    fn plain_text_has_to_be_asked_for() {
        assert!(parse(&[]).unwrap().check().unwrap_err().contains("--insecure"));
        let same = parse(&["--insecure", "--listen", "[::1]:1", "--grpc-listen", "[::1]:1"]);
        assert!(same.unwrap().check().unwrap_err().contains("its own port"));
        assert!(parse(&["--resolution", "1ms"]).is_err());
    }

    #[test]
    fn limits_that_let_nobody_in_are_refused() {
        let error = |limits: &[&str]| parse(&[&["--insecure"], limits].concat()).unwrap().check();
        for option in ["--max-connections", "--max-sessions-per-credential", "--credit-bytes"] {
            assert!(error(&[option, "0"]).unwrap_err().contains(option), "{option}");
        }
        assert!(error(&["--idle-timeout", "0s"]).unwrap_err().contains("more than 0"));
        let slow = ["--max-frame-bytes", "8MiB", "--max-bytes-per-second", "1023KiB"];
        assert!(error(&slow).unwrap_err().contains("an eighth of --max-frame-bytes"));
        assert_eq!(error(&["--max-frame-bytes", "8MiB", "--max-bytes-per-second", "1MiB"]), Ok(()));
    }
}
