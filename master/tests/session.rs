//! The master as a buddy meets it: handshake, delivery, limits, failures.

#![allow(clippy::unwrap_used, unreachable_pub)] // the harness is a module of these tests alone

#[path = "session/assignment.rs"]
mod assignment;
#[path = "session/ceilings.rs"]
mod ceilings;
#[path = "session/credentials.rs"]
mod credentials;
#[path = "session/cursors.rs"]
mod cursors;
#[path = "session/expiry.rs"]
mod expiry;
#[path = "session/frames.rs"]
mod frames;
#[path = "session/gate.rs"]
mod gate;
#[path = "session/harness.rs"]
mod harness;
#[path = "session/limits.rs"]
mod limits;
#[path = "session/silence.rs"]
mod silence;

use std::{sync::atomic::Ordering, time::Duration};

use frames::{POD, SUMMED, TICK, batch, container, round_end, row};
use harness::{Mode, eventually, from_buddy, hello, with_master};
use heapster_master::{delivery::Outcome, status::StatusSource};
use heapster_proto::v1::{
    self, block::Form::Absolute, delivery::Outcome as Answer, from_buddy::Kind as Up,
    refusal::Code, to_buddy,
};
use tonic::Code as Grpc;
use tonic_reflection::pb::v1 as reflection;

#[test]
fn a_hello_is_welcomed_or_refused_with_a_reason() {
    with_master(&["--resolution", "5s"], async |bench| {
        let buddy = bench.buddy().await;
        assert_eq!((buddy.welcome.version, buddy.welcome.resolution_ms), (1, 5000));
        let limits = buddy.welcome.limits.as_ref().unwrap();
        assert_eq!((limits.credit_bytes, limits.max_streams), (8 << 20, 2));

        let refused = async |hello: v1::Hello| bench.hello(hello).await.err().unwrap();
        let future = refused(v1::Hello { versions: vec![2, 3], ..hello("b", "i") }).await;
        assert_eq!(future.code(), Code::Version);
        assert!(future.message.contains("upgrade"), "{}", future.message);
        let nameless = refused(v1::Hello { cluster: "a/b".into(), ..hello("b", "i") }).await;
        assert_eq!(nameless.code(), Code::Malformed);
        let twin = refused(hello("buddy-1", "two")).await;
        assert_eq!(twin.code(), Code::DuplicateInstance);
        assert!((20_000..=31_000).contains(&twin.retry_after_ms), "{}", twin.retry_after_ms);
    });
}

/// A buddy whose connection was cut comes back before the master has noticed.
#[test]
fn the_newest_stream_of_an_instance_wins() {
    with_master(&[], async |bench| {
        let mut first = bench.buddy().await;
        let second = bench.buddy().await;
        assert_ne!(first.session_id, second.session_id);
        assert_eq!(first.inbound.message().await.unwrap_err().code(), Grpc::Unavailable);
        let mut stale = first.stream(0).await;
        assert_eq!(stale.end().await.code(), Grpc::Unauthenticated);
        let mut live = second.stream(0).await;
        live.send(1, container(1)).await;
        assert_eq!(live.answered(1).await.outcome(), Answer::Delivered);
        // A second stream of one purpose takes the place of the first.
        let mut newer = second.stream(1).await;
        assert_eq!(live.end().await.code(), Grpc::Unavailable);
        newer.send(2, container(1)).await;
        assert_eq!(newer.answered(2).await.outcome(), Answer::Delivered);
    });
}

/// Another instance may take over once the one before has said goodbye.
#[test]
fn an_id_is_free_again_when_its_stream_has_ended() {
    with_master(&[], async |bench| {
        drop(bench.buddy().await);
        eventually("the id is free", async || bench.hello(hello("buddy-1", "two")).await.is_ok())
            .await;
        let buddies = bench.status.buddies().await;
        assert_eq!(buddies.len(), 1);
        assert_eq!((buddies[0].instance.as_str(), buddies[0].cluster.as_str()), ("two", "lab"));
    });
}

/// Nobody waits for the other to hang up first: a buddy that is drained is gone at once.
#[test]
fn a_goodbye_ends_the_stream() {
    with_master(&[], async |bench| {
        let mut buddy = bench.buddy().await;
        let goodbye = v1::Goodbye { reason: "the buddy was stopped".into() };
        buddy.control.send(from_buddy(Up::Goodbye(goodbye))).await.unwrap();
        assert!(buddy.inbound.message().await.unwrap().is_none());
        assert!(bench.hello(hello("buddy-1", "two")).await.is_ok(), "its id is free");
    });
}

