//! Peers that never get through the handshake of TLS.

use heapster_testkit::authority::Authority;

use super::{all_is_well, harness::with_master_of, wire::RawPeer};

/// Neither silence, nor the beginning of a greeting, nor what is none keeps a connection, and a buddy
/// is let in while they wait.
#[test]
fn a_handshake_that_never_ends_is_cut() {
    let authority = Authority::new().unwrap();
    let serving = authority.serving(&["127.0.0.1", "localhost"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("master.crt", &serving.certificate_pem);
    let key = file("master.key", &serving.key_pem);
    let files = ["--anonymous", "--tls-cert", &certificate, "--tls-key", &key];
    let options = [files.as_slice(), &["--handshake-timeout", "500ms"]].concat();
    let ca = authority.cluster_ca_pem().to_owned();
    with_master_of(
        &options,
        Some(ca),
        |_| Vec::new(),
        async |bench| {
            let mut peers = Vec::new();
            // The head of a record of 512 bytes, of which one byte comes.
            for words in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"] {
                for _ in 0..20 {
                    let mut peer = RawPeer::connect(bench.address).await;
                    assert!(peer.send(words).await);
                    peers.push(peer);
                }
            }
            for mut peer in peers {
                peer.until_closed().await;
            }
            all_is_well(&bench, 0).await;
        },
    );
}
