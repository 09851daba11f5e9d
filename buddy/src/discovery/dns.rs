//! The discovery `dns`: the addresses of names (A and AAAA), or the targets of services (SRV).
//!
//! A record is good for a time, and asked for again when that is over. A name without any record is
//! an error, for it is a failure more often than the end of a cluster; that there is none can be said
//! by an SRV record with the target `.`.

mod records;

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
};
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::{Message, Query},
        rr::{Name, RecordType},
    },
};
use serde::Deserialize;
use tokio::time::Instant;

use self::records::Records;
use super::{Discovery, DiscoveryError, Kind, address::Address, left_out::LeftOut, web::Found};

/// The entry in the table of discoveries.
pub(super) const KIND: Kind = Kind {
    name: "dns",
    summary: "the addresses of names, or the targets of services in SRV records",
    samples: &[
        "dns:_cadvisor._tcp.example.org",
        "dns:node-1.example.org,node-2.example.org?port=8080",
        "dns:nodes.example.org?records=a",
        "dns:_cadvisor._tcp.service.consul?server=127.0.0.1:8600",
    ],
    build,
};

/// However short a record's time is, it is not asked for sooner.
const SHORTEST_TIME: Duration = Duration::from_secs(5);
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 2;

/// The options.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Which records: `srv`, `a`, `aaaa`, or `ip` for both `a` and `aaaa`. Default: `srv` for names
    /// that begin with `_`, else `ip`.
    records: Option<Wanted>,
    /// Where the hosts are polled; SRV records have a port of their own. Default: as the source says.
    #[serde(default)]
    port: u16,
    /// The server to ask, `ADDRESS` or `ADDRESS:PORT`. Default: those of this machine.
    #[serde(default)]
    server: String,
}

/// What is asked for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Srv,
    A,
    Aaaa,
    Ip,
}

fn build(spec: Spec) -> Result<Box<dyn Discovery>, SpecError> {
    let options: Options = spec.options()?;
    let wrong = |what: String| SpecError(format!("dns: {what}"));
    let mut questions = Vec::new();
    for text in spec.location.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let name = Name::from_utf8(text).map_err(|error| wrong(format!("`{text}`: {error}")))?;
        let default = if text.starts_with('_') { Wanted::Srv } else { Wanted::Ip };
        questions.push((name, options.records.unwrap_or(default)));
    }
    if questions.is_empty() {
        return Err(wrong("name a name, as in dns:_cadvisor._tcp.example.org".to_owned()));
    }
    if options.port != 0 && questions.iter().any(|(_, wanted)| *wanted == Wanted::Srv) {
        return Err(wrong("`port` is not for SRV records, which have their own".to_owned()));
    }
    let server = server(&options.server).map_err(wrong)?;
    Ok(Box::new(Dns {
        questions,
        port: options.port,
        server,
        resolver: None,
        good_until: None,
        left_out: LeftOut::default(),
    }))
}

fn server(text: &str) -> Result<Option<(IpAddr, u16)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = Address::parse(text)?;
    let ip = address.host.parse();
    let ip = ip.map_err(|_| format!("`server` `{text}` is no IP address"))?;
    Ok(Some((ip, if address.port == 0 { 53 } else { address.port })))
}

/// The hosts that a message of a server names, as if it had answered with that.
///
/// # Errors
/// When it is no message.
pub(super) fn read(message: &[u8]) -> Result<Found, String> {
    let message = Message::from_vec(message).map_err(|error| error.to_string())?;
    let mut records = Records::new(0);
    records.add(&Lookup::new_with_max_ttl(Query::default(), message.answers));
    let (hosts, left_out) = records.hosts();
    Ok(Found { hosts, left_out })
}

struct Dns {
    questions: Vec<(Name, Wanted)>,
    port: u16,
    server: Option<(IpAddr, u16)>,
    /// Made anew after each failure: the machine's configuration may have changed.
    resolver: Option<TokioResolver>,
    /// When the first record of the newest list is to be asked for again.
    good_until: Option<Instant>,
    left_out: LeftOut,
}

impl Dns {
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.server {
            None => TokioResolver::builder_tokio()?,
            Some((ip, port)) => {
                let mut server = NameServerConfig::udp_and_tcp(ip);
                server.connections.iter_mut().for_each(|connection| connection.port = port);
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts) = (QUERY_TIMEOUT, ATTEMPTS);
        // What is asked for again is to be an answer of now.
        options.cache_size = 0;
        builder.build()
    }

    async fn ask(&mut self) -> Result<Records, String> {
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => self.resolver().map_err(|error| format!("cannot be set up: {error}"))?,
        };
        let mut records = Records::new(self.port);
        for (name, wanted) in &self.questions {
            lookup(&resolver, name, wanted.types(), &mut records).await?;
        }
        self.resolver = Some(resolver);
        Ok(records)
    }
}

impl Wanted {
    const fn types(self) -> &'static [RecordType] {
        match self {
            Self::Srv => &[RecordType::SRV],
            Self::A => &[RecordType::A],
            Self::Aaaa => &[RecordType::AAAA],
            Self::Ip => &[RecordType::A, RecordType::AAAA],
        }
    }
}

/// Adds the records of a name, of which there has to be one at least.
async fn lookup(
    resolver: &TokioResolver,
    name: &Name,
    types: &[RecordType],
    records: &mut Records,
) -> Result<(), String> {
    let mut answered = false;
    for kind in types {
        match resolver.lookup(name.clone(), *kind).await {
            Ok(answer) => answered |= records.add(&answer),
            // Most names have addresses of one kind only.
            Err(error) if error.is_no_records_found() => {}
            Err(error) => return Err(format!("{kind} of {name}: {error}")),
        }
    }
    if answered {
        return Ok(());
    }
    let kinds: Vec<String> = types.iter().map(ToString::to_string).collect();
    Err(format!("{name} has no record {}", kinds.join(" or ")))
}

#[async_trait]
impl Discovery for Dns {
    async fn list(&mut self) -> Result<Vec<Host>, DiscoveryError> {
        self.good_until = None;
        let records = self.ask().await.map_err(|error| DiscoveryError(format!("dns: {error}")))?;
        let valid = records.good_until.map(Instant::from_std);
        self.good_until = valid.map(|until| until.max(Instant::now() + SHORTEST_TIME));
        let (hosts, left_out) = records.hosts();
        self.left_out.note(KIND.name, left_out);
        Ok(hosts)
    }

    async fn changed(&mut self) {
        match self.good_until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    fn left_out(&self) -> &[String] {
        self.left_out.reasons()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_before_anything_starts() {
        for (text, expected) in [
            ("dns", "name a name"),
            ("dns:a..b", "`a..b`"),
            ("dns:a?records=mx", "expected one of `srv`, `a`, `aaaa`, `ip`"),
            ("dns:_a._tcp.b?port=1", "not for SRV"),
            ("dns:a?server=b", "is no IP address"),
            ("dns:a?nonsense=1", "expected one of `records`, `port`, `server`"),
        ] {
            let error = build(text.parse().unwrap()).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(server("[::1]:8600").unwrap(), Some(("::1".parse().unwrap(), 8600)));
        assert_eq!(server("10.0.0.1").unwrap(), Some(("10.0.0.1".parse().unwrap(), 53)));
    }
}