/// 7.5 s of CPU time in 15 s is half a core; totals are running sums; the sums of the round follow
/// its end, and only pods count in them.
#[test]
fn rows_and_sums_reach_the_sinks() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        let mut ingest = buddy.stream(0).await;
        for n in 1..=2 {
            ingest.send(3 * n - 2, container(n)).await;
            let pod = row(SUMMED, POD, Absolute, [500, 400 + i64::try_from(n).unwrap()]);
            ingest.send(3 * n - 1, batch(n, vec![pod])).await;
            ingest.send(3 * n, round_end(n)).await;
        }
        assert_eq!(ingest.answered(6).await.outcome(), Answer::Delivered);
        let wanted =
            ["main cpu/usage 8500000000", "main cpu/usage_rate 500", "main memory/usage 501"]
                .map(|sample| format!("{} pod_container/{sample}", TICK + 30_000));
        let sums = ["ns/default cpu/usage_rate 500", "cluster/lab memory/usage 402"]
            .map(|sample| format!("{} {sample}", TICK + 30_000));
        for sink in [&bench.required, &bench.optional] {
            eventually("the sums arrive", async || {
                sums.iter().all(|sum| sink.samples().contains(sum))
            })
            .await;
            let samples = sink.samples();
            assert!(wanted.iter().all(|sample| samples.contains(sample)), "{samples:#?}");
            let first_rate = format!("{} pod_container/main cpu/usage_rate", TICK + 15_000);
            assert!(!samples.iter().any(|sample| sample.starts_with(&first_rate)));
        }
        let clusters = bench.status.clusters().await;
        assert_eq!(clusters[0].tick_unix_ms, i64::try_from(TICK).unwrap() + 30_000);
        assert_eq!((clusters[0].rows, clusters[0].buddies), (4, 1));
    });
}

/// Everything was delivered, but the buddy was cut off before it learnt of it.
#[test]
fn what_comes_again_after_a_cut_is_answered_and_not_routed_again() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        let mut ingest = buddy.stream(0).await;
        for n in 1..=3 {
            ingest.send(n, container(n)).await;
        }
        eventually("three batches", async || bench.required.rows().len() == 3).await;
        drop(ingest);
        // A new session, as after a real cut: the whole segment is replayed.
        let buddy = bench.buddy().await;
        let mut ingest = buddy.stream(1).await;
        for n in 1..=4 {
            ingest.send(n, container(n)).await;
        }
        assert_eq!(ingest.answered(4).await.outcome(), Answer::Delivered);
        let answered = ingest.deliveries.iter().map(|delivery| delivery.first_sequence).min();
        assert_eq!(answered, Some(2), "frame 1 was delivered before, by the buddy's own word");
        let ticks: Vec<i64> = bench.required.rows().iter().map(|rows| rows.tick.0).collect();
        let wanted = (1..=4).map(|n| i64::try_from(TICK + n * 15_000).unwrap());
        assert_eq!(ticks, wanted.collect::<Vec<_>>());
        // The running sum went over the cut.
        let total = format!("{} pod_container/main cpu/usage 23500000000", TICK + 60_000);
        assert!(bench.required.samples().contains(&total));
    });
}

/// A frame that is still with a sink when the stream is cut is answered on the next stream.
#[test]
fn what_is_under_way_at_a_cut_is_not_routed_twice() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        bench.required.set(Mode::Hold);
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, container(1)).await;
        eventually("the sink has it", async || bench.required.rows().len() == 1).await;
        drop(ingest);
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, container(1)).await;
        ingest.send(2, container(2)).await;
        eventually("the sink has the next", async || bench.required.rows().len() == 2).await;
        bench.required.release();
        assert_eq!(ingest.answered(2).await.outcome(), Answer::Delivered);
        assert_eq!(ingest.answered(1).await.outcome(), Answer::Delivered);
        assert_eq!(bench.required.rows().len(), 2);
    });
}

