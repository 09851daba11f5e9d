//! Tests of the poller, on paused time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use heapster_shared::{
    entity::Labels,
    host::{Host, HostState},
    row::Cell,
    schema::{Field, table},
    tick::{Resolution, Tick},
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Clock, Polled, Poller, PollerConfig, PollerInputs, PollerOutputs, RoundEnd};
use crate::{
    discovery::Listing,
    enrich::{Enricher, LabelRules},
    kubernetes::{ClusterMetadata, NodeInfo},
    source::{Layouts, PlainReading, PollError, Readings, Source, Subject},
};

/// The first tick of every test.
const TICK: i64 = 1_795_345_200_000;

/// A source whose hosts do as their names say: `dead-*` never answer, `broken-*` say no, `panic-*`
/// show a mistake in the source, `slow-*` take 20 s, others 50 ms.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<(String, Instant)>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[async_trait]
impl Source for Fake {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn own_host(&self) -> Option<Host> {
        None
    }

    async fn poll(&self, host: &Host) -> Result<Readings, PollError> {
        self.asked.lock().unwrap().push((host.id.to_string(), Instant::now()));
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let _leaving = scopeguard(&self.at_once);
        let kind = host.id.split('-').next().unwrap_or_default();
        match kind {
            "dead" => std::future::pending().await,
            "slow" => tokio::time::sleep(Duration::from_secs(20)).await,
            "broken" => return Err(PollError("answered 500".into())),
            "panic" => panic!("a mistake"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        let time_ms = i64::try_from(self.asked.lock().unwrap().len()).unwrap();
        let reading = PlainReading {
            subject: Subject::Node { labels: Labels::default() },
            time_ms,
            start_time_ms: 0,
            values: vec![(Field::plain(table::MEMORY_USAGE.def()), Cell::int(1))],
        };
        Ok(Readings::collect(vec![reading], &Layouts::default()))
    }
}

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn scopeguard(count: &AtomicUsize) -> Leaving<'_> {
    Leaving(count)
}

struct Bench {
    source: Arc<Fake>,
    listing: watch::Sender<Listing>,
    assignment: watch::Sender<Option<Arc<Vec<Host>>>>,
    resolution: watch::Sender<Resolution>,
    polled: mpsc::Receiver<Polled>,
    states: watch::Receiver<Arc<Vec<HostState>>>,
    started: Instant,
    _stop: tokio_util::sync::DropGuard,
}

fn hosts(ids: &[&str]) -> Arc<Vec<Host>> {
    Arc::new(ids.iter().map(|id| Host::named(id)).collect())
}

/// A round's end, the hosts whose rows came in it, and when it ended after the start.
type Outcome = (RoundEnd, Vec<String>, Duration);

impl Bench {
    fn start(ids: &[&str], host_timeout: Option<Duration>, concurrency: usize) -> Self {
        let listing = Listing { hosts: hosts(ids), states: Vec::new() };
        Self::with_enricher(listing, host_timeout, concurrency, None)
    }

    fn with_enricher(
        first: Listing,
        host_timeout: Option<Duration>,
        concurrency: usize,
        enricher: Option<Enricher>,
    ) -> Self {
        let source = Arc::new(Fake::default());
        let started = Instant::now();
        let clock: Clock =
            Arc::new(move || TICK + i64::try_from(started.elapsed().as_millis()).unwrap());
        let (listing, listing_out) = watch::channel(first);
        let (assignment, assignment_out) = watch::channel(None);
        let (resolution, resolution_out) = watch::channel(Resolution::DEFAULT);
        let (polled_in, polled) = mpsc::channel(4);
        let (states_in, states) = watch::channel(Arc::default());
        let config = PollerConfig { cluster: "lab".into(), host_timeout, concurrency };
        let inputs = PollerInputs {
            listing: listing_out,
            assignment: assignment_out,
            resolution: resolution_out,
        };
        let outputs = PollerOutputs { polled: polled_in, states: states_in };
        let sources: Vec<Arc<dyn Source>> = vec![Arc::clone(&source) as Arc<dyn Source>];
        let cancel = CancellationToken::new();
        let poller = Poller::new(config, sources, clock, inputs, outputs).enriched(enricher);
        tokio::spawn(poller.run(cancel.clone()));
        let _stop = cancel.drop_guard();
        Self { source, listing, assignment, resolution, polled, states, started, _stop }
    }

