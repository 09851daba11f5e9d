//! `/metrics`: the master's own state for Prometheus.

mod sinks;

use actix_web::{HttpResponse, web};
use heapster_shared::{event::ObserverState, tick};

use super::{
    AppState,
    error::ApiError,
    prometheus::{Exposition, Kind},
};
use crate::{
    actors::Observe,
    core::model::ModelStats,
    status::{ActorStatus, BuddyStatus, ClusterStatus, ConnectionsStatus},
};

/// A family of which each thing has one sample: its name, kind, help and value.
type Column<T> = (&'static str, Kind, &'static str, fn(&T) -> f64);

/// Everything, in the text format.
pub(super) async fn answer(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let (clusters, buddies, sinks, actors) =
        futures::join!(state.clusters(), state.buddies(), state.sinks(), state.actors());
    let mut out = Exposition::default();
    process(&mut out, &state);
    write_connections(&mut out, state.status.connections());
    write_clusters(&mut out, &clusters?);
    write_buddies(&mut out, &buddies?);
    sinks::write(&mut out, &sinks?);
    write_actors(&mut out, &actors?);
    write_model(&mut out, &state.model.ask(Observe::<ModelStats>::default()).await?);
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(out.finish()))
}

fn process(out: &mut Exposition, state: &AppState) {
    let build = [("version", state.version)];
    out.family("heapster_build_info", Kind::Gauge, "Version of the program.").sample(&build, 1.0);
    let started_ms = tick::unix_ms() as f64 - state.started.elapsed().as_secs_f64() * 1e3;
    out.family("process_start_time_seconds", Kind::Gauge, "Start of the process since 1970.")
        .sample(&[], (started_ms / 1e3).round());
    let Ok(stat) = procfs::process::Process::myself().and_then(|process| process.stat()) else {
        return;
    };
    let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    out.family("process_cpu_seconds_total", Kind::Counter, "CPU time of the process.")
        .sample(&[], cpu);
    let resident = stat.rss.saturating_mul(procfs::page_size());
    out.family("process_resident_memory_bytes", Kind::Gauge, "Resident memory of the process.")
        .sample(&[], resident as f64);
}

fn write_connections(out: &mut Exposition, connections: ConnectionsStatus) {
    out.family("heapster_connections", Kind::Gauge, "Connections of buddies that are open.")
        .sample(&[], connections.open as f64);
    let help = "Connections of buddies refused because there were too many.";
    out.family("heapster_connections_refused_total", Kind::Counter, help)
        .sample(&[], connections.refused as f64);
}

