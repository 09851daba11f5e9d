//! `/validate`: how everything is, for a person with a terminal; the worst things first.

mod agreement;

use std::fmt::Write as _;

use actix_web::{HttpResponse, web};
use heapster_shared::{event::ObserverState, tick};

use super::{
    AppState,
    error::ApiError,
    html::{ago, count, size, span, thousands},
};
use crate::{
    actors::Observe,
    core::model::ModelStats,
    status::{BuddyStatus, ClusterStatus, HostStatus, SinkStatus},
};

/// What is looked at.
pub(super) struct Findings {
    pub(super) now_ms: i64,
    pub(super) clusters: Vec<ClusterStatus>,
    buddies: Vec<BuddyStatus>,
    pub(super) sinks: Vec<SinkStatus>,
    model: ModelStats,
}

/// Said of a cluster of which nothing else is known.
pub(super) const SILENT: &str = "it did not answer within a second: if it goes on like this the master has too much to do; see its messages in /debug/actors";
/// Hosts of a cluster that are listed one by one when nothing is wrong with them.
const HOSTS_SHOWN: usize = 50;
/// Hosts of a cluster among the problems; the list of hosts has them all.
const FAILURES_SHOWN: usize = 20;

/// The page.
pub(super) async fn answer(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let findings = Findings::gather(&state).await?;
    let uptime = i64::try_from(state.started.elapsed().as_secs()).unwrap_or(i64::MAX);
    let text = format!("heapster {}, up {}\n\n{}", state.version, span(uptime), findings.text());
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

impl Findings {
    /// Asks all parts how they are.
    pub(super) async fn gather(state: &AppState) -> Result<Self, ApiError> {
        let (clusters, buddies, sinks) =
            futures::join!(state.clusters(), state.buddies(), state.sinks());
        Ok(Self {
            now_ms: tick::unix_ms(),
            clusters: clusters?,
            buddies: buddies?,
            sinks: sinks?,
            model: state.model.ask(Observe::<ModelStats>::default()).await?,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let problems = self.problems();
        if problems.is_empty() {
            text.push_str("no problems\n");
        } else {
            let _ = writeln!(text, "{}", count(problems.len(), "problem"));
        }
        for problem in problems {
            let _ = writeln!(text, "  {problem}");
        }
        self.write_clusters(&mut text);
        self.write_buddies(&mut text);
        self.write_sinks(&mut text);
        self.write_model(&mut text);
        text
    }

    /// Sentences, the ones that concern most first.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.clusters.is_empty() {
            problems.push("no buddy has connected yet".to_owned());
        }
        for sink in self.sinks.iter().filter(|sink| is_ill(sink)) {
            let error =
                format!("{} ({})", sink.last_error, ago(self.now_ms, sink.last_error_unix_ms));
            problems.push(format!("sink {} is {}: {error}", sink.name, sink.state));
        }
        for cluster in self.clusters.iter().filter(|cluster| !cluster.has_answered()) {
            problems.push(format!("cluster {}: {SILENT}", cluster.name));
        }
        for cluster in &self.clusters {
            for discovery in cluster.discoveries.iter().filter(|discovery| !discovery.ok) {
                problems.push(format!(
                    "cluster {}: discovery {}: {}",
                    cluster.name, discovery.name, discovery.error
                ));
            }
        }
        for buddy in &self.buddies {
            for observer in buddy.observers.iter().filter(|observer| !observer.ok) {
                let (cluster, name) = (&buddy.cluster, &observer.name);
                problems.push(format!("cluster {cluster}: events of {name}: {}", observer.error));
            }
        }
        for buddy in self.buddies.iter().filter(|buddy| !buddy.connected) {
            let heard = ago(self.now_ms, buddy.heard_unix_ms);
            let id = &buddy.id;
            problems.push(format!("buddy {id} of {} is gone: last heard {heard}", buddy.cluster));
        }
        problems.extend(agreement::problems(&self.clusters, &self.buddies, self.now_ms));
        for cluster in &self.clusters {
            let failures: Vec<_> = cluster.hosts.iter().filter_map(failure).collect();
            for (host, error) in failures.iter().take(FAILURES_SHOWN) {
                problems.push(format!("cluster {}: host {host}: {error}", cluster.name));
            }
            if failures.len() > FAILURES_SHOWN {
                let more = count(failures.len() - FAILURES_SHOWN, "more host");
                problems.push(format!("cluster {}: {more}, see its list", cluster.name));
            }
        }
        if self.model.rows.refused > 0 {
            let refused = thousands(self.model.rows.refused);
            problems.push(format!("the model is full: {refused} rows of new entities left out"));
        }
        problems
    }

    fn write_clusters(&self, text: &mut String) {
        text.push_str("\nclusters\n");
        for cluster in &self.clusters {
            if !cluster.has_answered() {
                let _ = writeln!(text, "  {}: {SILENT}", cluster.name);
                continue;
            }
            let received = ago(self.now_ms, cluster.received_unix_ms);
            let _ = writeln!(
                text,
                "  {} ({}): {}, {}, {}, last rows {received}",
                cluster.name,
                cluster.manager,
                count(cluster.buddies, "buddy"),
                count(cluster.hosts.len(), "host"),
                count(cluster.entities, "entity"),
            );
            for discovery in &cluster.discoveries {
                let _ = writeln!(
                    text,
                    "    discovery {}: {}, {} read {}{}",
                    discovery.name,
                    if discovery.ok { "ok" } else { "FAILED" },
                    count(discovery.hosts, "host"),
                    ago(self.now_ms, discovery.listed_unix_ms),
                    after_colon(&discovery.error),
                );
            }
            self.write_hosts(text, &cluster.hosts);
        }
    }

    fn write_hosts(&self, text: &mut String, hosts: &[HostStatus]) {
        let mut sorted: Vec<_> = hosts.iter().collect();
        sorted.sort_by_key(|host| (failure(host).is_none(), host.state.is_some()));
        let failed = sorted.iter().filter(|host| failure(host).is_some()).count();
        let shown = failed.max(HOSTS_SHOWN).min(sorted.len());
        for host in &sorted[..shown] {
            let line = match &host.state {
                None => "not polled yet".to_owned(),
                Some(state) if agreement::is_unpolled(host) => {
                    format!("NOT POLLED: {}", state.error)
                }
                Some(state) => format!(
                    "{} in {} ms by {}{}, {}{}",
                    if state.ok { "ok" } else { "FAILED" },
                    state.latency_ms,
                    state.source,
                    agreement::of_buddy(host),
                    ago(self.now_ms, state.tick_unix_ms),
                    after_colon(&state.error)
                ),
            };
            let _ = writeln!(text, "    host {}: {line}", host.host.name);
        }
        if shown < sorted.len() {
            let _ = writeln!(text, "    and {} more without errors", sorted.len() - shown);
        }
    }

    fn write_buddies(&self, text: &mut String) {
        text.push_str("\nbuddies\n");
        for buddy in &self.buddies {
            let _ = writeln!(
                text,
                "  {} of {} from {}{} ({}): {}, last heard {}, {} spooled, {} dropped{}",
                buddy.id,
                buddy.cluster,
                buddy.peer,
                agreement::credential(buddy),
                buddy.software,
                if buddy.connected { "connected" } else { "GONE" },
                ago(self.now_ms, buddy.heard_unix_ms),
                bytes(buddy.spool_bytes),
                count(usize::try_from(buddy.dropped_frames).unwrap_or(usize::MAX), "frame"),
                after_colon(&buddy.last_error),
            );
            let _ = writeln!(text, "    {}", agreement::duties(buddy));
            if !buddy.spool_error.is_empty() {
                let _ = writeln!(text, "    its spool is in memory: {}", buddy.spool_error);
            }
            buddy.observers.iter().for_each(|observer| self.write_observer(text, observer));
        }
    }

    fn write_observer(&self, text: &mut String, observer: &ObserverState) {
        let _ = writeln!(
            text,
            "    events of {}: {}, {} observed, {} deduplicated, {} sent, {} dropped, last heard {}{}",
            observer.name,
            if observer.ok { "ok" } else { "FAILED" },
            thousands(observer.observed),
            thousands(observer.deduplicated),
            thousands(observer.sent),
            thousands(observer.dropped),
            ago(self.now_ms, observer.heard_unix_ms),
            after_colon(&observer.error),
        );
    }

    fn write_sinks(&self, text: &mut String) {
        text.push_str("\nsinks\n");
        let mut sorted: Vec<_> = self.sinks.iter().collect();
        sorted.sort_by_key(|sink| !is_ill(sink));
        for sink in sorted {
            let _ = writeln!(
                text,
                "  {}{}: {}, {} of {} samples delivered, {} rejected, {} dropped{}{}, last write {}",
                sink.name,
                if sink.required { " (required)" } else { "" },
                sink.state,
                thousands(sink.delivered),
                thousands(sink.accepted),
                thousands(sink.rejected),
                thousands(sink.dropped),
                chosen(sink),
                queue(sink),
                ago(self.now_ms, sink.written_unix_ms),
            );
            if !sink.last_error.is_empty() {
                let when = ago(self.now_ms, sink.last_error_unix_ms);
                let _ = writeln!(text, "    last error {when}: {}", sink.last_error);
            }
        }
    }

    fn write_model(&self, text: &mut String) {
        let stats = &self.model;
        let _ = writeln!(
            text,
            "\nmodel\n  {} of {} in {}, {} of {}, last rows {}",
            count(stats.entities, "entity"),
            count(stats.clusters, "cluster"),
            count(stats.chunks, "chunk"),
            bytes(stats.bytes as u64),
            bytes(stats.max_bytes as u64),
            ago(self.now_ms, stats.received_unix_ms),
        );
        let rows = &stats.rows;
        let _ = writeln!(
            text,
            "  rows: {} taken, {} late, {} repeated, {} refused, {} ahead of time; \
             {} chunks folded early",
            thousands(rows.taken),
            thousands(rows.late),
            thousands(rows.repeated),
            thousands(rows.refused),
            thousands(rows.ahead),
            thousands(stats.folded_early)
        );
    }
}

/// What its filters and its interval make of what it is offered.
fn chosen(sink: &SinkStatus) -> String {
    let mut text = String::new();
    for (samples, what) in
        [(sink.filtered, "filtered"), (sink.merged, "merged"), (sink.held, "held")]
    {
        if samples > 0 {
            let _ = write!(text, ", {} {what}", thousands(samples));
        }
    }
    text
}

/// What waits; the model takes what comes at once and has no queue.
fn queue(sink: &SinkStatus) -> String {
    if sink.queue_limit_bytes == 0 {
        return String::new();
    }
    let lag = match sink.lag_ms {
        0..1000 => String::new(),
        lag_ms => format!(", {} s behind", lag_ms / 1000),
    };
    format!(", {} of {} queued{lag}", bytes(sink.queue_bytes), bytes(sink.queue_limit_bytes))
}

fn bytes(number: u64) -> String {
    size(number as f64)
}

/// Whether something has to be done about a sink.
pub(super) fn is_ill(sink: &SinkStatus) -> bool {
    matches!(sink.state.as_str(), "retrying" | "failing" | "stopped")
}

fn failure(host: &HostStatus) -> Option<(&str, &str)> {
    let state = host.state.as_ref().filter(|state| !state.ok && !agreement::is_unpolled(host))?;
    Some((&host.host.name, &state.error))
}

fn after_colon(error: &str) -> String {
    if error.is_empty() { String::new() } else { format!(": {error}") }
}