    async fn round(&mut self) -> Outcome {
        let mut rows = Vec::new();
        loop {
            match self.polled.recv().await.unwrap() {
                Polled::Rows(batch) => {
                    let row = batch.blocks[0].row(0);
                    rows.push(row.head.entity.name.to_string());
                }
                Polled::Samples(_) => {}
                Polled::RoundEnd(end) => {
                    rows.sort();
                    return (end, rows, self.started.elapsed());
                }
            }
        }
    }
}

fn end(tick_ms: i64, ok: u32, failed: u32, late: u32) -> RoundEnd {
    RoundEnd { tick: Tick(TICK + tick_ms), ok, failed, late }
}

/// A dead host ends the round late and costs its own rows only; the others' rows are there before.
/// Its next tick is not put off.
#[tokio::test(start_paused = true)]
async fn a_dead_host_costs_only_itself() {
    let mut bench = Bench::start(&["a", "b", "dead-1", "broken-1", "panic-1"], None, 16);
    let (first, rows, at) = bench.round().await;
    assert_eq!(first, end(0, 2, 2, 1));
    assert_eq!(rows, ["a", "b"]);
    assert!(at >= Duration::from_secs(10) && at < Duration::from_secs(15), "{at:?}");
    let states = bench.states.borrow_and_update().clone();
    let state = |id: &str| states.iter().find(|state| state.host_id == id).unwrap().clone();
    assert!(state("a").ok && state("a").source == "fake" && state("a").latency_ms == 50);
    assert_eq!(state("dead-1").error, "fake: no answer within 10000 ms");
    assert_eq!(state("broken-1").error, "fake: answered 500");
    assert!(state("panic-1").error.contains("mistake in the program"));
    assert_eq!(bench.round().await.0, end(15_000, 2, 2, 1));
}

/// What is known of a node is on its rows, poll by poll under one layout.
#[tokio::test(start_paused = true)]
async fn readings_are_enriched_before_they_become_rows() {
    let mut node = NodeInfo { name: "a".into(), ..NodeInfo::default() };
    node.labels = Labels::from_iter([("os", "linux")]);
    node.capacity.memory_bytes = Some(4);
    let cluster = ClusterMetadata::of(vec![node], Vec::new(), Vec::new());
    let enricher = Enricher::new(Arc::new(Arc::new(cluster).into()), LabelRules::default());
    let listing = Listing { hosts: hosts(&["a", "b"]), states: Vec::new() };
    let mut bench = Bench::with_enricher(listing, None, 16, Some(enricher));
    let mut layouts = Vec::new();
    let (mut rows, mut rounds) = (Vec::new(), 0);
    while rounds < 2 {
        let Polled::Rows(batch) = bench.polled.recv().await.unwrap() else {
            rounds += 1;
            continue;
        };
        let entity = &batch.blocks[0].row(0).head.entity;
        rows.push((entity.name.to_string(), entity.labels.joined(";")));
        if entity.name == "a" {
            layouts.push(Arc::clone(batch.blocks[0].layout()));
        }
    }
    rows.sort();
    let expected = [("a", "labels:os:linux"), ("a", "labels:os:linux"), ("b", ""), ("b", "")];
    assert_eq!(rows, expected.map(|(name, labels)| (name.to_owned(), labels.to_owned())));
    assert!(layouts[0].index_of(table::MEMORY_NODE_UTILIZATION.def()).is_some());
    assert!(Arc::ptr_eq(&layouts[0], &layouts[1]));
}

/// With more dead hosts than places, hosts that work are held up in the first round at most:
/// from the second on the dead wait in their own lane.
#[tokio::test(start_paused = true)]
async fn many_dead_hosts_take_no_place_from_the_living() {
    let mut ids: Vec<String> = (0..40).map(|number| format!("dead-{number}")).collect();
    ids.extend((0..40).map(|number| format!("live-{number}")));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut bench = Bench::start(&ids, Some(Duration::from_secs(4)), 4);
    bench.round().await;
    bench.round().await;
    let (third, rows, _) = bench.round().await;
    assert_eq!((third.ok, third.late), (40, 40));
    assert_eq!(rows.len(), 40);
    assert!(bench.source.most_at_once.load(Ordering::SeqCst) <= 8);
}

/// Starts lie within the first five seconds of each tick and apart; each host's is the same at
/// each tick.
#[tokio::test(start_paused = true)]
async fn starts_are_spread() {
    let ids: Vec<String> = (0..100).map(|number| format!("node-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut bench = Bench::start(&ids, None, 1_000);
    bench.round().await;
    bench.round().await;
    let asked = bench.source.asked.lock().unwrap().clone();
    let offsets = |round: usize| {
        let tick = bench.started + Duration::from_secs(15) * u32::try_from(round).unwrap();
        let polls = &asked[round * 100..(round + 1) * 100];
        let mut offsets: Vec<(String, u128)> =
            polls.iter().map(|(id, at)| (id.clone(), (*at - tick).as_millis())).collect();
        offsets.sort();
        offsets
    };
    let latest = offsets(0).iter().map(|(_, offset)| *offset).max().unwrap();
    assert!((4_000..5_100).contains(&latest), "{latest}");
    for (first, second) in offsets(0).iter().zip(offsets(1)) {
        assert!(first.1.abs_diff(second.1) <= 5 && first.0 == second.0, "{first:?} {second:?}");
    }
}

/// An empty list ends its rounds like any other, and hosts that come later are in the next one.
#[tokio::test(start_paused = true)]
async fn a_round_without_hosts_ends() {
    let mut bench = Bench::start(&[], None, 16);
    assert_eq!(bench.round().await.0, end(0, 0, 0, 0));
    bench.listing.send_replace(Listing { hosts: hosts(&["a"]), states: Vec::new() });
    assert_eq!(bench.round().await.0, end(15_000, 1, 0, 0));
}

/// A host that takes longer than a tick is not asked twice at once; it counts as late, and its
/// rows come when it has answered.
#[tokio::test(start_paused = true)]
async fn a_busy_host_is_not_asked_again() {
    let mut bench = Bench::start(&["slow-1", "a"], Some(Duration::from_secs(25)), 16);
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(bench.round().await.0);
    }
    ends.sort_by_key(|end| end.tick);
    assert_eq!(ends[..2], [end(0, 2, 0, 0), end(15_000, 1, 0, 1)]);
    assert_eq!(ends[2], end(45_000, 1, 0, 1));
    let asked = bench.source.asked.lock().unwrap();
    let slow = asked.iter().filter(|(id, _)| id == "slow-1").count();
    assert_eq!(slow, 2);
}

/// Hosts come and go while running; an assignment goes before what is listed; another resolution
/// holds from the next tick on.
#[tokio::test(start_paused = true)]
async fn hosts_and_resolution_change_while_running() {
    let mut bench = Bench::start(&["a"], None, 16);
    let (first, rows, at) = bench.round().await;
    assert_eq!((first, rows), (end(0, 1, 0, 0), vec!["a".to_owned()]));
    assert!(at < Duration::from_millis(100), "a lone host starts at once: {at:?}");
    bench.listing.send_replace(Listing { hosts: hosts(&["b", "c"]), states: Vec::new() });
    assert_eq!(bench.round().await.1, ["b", "c"]);
    bench.assignment.send_replace(Some(hosts(&["d"])));
    let (third, rows, _) = bench.round().await;
    assert_eq!((third, rows), (end(30_000, 1, 0, 0), vec!["d".to_owned()]));
    bench.resolution.send_replace(Resolution::new(Duration::from_secs(5)).unwrap());
    assert_eq!(bench.round().await.0, end(35_000, 1, 0, 0));
    assert_eq!(bench.states.borrow().len(), 1);
}

/// A host that goes to another buddy while its answer is under way is not lost for this tick, nor
/// asked at the next; without an assignment it is again what is found that counts.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_given_away_is_finished() {
    let mut bench = Bench::start(&["a", "b"], None, 16);
    while bench.source.asked.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.assignment.send_replace(Some(hosts(&["b"])));
    let (first, rows, _) = bench.round().await;
    assert_eq!((first, rows), (end(0, 2, 0, 0), vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(bench.states.borrow().len(), 1, "no state of what is another's");
    assert_eq!(bench.round().await.1, ["b"]);
    bench.assignment.send_replace(None);
    assert_eq!(bench.round().await.1, ["a", "b"]);
}

/// A source without rows for a host leaves it to the next one; a source that names the host keeps
/// it to itself.
#[tokio::test(start_paused = true)]
async fn the_next_source_is_asked_when_the_one_before_failed() {
    struct Fixed(&'static str, Option<&'static str>, bool);
    #[async_trait]
    impl Source for Fixed {
        fn kind(&self) -> &'static str {
            self.0
        }
        fn own_host(&self) -> Option<Host> {
            self.1.map(Host::named)
        }
        async fn poll(&self, _: &Host) -> Result<Readings, PollError> {
            if self.2 { Ok(Readings::default()) } else { Err(PollError("no".into())) }
        }
    }
    let ask = async |id: &str, sources: Vec<Arc<dyn Source>>| {
        let host = Arc::new(Host::named(id));
        let ask = super::ask::Ask {
            sources: super::ask::sources_of(&host, &sources.into()),
            host,
            lane: Arc::new(tokio::sync::Semaphore::new(1)),
            offset: Duration::ZERO,
            timeout: Duration::from_secs(1),
        };
        let answer = ask.run().await;
        answer.outcome.map(|_| answer.source).map_err(|failure| failure.error)
    };
    let sources = || -> Vec<Arc<dyn Source>> {
        vec![
            Arc::new(Fixed("first", None, false)),
            Arc::new(Fixed("own", Some("h1"), false)),
            Arc::new(Fixed("second", None, true)),
        ]
    };
    assert_eq!(ask("h2", sources()).await, Ok("second"));
    assert_eq!(ask("h1", sources()).await, Err("own: no".to_owned()));
    let only_own: Vec<Arc<dyn Source>> = vec![Arc::new(Fixed("own", Some("h1"), true))];
    assert!(ask("h2", only_own).await.unwrap_err().contains("--source"));
}
