//! The uplink against a master that grants little, puts off, cuts and refuses.

#![allow(clippy::unwrap_used)]

#[path = "uplink/master.rs"]
mod master;
#[allow(dead_code)]
#[path = "uplink/reader.rs"]
mod reader;

use std::{path::Path, sync::Arc, time::Duration};

use heapster_buddy::{
    discovery::Listing,
    pipeline::{HostPipeline, Plans},
    poller::{Polled, RoundEnd},
    source::{Layouts, PlainReading, Readings, Subject},
    spool::{
        SpoolConfig,
        disk::{DiskConfig, Fsync},
    },
    uplink::{Duties, Identity, Refused, Remains, Uplink, UplinkConfig, UplinkPorts},
};
use heapster_proto::v1::{self, Refusal, from_buddy, open::Purpose, refusal, to_buddy};
use heapster_shared::{
    entity::Labels,
    host::{DiscoveryState, Host, HostState},
    row::{Cell, RowBatch},
    schema::{Field, table},
    tick::{Resolution, Tick},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use master::{Master, Script};
use reader::Value;

const TICK: i64 = 1_795_345_200_000;

/// An uplink without a poller: the test writes the rows.
struct Buddy {
    polled: mpsc::Sender<Polled>,
    listing: watch::Sender<Listing>,
    states: watch::Sender<Arc<Vec<HostState>>>,
    assignment: watch::Receiver<Option<Arc<Vec<Host>>>>,
    resolution: watch::Receiver<Resolution>,
    drain: CancellationToken,
    running: JoinHandle<Result<(), Refused>>,
    writer: JoinHandle<()>,
    remains: Remains,
    pipeline: HostPipeline,
    plans: Plans,
}

impl Buddy {
    fn start(master: &Master, instance: &str, spool: Option<&Path>) -> Self {
        let (polled, polled_out) = mpsc::channel(16);
        let (listing, listing_out) =
            watch::channel(Listing { hosts: Arc::new(vec![Host::named("a")]), states: Vec::new() });
        let (states, states_out) = watch::channel(Arc::default());
        let (assignment_in, assignment) = watch::channel(None);
        let (resolution_in, resolution) = watch::channel(Resolution::DEFAULT);
        let ports = UplinkPorts {
            listing: listing_out,
            states: states_out,
            assignment: assignment_in,
            resolution: resolution_in,
            resolution_is_fixed: false,
        };
        let identity = Identity {
            buddy_id: "b1".into(),
            instance_id: instance.into(),
            cluster: "lab".into(),
            manager: "static".into(),
            duties: Duties::default(),
        };
        let config = UplinkConfig::loopback(master.address, None).unwrap();
        let disk = spool.map(|directory| DiskConfig {
            directory: directory.to_owned(),
            most_bytes: 1 << 30,
            fsync: Fsync::default(),
        });
        let spool = SpoolConfig { memory_bytes: 1 << 20, disk };
        let uplink = Uplink::new(config, identity, ports, spool);
        let remains = uplink.remains();
        let writer = tokio::spawn(uplink.writer(polled_out));
        let drain = CancellationToken::new();
        let running = tokio::spawn(uplink.run(drain.clone()));
        Self {
            polled,
            listing,
            states,
            assignment,
            resolution,
            drain,
            running,
            writer,
            remains,
            pipeline: HostPipeline::default(),
            plans: Plans::default(),
        }
    }

    /// One round with one host that has ten containers; two frames.
    async fn round(&mut self, round: i64) {
        let tick = Tick(TICK + round * 15_000);
        let readings = (0..10).map(|index| PlainReading {
            subject: Subject::SysContainer {
                name: format!("container-{index}").into(),
                uid: "".into(),
                labels: Labels::default(),
            },
            time_ms: tick.0,
            start_time_ms: 1,
            values: vec![
                (Field::plain(table::CPU_USAGE.def()), Cell::int(usage(round, index))),
                (Field::plain(table::MEMORY_USAGE.def()), Cell::int(1_000 - round)),
            ],
        });
        let readings = Readings::collect(readings.collect(), &Layouts::default());
        let blocks = self.pipeline.advance(&mut self.plans, &Arc::new(Host::named("a")), &readings);
        let batch = RowBatch { cluster: "lab".into(), tick, blocks };
        self.polled.send(Polled::Rows(batch)).await.unwrap();
        let end = RoundEnd { tick, ok: 1, failed: 0, late: 0 };
        self.polled.send(Polled::RoundEnd(end)).await.unwrap();
    }

    /// Stops as the program does: writes what was polled, then waits for the master.
    async fn stop(self, within: Duration) -> Remains {
        drop(self.polled);
        self.writer.await.unwrap();
        self.drain.cancel();
        let mut running = self.running;
        match tokio::time::timeout(within, &mut running).await {
            Ok(ended) => ended.unwrap().unwrap(),
            Err(_) => running.abort(),
        }
        self.remains
    }
}

/// Restarts from a low value now and then, so that some rows are absolute.
fn usage(round: i64, index: i64) -> i64 {
    (round % 7) * 1_000_000 + index
}

/// Every row of so many rounds is there, exactly, under numbers without a gap.
fn check_rows(master: &Master, instance: &str, rounds: i64) {
    let seen = master.seen();
    assert_eq!(seen.wrong, Vec::<String>::new());
    let delivered: Vec<_> =
        seen.delivered.iter().filter(|((writer, _), _)| writer == instance).collect();
    let sequences: Vec<u64> = delivered.iter().map(|((_, sequence), _)| *sequence).collect();
    let expected = 1..=u64::try_from(rounds * 2).unwrap();
    assert_eq!(sequences, expected.collect::<Vec<_>>());
    let rows: Vec<_> = delivered.iter().flat_map(|(_, rows)| rows.iter()).collect();
    assert_eq!(rows.len(), usize::try_from(rounds * 10).unwrap());
    for (place, row) in rows.iter().enumerate() {
        let (round, index) =
            (i64::try_from(place / 10).unwrap(), i64::try_from(place % 10).unwrap());
        assert_eq!(row.path, format!("a/container-{index}"));
        assert_eq!(row.time_ms, TICK + round * 15_000);
        assert_eq!(row.cells[0], Value::Int(usage(round, index)), "round {round}");
        assert_eq!(row.cells[1], Value::Int(1_000 - round));
        let grown = (round % 7 > 0).then_some(1_000_000);
        assert_eq!(row.increases, [grown], "round {round}");
    }
}

fn script() -> Script {
    Script { credit_bytes: 4_096, ..Script::default() }
}

/// Little credit, frames put off, the stream cut with frames unanswered: every row arrives all the
/// same and is read exactly, and the credit is honoured.
#[tokio::test]
async fn every_row_arrives() {
    let script = Script { retry_every: Some(9), cut_after: Some(30), ..script() };
    let master = Master::start(script).await;
    let mut buddy = Buddy::start(&master, "i1", None);
    master.until("a live stream", |seen| !seen.opens.is_empty()).await;
    for round in 0..20 {
        buddy.round(round).await;
    }
    let is_live = |open: &&v1::Open| open.purpose() == Purpose::Live;
    let second = "a second live stream";
    master.until(second, |seen| seen.opens.iter().filter(is_live).count() == 2).await;
    for round in 20..40 {
        buddy.round(round).await;
    }
    master.until("all frames", |seen| seen.delivered.len() == 80).await;
    buddy.stop(Duration::from_secs(10)).await;
    check_rows(&master, "i1", 40);
    let seen = master.seen();
    assert!(seen.put_off > 2);
    let backfilled = seen.opens.iter().filter(|open| open.purpose() == Purpose::Backfill);
    assert!(backfilled.clone().count() >= 2, "{:?}", seen.opens);
    assert!(backfilled.clone().any(|open| open.delivered_through > 0));
    assert!(matches!(seen.control.last(), Some(from_buddy::Kind::Goodbye(_))));
}

/// What a master never acknowledged is on disk after a stop; the next start sends it as backfill
/// under the name of the start that wrote it, and removes the files.
#[tokio::test]
async fn what_is_left_at_a_stop_is_sent_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let silent = Master::start(Script { silent: true, ..script() }).await;
    let mut buddy = Buddy::start(&silent, "i1", Some(directory.path()));
    for round in 0..5 {
        buddy.round(round).await;
    }
    buddy.stop(Duration::from_millis(100)).await.keep();
    std::fs::write(directory.path().join("0-later.segment"), b"heapster-spool 9\n").unwrap();

    let master = Master::start(script()).await;
    let mut buddy = Buddy::start(&master, "i2", Some(directory.path()));
    buddy.round(0).await;
    master.until("both starts' frames", |seen| seen.delivered.len() == 12).await;
    buddy.stop(Duration::from_secs(10)).await.keep();
    check_rows(&master, "i1", 5);
    check_rows(&master, "i2", 1);
    let names = std::fs::read_dir(directory.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.ends_with(".segment")).collect();
    assert_eq!(left, ["0-later.segment"], "what a later version wrote is left to that");
}

