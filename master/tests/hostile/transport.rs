//! Peers that do not get as far as gRPC, or no further than its streams.

use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    all_is_well,
    harness::{Bench, with_master},
    wire::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PREFACE,
        RST_STREAM, RawPeer, SETTINGS, frame, goaway, header, request,
    },
};

const QUICK: [&str; 4] = ["--handshake-timeout", "300ms", "--idle-timeout", "600ms"];

/// Runs a test against a master that waits for nobody, and looks whether all is well after it.
fn against<F: Future<Output = ()>>(test: impl FnOnce(Arc<Bench>) -> F) {
    with_master(&QUICK, async |bench| {
        test(Arc::clone(&bench)).await;
        all_is_well(&bench, 0).await;
    });
}

#[test]
fn who_says_nothing_or_half_a_preface_is_cut() {
    against(async |bench| {
        for words in [&b""[..], b"PRI * HT", PREFACE] {
            let mut peer = RawPeer::connect(bench.address).await;
            assert!(peer.send(words).await);
            peer.until_closed().await;
        }
    });
}

/// After its settings the peer is silent, answers no ping, and asks for nothing.
#[test]
fn a_connection_that_nobody_uses_is_cut() {
    against(async |bench| {
        let mut peer = RawPeer::greeted(bench.address).await;
        peer.until_closed().await;
    });
}

/// The same from a peer that answers pings, and looks alive.
#[test]
fn answering_pings_keeps_no_connection() {
    against(async |bench| {
        RawPeer::greeted(bench.address).await.until_closed_with_pings().await;
    });
}

#[test]
fn headers_that_never_end_are_cut() {
    against(async |bench| {
        let mut silent = RawPeer::greeted(bench.address).await;
        assert!(silent.send(&frame(HEADERS, 0, 1, &request("Control"))).await);
        silent.until_closed().await;
        let mut endless = RawPeer::greeted(bench.address).await;
        assert!(endless.send(&frame(HEADERS, 0, 1, &request("Control"))).await);
        endless.flood(&frame(CONTINUATION, 0, 1, &header("x", "y"))).await;
    });
}

/// Sixteen times what is allowed: the stream is refused or the connection ends.
#[test]
fn headers_that_are_too_large_are_refused() {
    against(async |bench| {
        let mut peer = RawPeer::greeted(bench.address).await;
        assert!(peer.send(&frame(HEADERS, 0, 1, &request("Control"))).await);
        let part = header("x-large", &"a".repeat(16_000));
        for last in 1..=16 {
            let flags = if last == 16 { END_HEADERS } else { 0 };
            if !peer.send(&frame(CONTINUATION, flags, 1, &part)).await {
                break;
            }
        }
        let said = peer.until_closed().await;
        let is_answered = said.iter().any(|(kind, stream, _)| *kind == HEADERS && *stream == 1);
        let refused = is_answered
            || goaway(&said).is_some_and(|code| code != 0)
            || said.iter().any(|(kind, ..)| *kind == RST_STREAM);
        assert!(refused || said.is_empty(), "{said:?}");
    });
}

#[test]
fn floods_are_cut() {
    against(async |bench| {
        for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])] {
            RawPeer::greeted(bench.address).await.flood(&flood).await;
        }
    });
}

/// Streams that are opened and reset at once, before anybody could look at them.
#[test]
fn resets_without_end_are_told_to_calm_down() {
    against(async |bench| {
        let mut peer = RawPeer::greeted(bench.address).await;
        let mut bytes = Vec::new();
        for number in 0..2000 {
            let stream = 2 * number + 1;
            bytes.extend(frame(HEADERS, END_HEADERS, stream, &request("Ingest")));
            bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        }
        peer.send(&bytes).await;
        let said = peer.until_closed().await;
        assert!(said.is_empty() || goaway(&said) == Some(ENHANCE_YOUR_CALM), "{said:?}");
    });
}

/// Frames of a stream that hold nothing, or a byte, without end.
#[test]
fn small_frames_without_end_are_cut() {
    against(async |bench| {
        for payload in [&b""[..], b"\0"] {
            let mut peer = RawPeer::greeted(bench.address).await;
            assert!(peer.send(&frame(HEADERS, END_HEADERS, 1, &request("Control"))).await);
            peer.flood(&frame(DATA, 0, 1, payload)).await;
        }
    });
}

#[test]
fn random_bytes_are_no_connection() {
    against(async |bench| {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..50 {
            let length = random.random_range(1..4096);
            let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
            let mut stranger = RawPeer::connect(bench.address).await;
            stranger.send(&bytes).await;
            // Behind the preface as well, where it is frames.
            let mut speaker = RawPeer::greeted(bench.address).await;
            speaker.send(&bytes).await;
            drop(speaker);
            drop(stranger);
        }
    });
}

/// A connection has room for so many streams; one more is reset and told so.
#[test]
fn a_connection_has_so_many_streams() {
    with_master(&["--handshake-timeout", "2s"], async |bench| {
        let mut peer = RawPeer::greeted(bench.address).await;
        let mut bytes = frame(SETTINGS, 1, 0, &[]);
        for number in 0..17 {
            bytes.extend(frame(HEADERS, END_HEADERS, 2 * number + 1, &request("Ingest")));
        }
        bytes.extend(frame(DATA, END_STREAM, 1, &[]));
        assert!(peer.send(&bytes).await);
        let refused = peer.frame_of(RST_STREAM).await;
        assert_eq!(refused, (33, vec![0, 0, 0, 7]), "REFUSED_STREAM for the seventeenth");
        drop(peer);
        all_is_well(&bench, 0).await;
    });
}
