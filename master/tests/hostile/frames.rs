//! Peers that speak gRPC, and say what no buddy says.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use heapster_proto::v1::{self, frame::Kind, heapster_client::HeapsterClient};
use http_body_util::{BodyExt as _, Full};
use tonic::{
    Code, Status,
    body::Body,
    codec::CompressionEncoding,
    codegen::{Service as _, http},
};

use super::{
    all_is_well, frames,
    harness::{Bench, Mode, eventually, with_master},
};

const QUICK: [&str; 4] = ["--handshake-timeout", "500ms", "--max-frame-bytes", "64KiB"];

/// Runs a test against a master, and looks whether all is well after it.
fn against<F: Future<Output = ()>>(test: impl FnOnce(Arc<Bench>) -> F) {
    with_master(&QUICK, async |bench| {
        test(Arc::clone(&bench)).await;
        all_is_well(&bench, 0).await;
    });
}

/// A message of gRPC as it lies in a body.
fn message(is_compressed: u8, claimed: u32, bytes: &[u8]) -> Vec<u8> {
    [&[is_compressed], claimed.to_be_bytes().as_slice(), bytes].concat()
}

/// Sends a body to a method and gives the status that comes back.
async fn post(bench: &Bench, method: &str, body: Vec<u8>) -> Status {
    let mut channel = bench.channel().await;
    let request = http::Request::post(format!("/heapster.v1.Heapster/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", "zstd")
        .body(Body::new(Full::new(Bytes::from(body))))
        .unwrap();
    poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let body = response.into_body().collect().await.unwrap();
    Status::from_header_map(body.trailers().unwrap()).unwrap()
}

/// Streams that are opened and never say what they are for.
#[test]
fn streams_without_a_first_message_end() {
    against(async |bench| {
        let (control, outbound) = tokio::sync::mpsc::channel::<v1::FromBuddy>(1);
        let outbound = tokio_stream::wrappers::ReceiverStream::new(outbound);
        let mut answers = bench.client().await.control(outbound).await.unwrap().into_inner();
        let status = answers.message().await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "no Hello came"));
        drop(control);
        let buddy = bench.buddy().await;
        let status = buddy.ingest().await.end().await;
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "no Open came"));
    });
}

/// Each is told what is wrong, or that it is wrong.
#[test]
fn malformed_messages_are_refused() {
    against(async |bench| {
        for method in ["Control", "Ingest"] {
            for (body, codes) in [
                (message(7, 1, b"x"), [Code::Internal, Code::InvalidArgument]),
                (message(0, u32::MAX, b"x"), [Code::OutOfRange, Code::ResourceExhausted]),
                (message(0, 100, b"x"), [Code::Internal, Code::InvalidArgument]),
                (message(0, 3, b"\xff\xff\xff"), [Code::Internal, Code::InvalidArgument]),
                (message(1, 3, b"\xff\xff\xff"), [Code::Internal, Code::InvalidArgument]),
            ] {
                let status = post(&bench, method, body.clone()).await;
                assert!(codes.contains(&status.code()), "{method} {body:?}: {status:?}");
                assert!(!status.message().is_empty(), "{method} {body:?}");
            }
        }
        let status = post(&bench, "NoSuchMethod", Vec::new()).await;
        assert_eq!(status.code(), Code::Unimplemented);
    });
}

/// A few bytes that become many: reading stops at the limit.
#[test]
fn decompression_bombs_do_not_go_off() {
    against(async |bench| {
        let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 64 << 20), 3).unwrap();
        assert!(bomb.len() < 64 << 10, "{} bytes", bomb.len());
        let length = u32::try_from(bomb.len()).unwrap();
        for method in ["Control", "Ingest"] {
            let status = post(&bench, method, message(1, length, &bomb)).await;
            assert!(
                matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange),
                "{method}: {status:?}"
            );
        }
        // A frame that wants a window of two tebibytes, and one of 128 MiB of which it uses nothing.
        for window in [31 << 3, 17 << 3] {
            let head = [0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0];
            let status = post(&bench, "Ingest", message(1, 9, &head)).await;
            assert_ne!(status.code(), Code::Ok);
        }
    });
}

