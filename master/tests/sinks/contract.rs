//! What every sink of the table keeps, whatever it writes to.

use std::time::{Duration, Instant};

use heapster_master::{
    delivery::{Outcome, Payload},
    sinks::KINDS,
};
use heapster_shared::tick::Tick;

use crate::{
    contract_peers::{Hears, Mode, Peer, peer_of},
    support::{PATIENCE, drain, entities, offer, rows, samples, settled, start, until},
};

/// Fast, so that failures are over soon.
const FAST: &str = "required=true&flush_interval=1ms&retry_first=5ms&retry_longest=20ms";

async fn peers() -> Vec<Box<dyn Peer>> {
    let mut peers = Vec::new();
    for kind in KINDS {
        peers.push(peer_of(kind.name).await);
    }
    peers
}

/// The peers of sinks that learn at least so much.
async fn peers_that(hear: Hears) -> Vec<Box<dyn Peer>> {
    peers().await.into_iter().filter(|peer| peer.hears() >= hear).collect()
}

/// Waits until a peer has so many samples; it is to have no more.
async fn reached(peer: &dyn Peer, samples: u64) {
    let deadline = Instant::now() + PATIENCE;
    while peer.samples() < samples && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(peer.samples(), samples, "{}", peer.spec());
}

/// What is offered is written, the end of a round goes through too, and nothing is counted twice.
#[actix::test]
async fn accepts() {
    let entities = entities();
    for peer in peers().await {
        let sink = start(&format!("{}&{FAST}", peer.spec()));
        let mut outcomes = Vec::new();
        let mut offered = 0;
        for number in 0..3 {
            let payload = rows(&entities, number);
            offered += samples(&payload);
            outcomes.push(offer(&sink, payload).await);
        }
        let end = Payload::RoundEnd { cluster: "lab".into(), tick: Tick(0) };
        outcomes.push(offer(&sink, end).await);
        for outcome in outcomes {
            assert_eq!(settled(outcome).await, Outcome::Delivered);
        }
        let status = until(&sink, |status| status.state == "ok").await;
        assert_eq!((status.accepted, status.delivered), (offered, offered));
        assert_eq!((status.rejected, status.dropped, status.retries), (0, 0, 0));
        assert_eq!(status.queue_bytes, 0);
        reached(&*peer, offered).await;
    }
}

/// The batch waits, its ticket unsettled, until the peer takes it.
#[actix::test]
async fn retries_a_transient_failure() {
    let payload = rows(&entities(), 0);
    for mut peer in peers_that(Hears::Connection).await {
        peer.set(Mode::FailForNow).await;
        let sink = start(&format!("{}&{FAST}", peer.spec()));
        let mut outcome = offer(&sink, payload.clone()).await;
        let status = until(&sink, |status| status.retries >= 3).await;
        assert_eq!((status.state.as_str(), status.delivered), ("retrying", 0));
        assert!(!status.last_error.is_empty() && status.queue_bytes > 0);
        assert!(outcome.try_recv().is_err());
        peer.set(Mode::Accept).await;
        assert_eq!(settled(outcome).await, Outcome::Delivered);
        reached(&*peer, samples(&payload)).await;
        let status = until(&sink, |status| status.state == "ok").await;
        assert_eq!((status.delivered, status.dropped), (samples(&payload), 0));
    }
}

/// A peer that takes its time is waited for: nothing is written twice, and nothing is lost.
#[actix::test]
async fn waits_for_a_slow_peer() {
    let entities = entities();
    for mut peer in peers().await {
        peer.set(Mode::Slow).await;
        let sink = start(&format!("{}&{FAST}&concurrency=2", peer.spec()));
        let mut outcomes = Vec::new();
        let mut offered = 0;
        for number in 0..8 {
            let payload = rows(&entities, number);
            offered += samples(&payload);
            outcomes.push(offer(&sink, payload).await);
        }
        for outcome in outcomes {
            assert_eq!(settled(outcome).await, Outcome::Delivered);
        }
        let status = until(&sink, |status| status.state == "ok").await;
        assert_eq!((status.delivered, status.retries), (offered, 0), "{}", peer.spec());
        reached(&*peer, offered).await;
    }
}

