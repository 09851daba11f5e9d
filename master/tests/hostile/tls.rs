//! Peers that never get through the handshake of TLS, of buddies and of HTTP.

use std::{net::SocketAddr, sync::Arc};

use super::{
    all_is_well,
    harness::{Bench, TlsFiles, with_master_of},
    pages,
    wire::RawPeer,
};

/// Connects with beginnings that lead nowhere: silence, the head of a record of 512 bytes of which one
/// byte comes, and what is no TLS at all.
async fn begin_and_stop(address: SocketAddr) -> Vec<RawPeer> {
    let mut peers = Vec::new();
    for words in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        for _ in 0..20 {
            let mut peer = RawPeer::connect(address).await;
            assert!(peer.send(words).await);
            peers.push(peer);
        }
    }
    peers
}

/// Runs a test against a master that speaks TLS, and waits half a second for it.
fn against<F: Future<Output = ()>>(test: impl FnOnce(Arc<Bench>) -> F) {
    let files = TlsFiles::new();
    let [certificate, key] = ["master.crt", "master.key"].map(|name| files.path(name));
    let options = ["--anonymous", "--tls-cert", &certificate, "--tls-key", &key];
    let options = [options.as_slice(), &["--handshake-timeout", "500ms"]].concat();
    with_master_of(&options, files.ca(), |_| Vec::new(), test);
}

/// Neither silence, nor the beginning of a greeting, nor what is none keeps a connection, and a buddy
/// is let in while they wait.
#[test]
fn a_handshake_that_never_ends_is_cut() {
    against(async |bench| {
        for mut peer in begin_and_stop(bench.address).await {
            peer.until_closed().await;
        }
        all_is_well(&bench, 0).await;
    });
}

/// The same at the port of HTTP, which has another server behind it: pages answer while such peers
/// wait, and each of these is closed.
#[test]
fn a_handshake_with_pages_that_never_ends_is_cut() {
    against(async |bench| {
        let peers = begin_and_stop(bench.http).await;
        pages::is_healthy_by_tls(bench.http, bench.ca.as_ref().unwrap()).await;
        for mut peer in peers {
            peer.until_closed().await;
        }
        all_is_well(&bench, 0).await;
    });
}
