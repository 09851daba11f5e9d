//! The host that a polling buddy is assigned: a cAdvisor that the check serves itself, of one
//! container beside the machine, whose counters grow with the time.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use heapster_proto::v1::{Endpoint, Host};
use heapster_shared::tick::{rfc3339, unix_ms};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Its id and its name.
pub(super) const NAME: &str = "conformance-host";

const CONTAINER: &str = "/system.slice/conformance.service";
const CORES: i64 = 2;
const MEMORY_BYTES: i64 = 4 << 30;
/// Of the machine; the container has half of it.
const CPU_NS_PER_MS: i64 = 500_000;

/// A host that answers for as long as the program runs.
#[derive(Clone, Debug)]
pub(super) struct ServedHost {
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    since_ms: i64,
}

/// What it was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Requests that had an answer.
    pub(super) answered: u64,
    /// The newest path that it does not have.
    pub(super) unknown: Option<String>,
}

impl ServedHost {
    /// Serves at the address of the played master, on another port.
    pub(super) async fn start(beside: SocketAddr) -> anyhow::Result<Self> {
        let ip = match beside.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        let listener = TcpListener::bind((ip, 0)).await;
        let listener = listener.with_context(|| format!("cannot serve a host on {ip}"))?;
        let address = listener.local_addr()?;
        let host = Self { address, asked: Arc::default(), since_ms: unix_ms() };
        let service = Router::new().fallback(serve).with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(host)
    }

    /// As it stands in an Assignment.
    pub(super) fn host(&self) -> Host {
        let port = u32::from(self.address.port());
        Host {
            id: NAME.to_owned(),
            name: NAME.to_owned(),
            addresses: vec![self.address.ip().to_string()],
            endpoints: vec![Endpoint { kind: "cadvisor".to_owned(), port, ..Endpoint::default() }],
            ready: true,
            ..Host::default()
        }
    }

    /// Where it is, for people.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Asked {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cAdvisor says to a request.
    fn answer(&self, path: &str) -> Option<Value> {
        let (version, request) = path.strip_prefix("/api/v")?.split_once('/')?;
        let what = request.split('/').next()?;
        let now_ms = unix_ms();
        Some(match (version, what) {
            (_, "machine") => machine(),
            ("2.1", "machinestats") => json!([self.sample(now_ms, 1)]),
            ("2.1", "stats") => {
                json!({ CONTAINER: { "spec": self.spec(), "stats": [self.sample(now_ms, 2)] } })
            }
            ("2.1", "spec") => json!({ "/": self.spec(), CONTAINER: self.spec() }),
            (_, "containers") if version.starts_with("1.") => self.legacy("/", now_ms, 1),
            (_, "subcontainers") if version.starts_with("1.") => {
                json!([self.legacy("/", now_ms, 1), self.legacy(CONTAINER, now_ms, 2)])
            }
            _ => return None,
        })
    }

    fn legacy(&self, name: &str, now_ms: i64, part: i64) -> Value {
        json!({ "name": name, "spec": self.spec(), "stats": [self.sample(now_ms, part)] })
    }

    fn spec(&self) -> Value {
        json!({
            "creation_time": rfc3339(self.since_ms),
            "has_cpu": true,
            "cpu": { "limit": 1024, "max_limit": 0, "mask": "0-1" },
            "has_memory": true,
            "memory": { "limit": MEMORY_BYTES },
            "has_network": false,
            "has_filesystem": false,
            "has_diskio": false,
            "has_custom_metrics": false,
        })
    }

    /// One part in so many of the machine.
    fn sample(&self, now_ms: i64, part: i64) -> Value {
        let cpu_ns = (now_ms - self.since_ms).max(0) * CPU_NS_PER_MS / part;
        let used = MEMORY_BYTES / 4 / part;
        json!({
            "timestamp": rfc3339(now_ms),
            "cpu": { "usage": { "total": cpu_ns, "user": cpu_ns, "system": 0 }, "load_average": 0 },
            "memory": { "usage": used, "cache": used / 4, "rss": used / 2, "working_set": used / 2,
                "container_data": { "pgfault": 0, "pgmajfault": 0 },
                "hierarchical_data": { "pgfault": 0, "pgmajfault": 0 } },
        })
    }
}

fn machine() -> Value {
    json!({
        "num_cores": CORES,
        "memory_capacity": MEMORY_BYTES,
        "machine_id": NAME,
        "system_uuid": NAME,
        "boot_id": NAME,
        "filesystems": [],
        "network_devices": [],
    })
}

async fn serve(State(host): State<ServedHost>, uri: Uri) -> Response {
    let answer = host.answer(uri.path());
    let mut asked = host.lock();
    match answer {
        Some(answer) => {
            asked.answered += 1;
            ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        None => {
            asked.unknown = Some(uri.path().chars().take(100).collect());
            (StatusCode::NOT_FOUND, "this cAdvisor has v1.x and v2.1 alone\n").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of the API say the same of the same time, and what is not there is noted.
    #[tokio::test]
    async fn the_machine_and_a_container_are_told_in_both_forms() {
        let host = ServedHost::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let newest = host.answer("/api/v2.1/machinestats").unwrap();
        let legacy = host.answer("/api/v1.3/subcontainers/").unwrap();
        assert_eq!(newest[0]["memory"], legacy[0]["stats"][0]["memory"]);
        assert_eq!((&legacy[0]["name"], &legacy[1]["name"]), (&json!("/"), &json!(CONTAINER)));
        let stats = host.answer("/api/v2.1/stats/").unwrap();
        assert_eq!(stats[CONTAINER]["stats"][0]["memory"]["usage"], MEMORY_BYTES / 8);
        assert_eq!(host.answer("/metrics"), None);
        assert_eq!(host.answer("/api/v2.0/stats"), None);
    }
}