/// From a buddy that is known, too: the stream ends and says which limit it was.
#[test]
fn a_buddy_that_sends_a_bomb_is_told_the_limit() {
    against(async |bench| {
        let buddy = bench.buddy().await;
        let client = HeapsterClient::new(bench.channel().await);
        let mut client = client.send_compressed(CompressionEncoding::Zstd);
        let (frames, outbound) = tokio::sync::mpsc::channel(4);
        let outbound = tokio_stream::wrappers::ReceiverStream::new(outbound);
        let mut receipts = client.ingest(outbound).await.unwrap().into_inner();
        let open = v1::Open {
            session_id: buddy.session_id.clone(),
            instance_id: "one".into(),
            segment: 1,
            purpose: v1::open::Purpose::Live.into(),
            delivered_through: 0,
        };
        let entity = v1::Entity { id: 1, name: "a".repeat(16 << 20), ..v1::Entity::default() };
        let define = v1::Define { entities: vec![entity], ..v1::Define::default() };
        for kind in [Kind::Open(open), Kind::Define(define)] {
            frames.send(v1::Frame { sequence: 0, kind: Some(kind) }).await.unwrap();
        }
        let status = loop {
            if let Err(status) = receipts.message().await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.message().contains("max_frame_bytes (65536)"), "{}", status.message());
    });
}

/// Each limit on labels and entities is named by the refusal that it gives.
#[test]
fn huge_label_sets_are_refused() {
    let limits = ["--max-labels", "8", "--max-label-bytes", "1KiB", "--max-entities", "100"];
    with_master(&limits, async |bench| {
        let entity = |id: u32| v1::Entity {
            id,
            level: v1::Level::Node.into(),
            name: format!("node-{id}"),
            ..v1::Entity::default()
        };
        let labels = |count: usize, bytes: usize| {
            (0..count).map(|n| (format!("label-{n}"), "v".repeat(bytes))).collect()
        };
        let many = vec![v1::Entity { labels: labels(9, 1), ..entity(1) }];
        let large = vec![v1::Entity { labels: labels(1, 2000), ..entity(1) }];
        let long = vec![v1::Entity { name: "n".repeat(2000), ..entity(1) }];
        let crowd = (1..=101).map(entity).collect();
        let buddy = bench.buddy().await;
        for (entities, limit) in [
            (many, "max_labels"),
            (large, "max_label_bytes"),
            (long, "max_label_bytes"),
            (crowd, "max_entities"),
        ] {
            let mut ingest = buddy.ingest().await;
            ingest.open(0).await;
            let define = v1::Define { entities, ..v1::Define::default() };
            ingest.send(0, Kind::Define(define)).await;
            let status = ingest.end().await;
            assert_eq!(status.code(), Code::ResourceExhausted, "{limit}: {status:?}");
            assert!(status.message().contains(limit), "{limit}: {}", status.message());
        }
        drop(buddy);
        all_is_well(&bench, 0).await;
    });
}

/// A buddy that sends and never reads a receipt holds up itself alone.
#[test]
fn who_never_reads_holds_up_nobody() {
    with_master(&["--credit-bytes", "64KiB"], async |bench| {
        bench.required.set(Mode::Hold);
        let deaf = bench.buddy().await;
        let ingest = deaf.stream(0).await;
        let mut sent = 0;
        while sent < 5000 && !ingest.frames.is_closed() {
            sent += 1;
            let frame = v1::Frame { sequence: sent, kind: Some(frames::container(sent)) };
            let sending = ingest.frames.send(frame);
            if tokio::time::timeout(Duration::from_millis(200), sending).await.is_err() {
                break;
            }
        }
        bench.required.release();
        eventually("others are served", async || {
            bench.hello(super::hello("other", "one")).await.is_ok()
        })
        .await;
        drop((ingest, deaf));
        all_is_well(&bench, 0).await;
    });
}