/// A refusal for good ends the program with the master's sentence; it is not tried again.
#[tokio::test]
async fn a_refusal_for_good_is_fatal() {
    let refusal = Refusal {
        code: refusal::Code::ClusterNotAllowed.into(),
        message: "this credential does not name the cluster lab".into(),
        ..Refusal::default()
    };
    let master = Master::start(Script { refusal: Some(refusal), ..script() }).await;
    let buddy = Buddy::start(&master, "i1", None);
    let error = buddy.running.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the master refuses: this credential does not name the cluster lab"
    );
    assert_eq!(master.seen().control.len(), 1);
}

/// What Control carries: the hosts and their changes, how polling goes, the resolution, and the
/// hosts to poll; an assignment that makes no sense is refused with a sentence and changes nothing.
#[tokio::test]
async fn control_tells_and_is_told() {
    let master = Master::start(script()).await;
    let mut buddy = Buddy::start(&master, "i1", None);
    master
        .until("a snapshot", |seen| {
            seen.control.iter().any(|kind| {
        matches!(kind, from_buddy::Kind::Hosts(hosts) if hosts.last && hosts.hosts[0].id == "a")
    })
        })
        .await;
    let state = DiscoveryState {
        name: "static:hosts.json".into(),
        ok: false,
        error: "gone".into(),
        hosts: 1,
        listed_unix_ms: 1,
    };
    let hosts = Arc::new(vec![Host::named("a"), Host::named("b")]);
    buddy.listing.send_replace(Listing { hosts, states: vec![state] });
    let state = HostState {
        host_id: "a".into(),
        ok: true,
        error: String::new(),
        latency_ms: 7,
        tick_unix_ms: TICK,
        source: "fake".into(),
    };
    buddy.states.send_replace(Arc::new(vec![state]));
    master.until("a change and health", |seen| {
        let has = |wanted: &dyn Fn(&from_buddy::Kind) -> bool| seen.control.iter().any(wanted);
        has(&|kind| matches!(kind, from_buddy::Kind::HostChange(change) if change.upserted[0].id == "b"))
            && has(&|kind| matches!(kind, from_buddy::Kind::Health(health)
                if health.discoveries.iter().any(|state| state.error == "gone")))
            && has(&|kind| matches!(kind, from_buddy::Kind::Health(health)
                if health.hosts.iter().any(|state| state.latency_ms == 7)))
            && has(&|kind| matches!(kind, from_buddy::Kind::Heartbeat(_)))
    })
    .await;

    master.tell(to_buddy::Kind::Settings(v1::Settings { resolution_ms: 30_000 }));
    buddy.resolution.wait_for(|resolution| resolution.ms() == 30_000).await.unwrap();

    let host = |id: &str| v1::Host { id: id.into(), name: id.into(), ..v1::Host::default() };
    let assign = |version, ids: &[&str], last| {
        let hosts = ids.iter().map(|id| host(id)).collect();
        let own_hosts = false;
        master.tell(to_buddy::Kind::Assignment(v1::Assignment { version, hosts, last, own_hosts }));
    };
    assign(1, &["b"], false);
    assign(1, &["c"], true);
    buddy.assignment.changed().await.unwrap();
    let assigned = buddy.assignment.borrow_and_update().clone().unwrap();
    assert_eq!(assigned.iter().map(|host| host.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assign(2, &["b", "b"], true);
    master
        .until("a refused assignment", |seen| {
            seen.control.iter().any(|kind| {
                matches!(kind, from_buddy::Kind::AssignmentReply(reply)
            if reply.version == 2 && !reply.accepted && reply.error.contains("named twice"))
            })
        })
        .await;
    assert!(!buddy.assignment.has_changed().unwrap());
    buddy.stop(Duration::from_secs(10)).await;
}
