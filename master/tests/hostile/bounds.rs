//! How many, and how fast: each bound holds, says so, and leaves room for others.

use std::time::{Duration, Instant};

use heapster_master::status::StatusSource as _;
use heapster_proto::v1::{self, refusal::Code};

use super::{
    all_is_well, frames,
    harness::{eventually, hello, with_master},
    wire::RawPeer,
};

/// One more connection is closed at once, and is counted; when one goes there is room again.
#[test]
fn connections_are_bounded() {
    for option in ["--max-connections", "--max-connections-per-address"] {
        with_master(&[option, "3"], async |bench| {
            let mut peers = Vec::new();
            for _ in 0..3 {
                peers.push(RawPeer::greeted(bench.address).await);
            }
            eventually("they are counted", async || bench.status.connections().open == 3).await;
            RawPeer::connect(bench.address).await.until_closed().await;
            assert!(bench.status.connections().refused >= 1);
            assert_eq!(bench.status.connections().open, 3);
            peers.clear();
            eventually("there is room", async || bench.status.connections().open == 0).await;
            all_is_well(&bench, 0).await;
        });
    }
}

/// A buddy more than a credential, or here an address, may have is told so and when to come back; one
/// that leaves makes room.
#[test]
fn sessions_are_bounded() {
    with_master(&["--max-sessions-per-credential", "2"], async |bench| {
        let first = bench.hello(hello("b1", "one")).await.unwrap();
        let _second = bench.hello(hello("b2", "one")).await.unwrap();
        let refusal = bench.hello(hello("b3", "one")).await.err().unwrap();
        assert_eq!(refusal.code(), Code::Overloaded);
        assert!(refusal.message.contains("2 buddies connected"), "{}", refusal.message);
        assert!(refusal.message.contains("--max-sessions-per-credential"), "{}", refusal.message);
        assert!(refusal.retry_after_ms > 0);
        drop(first);
        eventually("there is room", async || bench.hello(hello("b3", "one")).await.is_ok()).await;
    });
}

/// A buddy that sends faster than it may is slowed and not cut: all of it is delivered, later. Another
/// one is served at once meanwhile, and what happened is shown.
#[test]
fn a_flood_of_frames_is_slowed() {
    let options = ["--max-frame-bytes", "16KiB", "--max-bytes-per-second", "64KiB"];
    with_master(&options, async |bench| {
        let fast = bench.buddy().await;
        let mut flood = fast.stream(0).await;
        let start = Instant::now();
        // Each frame counts as a kibibyte: 256 are a burst, the rest takes a second.
        let count = 320;
        for n in 1..=count {
            flood.send(n, frames::container(n)).await;
            if n == count / 2 {
                let other = bench.hello(hello("other", "one")).await.unwrap();
                let mut live = other.stream(0).await;
                live.send(1, frames::container(1)).await;
                live.answered(1).await;
            }
        }
        flood.answered(count).await;
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(800), "{elapsed:?} is too fast");
        let buddies = bench.status.buddies().await;
        let slowed = |id: &str| buddies.iter().find(|buddy| buddy.id == id).unwrap().slowed_ms;
        assert!(slowed("buddy-1") >= 500, "{} ms", slowed("buddy-1"));
        assert_eq!(slowed("other"), 0);
        drop((flood, fast));
        all_is_well(&bench, 0).await;
    });
}

/// A buddy that is cut off, or cuts itself off, whenever its burst is used up, comes back to what it
/// was: the next frames wait as long as they would have. Otherwise the bound would be one for those
/// alone who keep to the protocol.
#[test]
fn coming_back_does_not_buy_another_burst() {
    let options = ["--max-frame-bytes", "16KiB", "--max-bytes-per-second", "16KiB"];
    with_master(&options, async |bench| {
        let start = Instant::now();
        let (sessions, each) = (3, 30);
        for session in 0..sessions {
            let buddy = bench.hello(hello("buddy-1", "one")).await.unwrap();
            let mut stream = buddy.stream(session * each).await;
            for n in 1..=each {
                stream.send(session * each + n, frames::container(n)).await;
            }
            stream.answered((session + 1) * each).await;
            drop((stream, buddy));
        }
        // A kibibyte each of 16 a second, with 64 at once: Hello, Open and definitions count too.
        let least = Duration::from_secs_f64((90.0 - 64.0) / 16.0);
        assert!(start.elapsed() >= least, "{:?} for 90 frames", start.elapsed());
        all_is_well(&bench, 0).await;
    });
}

/// Names of clusters cannot be made up without end; those that are known are served on.
#[test]
fn clusters_are_bounded() {
    with_master(&["--max-clusters", "1"], async |bench| {
        let _first = bench.buddy().await;
        let of = |cluster: &str| v1::Hello { cluster: cluster.into(), ..hello("other", "one") };
        let refusal = bench.hello(of("made-up")).await.err().unwrap();
        assert_eq!(refusal.code(), Code::Overloaded);
        assert!(!refusal.message.is_empty() && refusal.retry_after_ms > 0);
        assert!(bench.hello(of("lab")).await.is_ok());
    });
}
