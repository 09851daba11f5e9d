//! The source `cadvisor`: polls cAdvisor's own API.
//!
//! A poll takes two requests over one connection: the newest sample of each container, and that of
//! the machine. What the machine has is asked for now and then. A host that does not serve the
//! newest version of the API is asked for an older one, and what it serves is remembered.
//!
//! Names: a container with Kubernetes' labels belongs to its pod; the container that holds the pod's
//! network gives the pod's network. Any other is a system container under the name that people gave
//! it, or the path of its control group.

mod answer;
mod api;
#[doc(hidden)]
pub mod bench;
mod facts;
mod hosts;
mod known;
mod map;
mod quick;
mod values;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use heapster_shared::{
    host::{Endpoint, Host},
    spec::{Spec, SpecError},
    units::ByteSize,
};
use serde::Deserialize;

use self::{
    api::{Answers, Api},
    facts::Facts,
    hosts::HostMemory,
};
use super::{
    Kind, Layouts, PollError, Readings, Source,
    fetch::{FetchError, FetchOptions, Fetcher, TlsOptions, Verification},
    hosts::Hosts,
    location,
};

/// The entry in the table of sources.
pub(super) const KIND: Kind = Kind {
    name: "cadvisor",
    summary: "cAdvisor, by its own API (2.1, 2.0 or 1.x); at the address given, or on the hosts that were discovered",
    samples: &[
        "cadvisor",
        "cadvisor:http://127.0.0.1:8080",
        "cadvisor:http://10.0.0.7:8080?name=node-7",
        "cadvisor?port=4194&max_body_size=16MiB",
    ],
    build,
};

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_SCHEME: &str = "http";
const EXAMPLE: &str = "http://127.0.0.1:8080";

/// The options. What a discovered host says of its own endpoint comes before `port` and `scheme`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Name of the host that the location names. Default: this machine's host name where that is a
    /// loopback address, else the host of the URL.
    name: Option<String>,
    /// Port of discovered hosts. Default: 8080; the cAdvisor within an old kubelet has 4194.
    #[serde(default, deserialize_with = "location::port")]
    port: Option<u16>,
    /// `http` or `https`, for discovered hosts. Default: `http`.
    scheme: Option<String>,
    /// The largest answer that is read. Default: 64MiB.
    #[serde(default = "default_max_body_size")]
    max_body_size: ByteSize,
}

const fn default_max_body_size() -> ByteSize {
    ByteSize::mib(64)
}

struct Cadvisor {
    own_host: Option<Host>,
    port: u16,
    scheme: String,
    fetcher: Fetcher,
    hosts: Hosts<HostMemory>,
    layouts: Layouts,
}

fn build(mut spec: Spec) -> Result<Box<dyn Source>, SpecError> {
    let tls = TlsOptions::split_off(&mut spec)?;
    let options: Options = spec.options().map_err(|SpecError(error)| {
        let names = TlsOptions::NAMES.join("`, `");
        SpecError(format!("{error}; or, of TLS and of who asks, `{names}`"))
    })?;
    let wrong = |what: String| SpecError(format!("{}: {what}", spec.name()));
    let own_host = match spec.location.as_str() {
        "" if options.name.is_some() => {
            return Err(wrong(
                "`name` needs an address, as in cadvisor:http://127.0.0.1:8080".into(),
            ));
        }
        "" => None,
        _ if options.port.is_some() || options.scheme.is_some() => {
            let what = "`port` and `scheme` are for discovered hosts; write them into the address";
            return Err(wrong(what.into()));
        }
        address => {
            let name = options.name.as_deref();
            Some(location::own_host(KIND.name, address, name, EXAMPLE).map_err(wrong)?)
        }
    };
    let scheme = options.scheme.unwrap_or_else(|| DEFAULT_SCHEME.to_owned());
    if !["http", "https"].contains(&scheme.as_str()) {
        return Err(wrong(format!("scheme `{scheme}` is neither http nor https")));
    }
    Ok(Box::new(Cadvisor {
        own_host,
        port: options.port.unwrap_or(DEFAULT_PORT),
        scheme,
        fetcher: fetcher(options.max_body_size, &tls).map_err(wrong)?,
        hosts: Hosts::default(),
        layouts: Layouts::default(),
    }))
}

