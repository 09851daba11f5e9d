//! What the small buddy is assigned: the host that the check serves is asked at each tick.

use std::sync::{Mutex, PoisonError};

use heapster_proto::v1::{Assignment, AssignmentReply, Health, Host, HostState};
use heapster_testkit::http;

/// The name of that host.
pub(super) const HOST: &str = "conformance-host";

pub(super) struct Assigned {
    fault: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    coming: Vec<Host>,
    /// Where the host is, while it is assigned.
    base: Option<String>,
    polled: bool,
}

impl Assigned {
    pub(super) fn new(fault: &str) -> Self {
        Self { fault: fault.to_owned(), known: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a chunk; the reply to the last one.
    pub(super) fn take(&self, given: Assignment) -> Option<AssignmentReply> {
        let version = given.version;
        let hosts = self.with(|known| {
            known.coming.extend(given.hosts);
            given.last.then(|| std::mem::take(&mut known.coming))
        })?;
        let served = hosts.into_iter().find(|host| host.id == HOST);
        if served.is_some() && matches!(self.fault.as_str(), "refuses" | "sulks") {
            let error = if self.fault == "sulks" { "" } else { "too far away" }.to_owned();
            return Some(AssignmentReply { version, accepted: false, error });
        }
        let base = served.map(|host| {
            let endpoint = host.endpoints.iter().find(|one| one.kind == "cadvisor").unwrap();
            format!("http://{}:{}", host.addresses[0], endpoint.port)
        });
        self.with(|known| {
            if base.is_some() || self.fault != "clings" {
                known.base = base;
            }
        });
        Some(AssignmentReply { version, accepted: true, error: String::new() })
    }

    /// Asks the host, where there is one; whether it has answered.
    pub(super) async fn poll(&self) -> bool {
        let base = self.with(|known| known.base.clone()).filter(|_| self.fault != "idle");
        let Some(base) = base else { return false };
        let path = if self.fault == "lost" { "/nowhere" } else { "/api/v2.1/machinestats" };
        let ask = move || http::get(&format!("{base}{path}")).is_ok_and(|it| it.status == 200);
        let polled = tokio::task::spawn_blocking(ask).await.unwrap();
        self.with(|known| known.polled |= polled);
        polled && self.fault != "rowless"
    }

    /// How the host is.
    pub(super) fn health(&self) -> Option<Health> {
        let is_known = self.with(|known| known.polled) && self.fault != "mute";
        let ok = self.fault != "gloomy";
        let error = if ok { "" } else { "no luck" }.to_owned();
        let state = HostState { host_id: HOST.to_owned(), ok, error, ..HostState::default() };
        is_known.then(|| Health { hosts: vec![state], ..Health::default() })
    }
}