#[test]
fn an_acknowledgement_waits_for_the_required_sink() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        bench.required.set(Mode::Hold);
        bench.optional.set(Mode::Settle(Outcome::Rejected { reason: "not asked".into() }));
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, container(1)).await;
        eventually("the sink has it", async || bench.required.rows().len() == 1).await;
        let early = tokio::time::timeout(Duration::from_millis(200), ingest.answered(1)).await;
        assert!(early.is_err(), "answered before the sink had it: {early:?}");
        bench.required.release();
        assert_eq!(ingest.answered(1).await.outcome(), Answer::Delivered);
    });
}

/// Events are frames like rows: in order with them, acknowledged when the required sinks have them,
/// sent again where one could not take them, to nobody twice, and counted. How a buddy observes them
/// is kept as it was said last.
#[test]
fn events_are_delivered_as_rows_are() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        let events = |uids: &[&str]| {
            let event = |uid: &&str| v1::Event { uid: (*uid).into(), ..v1::Event::default() };
            v1::frame::Kind::Events(v1::Events { events: uids.iter().map(event).collect() })
        };
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, events(&["a", "b"])).await;
        ingest.send(2, container(1)).await;
        assert_eq!(ingest.answered(2).await.outcome(), Answer::Delivered);
        bench.required.set(Mode::Settle(Outcome::Retry { reason: "no connection".into() }));
        ingest.send(3, events(&["c"])).await;
        assert_eq!(ingest.answered(3).await.outcome(), Answer::Retry);
        bench.required.set(Mode::Settle(Outcome::Delivered));
        let mut again = buddy.stream(2).await;
        again.send(3, events(&["c"])).await;
        assert_eq!(again.answered(3).await.outcome(), Answer::Delivered);
        for sink in [&bench.required, &bench.optional] {
            eventually("all arrive", async || sink.events().len() >= 3).await;
            assert_eq!(sink.events(), ["a", "b", "c"]);
        }
        for sent in [3, 4] {
            let state =
                v1::ObserverState { name: "k".into(), sent, ..v1::ObserverState::default() };
            let health = v1::Health { observers: vec![state], ..v1::Health::default() };
            buddy.control.send(from_buddy(Up::Health(health))).await.unwrap();
        }
        eventually("the state is known", async || {
            let buddies = bench.status.buddies().await;
            buddies[0].observers.len() == 1 && buddies[0].observers[0].sent == 4
        })
        .await;
        assert_eq!(bench.status.clusters().await[0].events, 3, "each counts once");
    });
}

/// What a sink cannot take now goes back to the buddy, with its credit, and comes again.
#[test]
fn a_sink_that_is_down_costs_nothing_but_time() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        bench.required.set(Mode::Settle(Outcome::Retry { reason: "no connection".into() }));
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, container(1)).await;
        let answer = ingest.answered(1).await;
        assert_eq!(answer.outcome(), Answer::Retry);
        assert_eq!(answer.message, "no connection");
        assert!(answer.retry_after_ms > 0);
        bench.required.set(Mode::Settle(Outcome::Delivered));
        let mut again = buddy.stream(0).await;
        again.send(1, container(1)).await;
        assert_eq!(again.answered(1).await.outcome(), Answer::Delivered);
        assert_eq!(bench.required.rows().len(), 1);
        eventually("the other sink has it", async || !bench.optional.rows().is_empty()).await;
        assert_eq!(bench.optional.rows().len(), 1, "it has it once");

        bench.required.set(Mode::Settle(Outcome::Rejected { reason: "too old".into() }));
        again.send(2, container(2)).await;
        let answer = again.answered(2).await;
        assert_eq!((answer.outcome(), answer.message.as_str()), (Answer::Rejected, "too old"));
        let status = &bench.status.buddies().await[0];
        assert_eq!((status.rejected_frames, status.last_error.as_str()), (1, "too old"));
    });
}

#[test]
fn a_sink_that_panics_is_started_again() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        let mut ingest = buddy.stream(0).await;
        bench.required.set(Mode::Panic);
        ingest.send(1, container(1)).await;
        assert_eq!(ingest.answered(1).await.outcome(), Answer::Retry);
        eventually("a second start", async || bench.required.starts.load(Ordering::SeqCst) > 1)
            .await;
        bench.required.set(Mode::Settle(Outcome::Delivered));
        let mut again = buddy.stream(0).await;
        again.send(1, container(1)).await;
        assert_eq!(again.answered(1).await.outcome(), Answer::Delivered);
        let actors = bench.status.actors().await;
        let find = |path: &str| actors.iter().find(|actor| actor.path == path).unwrap();
        assert!(find("sink/required").restarts >= 1);
        assert_eq!(find("sink/required").last_exit, "panicked");
        assert_eq!(find("sink/optional").last_exit, "");
        assert_eq!(find("cluster/lab/session/buddy-1").mailbox_depth, 0);
        assert_eq!(actors[0].path, "supervisor");
    });
}