/// Writes one family a column, with one sample a thing.
fn write_columns<T>(
    out: &mut Exposition,
    columns: &[Column<T>],
    things: &[T],
    labels: impl Fn(&T) -> Vec<(&'static str, String)>,
) {
    let labels: Vec<_> = things.iter().map(labels).collect();
    for (name, kind, help, value) in columns {
        let mut family = out.family(name, *kind, help);
        for (thing, labels) in things.iter().zip(&labels) {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            family.sample(&labels, value(thing));
        }
    }
}

fn seconds(unix_ms: i64) -> f64 {
    unix_ms as f64 / 1e3
}

const CLUSTERS: &[Column<ClusterStatus>] = &[
    ("heapster_cluster_buddies", Kind::Gauge, "Buddies connected.", |it| it.buddies as f64),
    ("heapster_cluster_entities", Kind::Gauge, "Entities alive.", |it| it.entities as f64),
    ("heapster_cluster_rows_total", Kind::Counter, "Rows that came.", |it| it.rows as f64),
    (
        "heapster_cluster_samples_total",
        Kind::Counter,
        "Samples that came or were worked out.",
        |it| it.samples as f64,
    ),
    ("heapster_cluster_rejected_rows_total", Kind::Counter, "Rows refused.", |it| {
        it.rejected_rows as f64
    }),
    ("heapster_cluster_events_total", Kind::Counter, "Events that came.", |it| it.events as f64),
    (
        "heapster_cluster_round_timestamp_seconds",
        Kind::Gauge,
        "The newest tick whose round is complete; 0 for none.",
        |it| seconds(it.tick_unix_ms),
    ),
    (
        "heapster_cluster_received_timestamp_seconds",
        Kind::Gauge,
        "When rows came last; 0 for never.",
        |it| seconds(it.received_unix_ms),
    ),
];

/// Nothing that is not known is written, for a counter would look as if it had begun anew.
fn write_clusters(out: &mut Exposition, clusters: &[ClusterStatus]) {
    let help = "Whether it said within a second how it is; else its other series are left out.";
    let mut answered = out.family("heapster_cluster_answered", Kind::Gauge, help);
    for cluster in clusters {
        let value = f64::from(u8::from(cluster.has_answered()));
        answered.sample(&[("cluster", &cluster.name)], value);
    }
    let known = clusters.iter().filter(|cluster| cluster.has_answered());
    write_known_clusters(out, &known.cloned().collect::<Vec<_>>());
}

fn write_known_clusters(out: &mut Exposition, clusters: &[ClusterStatus]) {
    write_columns(out, CLUSTERS, clusters, |it| vec![("cluster", it.name.clone())]);
    let mut hosts = out.family("heapster_cluster_hosts", Kind::Gauge, "Hosts by their last poll.");
    for cluster in clusters {
        for (state, ok) in [("ok", Some(true)), ("failed", Some(false)), ("unpolled", None)] {
            let count = cluster
                .hosts
                .iter()
                .filter(|host| host.state.as_ref().map(|state| state.ok) == ok)
                .count();
            hosts.sample(&[("cluster", &cluster.name), ("state", state)], count as f64);
        }
    }
    let discoveries = clusters.iter().flat_map(|cluster| {
        cluster.discoveries.iter().map(move |discovery| (cluster.name.clone(), discovery))
    });
    let discoveries: Vec<_> = discoveries.collect();
    let columns: &[Column<(String, &heapster_shared::host::DiscoveryState)>] = &[
        (
            "heapster_discovery_ok",
            Kind::Gauge,
            "Whether the newest attempt gave a list of hosts.",
            |it| f64::from(u8::from(it.1.ok)),
        ),
        ("heapster_discovery_hosts", Kind::Gauge, "Hosts of the list in force.", |it| {
            it.1.hosts as f64
        }),
        (
            "heapster_discovery_listed_timestamp_seconds",
            Kind::Gauge,
            "When the list in force was read; 0 for never.",
            |it| seconds(it.1.listed_unix_ms),
        ),
    ];
    write_columns(out, columns, &discoveries, |it| {
        vec![("cluster", it.0.clone()), ("discovery", it.1.name.clone())]
    });
}

const BUDDIES: &[Column<BuddyStatus>] = &[
    ("heapster_buddy_connected", Kind::Gauge, "Whether its Control stream is open.", |it| {
        f64::from(u8::from(it.connected))
    }),
    (
        "heapster_buddy_heard_timestamp_seconds",
        Kind::Gauge,
        "When it was heard of last; 0 for never.",
        |it| seconds(it.heard_unix_ms),
    ),
    ("heapster_buddy_clock_offset_seconds", Kind::Gauge, "Its clock less the master's.", |it| {
        seconds(it.clock_offset_ms)
    }),
    ("heapster_buddy_assigned_hosts", Kind::Gauge, "Hosts that it is to poll.", |it| {
        it.assignment.as_ref().map_or(0.0, |assignment| assignment.hosts as f64)
    }),
    ("heapster_buddy_delivered_sequence", Kind::Gauge, "Newest sequence number delivered.", |it| {
        it.delivered_sequence as f64
    }),
    ("heapster_buddy_received_bytes_total", Kind::Counter, "Bytes of frames that came.", |it| {
        it.received_bytes as f64
    }),
    ("heapster_buddy_received_frames_total", Kind::Counter, "Frames that came.", |it| {
        it.received_frames as f64
    }),
    ("heapster_buddy_retried_frames_total", Kind::Counter, "Frames put off.", |it| {
        it.retried_frames as f64
    }),
    ("heapster_buddy_rejected_frames_total", Kind::Counter, "Frames refused for good.", |it| {
        it.rejected_frames as f64
    }),
    (
        "heapster_buddy_slowed_seconds_total",
        Kind::Counter,
        "How long it had to wait because it sent more than it may.",
        |it| it.slowed_ms as f64 / 1e3,
    ),
    ("heapster_buddy_spool_bytes", Kind::Gauge, "Bytes in its spool.", |it| it.spool_bytes as f64),
    (
        "heapster_buddy_dropped_frames_total",
        Kind::Counter,
        "Frames its full spool dropped.",
        |it| it.dropped_frames as f64,
    ),
    (
        "heapster_buddy_spool_damaged_frames_total",
        Kind::Counter,
        "Frames found broken in its spool.",
        |it| it.damaged_frames as f64,
    ),
    (
        "heapster_buddy_spool_in_memory",
        Kind::Gauge,
        "Whether its spool is in memory, because the disk refuses.",
        |it| f64::from(u8::from(!it.spool_error.is_empty())),
    ),
];

fn write_buddies(out: &mut Exposition, buddies: &[BuddyStatus]) {
    write_columns(out, BUDDIES, buddies, |it| {
        vec![("cluster", it.cluster.clone()), ("buddy", it.id.clone())]
    });
    write_observers(out, buddies);
}

/// What observes events, with its buddy.
type Observing<'a> = (&'a BuddyStatus, &'a ObserverState);

fn write_observers(out: &mut Exposition, buddies: &[BuddyStatus]) {
    let observers = buddies
        .iter()
        .flat_map(|buddy| buddy.observers.iter().map(move |observer| (buddy, observer)));
    let observers: Vec<Observing<'_>> = observers.collect();
    let columns: &[Column<Observing<'_>>] = &[
        ("heapster_events_ok", Kind::Gauge, "Whether events can be observed.", |it| {
            f64::from(u8::from(it.1.ok))
        }),
        ("heapster_events_observed_total", Kind::Counter, "Events that were told of.", |it| {
            it.1.observed as f64
        }),
        (
            "heapster_events_deduplicated_total",
            Kind::Counter,
            "Events that were told of before, and left out.",
            |it| it.1.deduplicated as f64,
        ),
        ("heapster_events_sent_total", Kind::Counter, "Events on their way or here.", |it| {
            it.1.sent as f64
        }),
        (
            "heapster_events_dropped_total",
            Kind::Counter,
            "Events left out because they were too many.",
            |it| it.1.dropped as f64,
        ),
    ];
    write_columns(out, columns, &observers, |it| {
        vec![
            ("cluster", it.0.cluster.clone()),
            ("buddy", it.0.id.clone()),
            ("observer", it.1.name.clone()),
        ]
    });
}

const ACTORS: &[Column<ActorStatus>] = &[
    ("heapster_actor_restarts_total", Kind::Counter, "Times it was started again.", |it| {
        f64::from(it.restarts)
    }),
    ("heapster_actor_mailbox_messages", Kind::Gauge, "Messages not yet handled.", |it| {
        it.mailbox_depth as f64
    }),
];

fn write_actors(out: &mut Exposition, actors: &[ActorStatus]) {
    write_columns(out, ACTORS, actors, |it| vec![("actor", it.path.clone())]);
}

fn write_model(out: &mut Exposition, stats: &ModelStats) {
    let gauges = [
        ("heapster_model_bytes", "Bytes that the recent past takes.", stats.bytes),
        ("heapster_model_limit_bytes", "Bytes that it may take.", stats.max_bytes),
        ("heapster_model_entities", "Entities in it.", stats.entities),
        ("heapster_model_chunks", "Batches in it, once a node.", stats.chunks),
    ];
    for (name, help, value) in gauges {
        out.family(name, Kind::Gauge, help).sample(&[], value as f64);
    }
    let folded = "Batches given up before their time for want of memory.";
    out.family("heapster_model_folded_early_total", Kind::Counter, folded)
        .sample(&[], stats.folded_early as f64);
    let mut rows =
        out.family("heapster_model_rows_total", Kind::Counter, "Rows by what became of them.");
    let outcomes = [
        ("taken", stats.rows.taken),
        ("late", stats.rows.late),
        ("repeated", stats.rows.repeated),
        ("refused", stats.rows.refused),
        ("ahead", stats.rows.ahead),
    ];
    for (outcome, count) in outcomes {
        rows.sample(&[("outcome", outcome)], count as f64);
    }
}