/// What the peer refuses for good is given up and counted, and does not block what comes after.
#[actix::test]
async fn gives_up_on_a_permanent_failure() {
    let entities = entities();
    for mut peer in peers_that(Hears::All).await {
        peer.set(Mode::Refuse).await;
        let sink = start(&format!("{}&{FAST}", peer.spec()));
        let refused = rows(&entities, 0);
        let outcome = settled(offer(&sink, refused.clone()).await).await;
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
        let status = until(&sink, |status| status.state == "failing").await;
        assert_eq!((status.rejected, status.retries), (samples(&refused), 0));
        peer.set(Mode::Accept).await;
        let taken = rows(&entities, 1);
        assert_eq!(settled(offer(&sink, taken.clone()).await).await, Outcome::Delivered);
        assert_eq!(peer.samples(), samples(&taken));
    }
}

/// With a peer that never answers, offers and questions are still answered at once, another sink
/// gets its rows, memory stays within its bound, and every sample is accounted for.
#[actix::test]
async fn a_hung_peer_holds_nobody() {
    let entities = entities();
    for mut peer in peers_that(Hears::All).await {
        peer.set(Mode::Hang).await;
        let options = "flush_interval=1ms&timeout=50ms&retry_first=5ms&retry_longest=20ms";
        let hung = start(&format!("{}&{options}&queue_bytes=64KiB", peer.spec()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = start(&format!("log:{}?{FAST}", file.path().display()));

        let begin = Instant::now();
        let mut offered = 0;
        let mut last = None;
        for number in 0..200 {
            let payload = rows(&entities, number);
            offered += samples(&payload);
            drop(offer(&hung, payload.clone()).await);
            last = Some(offer(&other, payload).await);
        }
        assert_eq!(settled(last.unwrap()).await, Outcome::Delivered);
        let status = until(&hung, |status| status.retries >= 1).await;
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
        assert!(status.queue_bytes <= status.queue_limit_bytes, "{status:?}");
        assert!(status.dropped > 0 && status.accepted == offered, "{status:?}");

        peer.set(Mode::Accept).await;
        let status = until(&hung, |status| status.queue_bytes == 0).await;
        assert_eq!(status.delivered + status.dropped, offered);
        // A write that the peer took just after its timeout is written again.
        assert!(peer.samples() >= status.delivered, "{status:?}");
    }
}

/// What waits for the flush interval is written when the program stops.
#[actix::test]
async fn drains_at_shutdown() {
    let payload = rows(&entities(), 0);
    for peer in peers().await {
        let sink = start(&format!("{}&required=true&flush_interval=1h", peer.spec()));
        let outcome = offer(&sink, payload.clone()).await;
        drain(&sink, Duration::from_secs(20)).await;
        assert_eq!(settled(outcome).await, Outcome::Delivered);
        reached(&*peer, samples(&payload)).await;
        assert!(!sink.connected());
    }
}

/// A peer that hangs at shutdown costs the deadline and no more; the sender is asked to keep what
/// was not written.
#[actix::test]
async fn a_drain_ends_at_its_deadline() {
    for mut peer in peers_that(Hears::All).await {
        peer.set(Mode::Hang).await;
        let sink = start(&format!("{}&{FAST}&timeout=60s", peer.spec()));
        let outcome = offer(&sink, rows(&entities(), 0)).await;
        let begin = Instant::now();
        drain(&sink, Duration::from_millis(100)).await;
        assert!(begin.elapsed() < Duration::from_secs(20));
        let outcome = settled(outcome).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    }
}

/// A peer that goes away and comes back gets all that was offered in between.
#[actix::test]
async fn survives_the_peers_restart() {
    let entities = entities();
    for mut peer in peers_that(Hears::Connection).await {
        let sink = start(&format!("{}&{FAST}", peer.spec()));
        let first = rows(&entities, 0);
        assert_eq!(settled(offer(&sink, first.clone()).await).await, Outcome::Delivered);
        reached(&*peer, samples(&first)).await;
        peer.set(Mode::Away).await;
        let during = offer(&sink, rows(&entities, 1)).await;
        until(&sink, |status| status.retries >= 1).await;
        peer.set(Mode::Accept).await;
        assert_eq!(settled(during).await, Outcome::Delivered);
        assert_eq!(settled(offer(&sink, rows(&entities, 2)).await).await, Outcome::Delivered);
        reached(&*peer, until(&sink, |_| true).await.accepted).await;
    }
}