#[test]
fn hosts_are_listed_and_a_gap_asks_for_the_whole_list() {
    with_master(&[], async |bench| {
        let mut buddy = bench.buddy().await;
        let host = |id: &str| v1::Host { id: id.into(), name: id.into(), ..v1::Host::default() };
        let snapshot = v1::HostSnapshot { version: 1, hosts: vec![host("a")], last: true };
        buddy.control.send(from_buddy(Up::Hosts(snapshot))).await.unwrap();
        let change = v1::HostChange { from_version: 5, version: 6, ..v1::HostChange::default() };
        buddy.control.send(from_buddy(Up::HostChange(change))).await.unwrap();
        let asked = buddy.inbound.message().await.unwrap().unwrap().kind.unwrap();
        assert!(matches!(asked, to_buddy::Kind::SendSnapshot(_)), "{asked:?}");
        let health = v1::Health {
            hosts: vec![v1::HostState { host_id: "a".into(), ok: true, ..Default::default() }],
            ..v1::Health::default()
        };
        buddy.control.send(from_buddy(Up::Health(health))).await.unwrap();
        eventually("the host is well", async || {
            let clusters = bench.status.clusters().await;
            let state = clusters[0].hosts.first().and_then(|host| host.state.clone());
            state.is_some_and(|state| state.ok)
        })
        .await;
    });
}

/// Others' tools find out what is served, and load balancers whether it is well.
#[test]
fn reflection_health_and_zstd_are_served() {
    with_master(&[], async |bench| {
        let channel = bench.channel().await;
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
        let request =
            tonic_health::pb::HealthCheckRequest { service: "heapster.v1.Heapster".into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(
            answer.status(),
            tonic_health::pb::health_check_response::ServingStatus::Serving
        );

        let mut reflection = reflection::server_reflection_client::ServerReflectionClient::new(
            bench.channel().await,
        );
        let list =
            reflection::server_reflection_request::MessageRequest::ListServices(String::new());
        let request = reflection::ServerReflectionRequest {
            message_request: Some(list),
            ..Default::default()
        };
        let asked = tokio_stream::iter([request]);
        let mut answers = reflection.server_reflection_info(asked).await.unwrap().into_inner();
        let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
        assert!(answer.contains("heapster.v1.Heapster"), "{answer}");

        let client = bench.client().await;
        let mut client = client.send_compressed(tonic::codec::CompressionEncoding::Zstd);
        let buddy = bench.buddy().await;
        let (frames, outbound) = tokio::sync::mpsc::channel(8);
        let stream = tokio_stream::wrappers::ReceiverStream::new(outbound);
        let receipts = client.ingest(stream).await.unwrap().into_inner();
        let session_id = buddy.session_id.clone();
        let mut ingest =
            harness::Ingest { frames, receipts, session_id, credit: 0, deliveries: vec![] };
        ingest.open(0).await;
        ingest.send(0, frames::define()).await;
        ingest.send(1, container(1)).await;
        assert_eq!(ingest.answered(1).await.outcome(), Answer::Delivered);
    });
}

/// At a stop the buddies are told, and what the sinks still write is acknowledged.
#[test]
fn a_stop_drains_the_sinks_before_the_streams_end() {
    with_master(&[], async |bench| {
        let mut buddy = bench.buddy().await;
        bench.required.set(Mode::Hold);
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, container(1)).await;
        eventually("the sink has it", async || bench.required.rows().len() == 1).await;
        bench.stop.cancel();
        assert_eq!(ingest.answered(1).await.outcome(), Answer::Delivered);
        assert_eq!(ingest.end().await.code(), Grpc::Unavailable);
        let told = buddy.inbound.message().await.unwrap().unwrap().kind.unwrap();
        assert!(matches!(told, to_buddy::Kind::Drain(_)), "{told:?}");
        assert_eq!(buddy.inbound.message().await.unwrap_err().code(), Grpc::Unavailable);
        assert_eq!(bench.required.drains.load(Ordering::SeqCst), 1);
    });
}