fn fetcher(max_body_size: ByteSize, tls: &TlsOptions) -> Result<Fetcher, String> {
    if tls.tls == Verification::NodeName {
        return Err("tls=node-name is for kubelets; write tls=verify or tls=skip".to_owned());
    }
    Fetcher::new(FetchOptions::new(max_body_size).with(tls)?)
}

impl Cadvisor {
    /// `scheme://address:port/path` of a host at one of its addresses, as it says itself or by the
    /// options.
    fn base_url(&self, host: &Host, address: &str) -> String {
        let of_kind = |kind: &str| host.endpoints.iter().find(|endpoint| endpoint.kind == kind);
        let any = Endpoint::default();
        let endpoint = of_kind(KIND.name).or_else(|| of_kind("")).unwrap_or(&any);
        let scheme =
            if endpoint.scheme.is_empty() { &self.scheme } else { endpoint.scheme.as_str() };
        let port = if endpoint.port == 0 { self.port } else { endpoint.port };
        location::base_url(scheme, address, port, &endpoint.path)
    }

    /// Polls the host at the address that worked last, or the next one that does; the error is that
    /// of the first.
    async fn poll_any_address(
        &self,
        host: &Host,
        memory: &HostMemory,
    ) -> Result<Readings, FetchError> {
        let by_name = [host.name.clone()];
        let addresses = if host.addresses.is_empty() { &by_name[..] } else { &host.addresses };
        let first = memory.address() % addresses.len();
        let mut first_error = None;
        for index in (0..addresses.len()).map(|step| (first + step) % addresses.len()) {
            match self.poll_at(&self.base_url(host, &addresses[index]), memory).await {
                Err(error @ FetchError::Unreachable { .. }) => {
                    first_error.get_or_insert(error);
                }
                result => {
                    memory.remember_address(index);
                    return result;
                }
            }
        }
        Err(first_error.unwrap_or_else(|| FetchError::failed(&host.name, "no address")))
    }

    async fn poll_at(&self, base: &str, memory: &HostMemory) -> Result<Readings, FetchError> {
        let answers = self.ask(base, memory).await?;
        let facts = self.facts(answers.api(), base, memory).await?;
        let readings = answers.read(&facts, &mut memory.shapes(), &self.layouts)?;
        memory.note(&readings);
        Ok(readings)
    }

    /// Asks with the version that is known to work, or finds it.
    async fn ask(&self, base: &str, memory: &HostMemory) -> Result<Answers, FetchError> {
        if let Some(api) = memory.api() {
            let answers = api.ask(&self.fetcher, base).await;
            if answers.as_ref().is_err_and(FetchError::is_not_served) {
                memory.forget_api();
            }
            return answers;
        }
        let mut first_refusal = None;
        for api in Api::ALL {
            match api.ask(&self.fetcher, base).await {
                Ok(answers) => {
                    memory.remember_api(api);
                    return Ok(answers);
                }
                Err(error) if error.is_not_served() => {
                    first_refusal.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_refusal.unwrap_or_else(|| FetchError::failed(base, "no version of the API")))
    }

    /// What is known of the machine: asked for when it is not known or old. Old facts are better
    /// than no rows.
    async fn facts(
        &self,
        api: Api,
        base: &str,
        memory: &HostMemory,
    ) -> Result<std::sync::Arc<Facts>, FetchError> {
        let known = memory.facts();
        if let Some((facts, true)) = known {
            return Ok(facts);
        }
        match (api.ask_facts(&self.fetcher, base).await, known) {
            (Ok(facts), _) => Ok(memory.remember_facts(facts)),
            (Err(error), Some((facts, _))) => {
                tracing::debug!(%error, "keeping old facts of the machine");
                Ok(facts)
            }
            (Err(error), None) => Err(error),
        }
    }
}

#[async_trait]
impl Source for Cadvisor {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn own_host(&self) -> Option<Host> {
        self.own_host.clone()
    }

    async fn poll(&self, host: &Host) -> Result<Readings, PollError> {
        let memory = self.hosts.of(&host.id);
        let polled = self.poll_any_address(host, &memory).await;
        polled.map_err(|error| PollError(error.to_string()))
    }
}
