//! What a certificate lets in ends with it.

use std::time::{Duration, Instant, SystemTime};

use heapster_master::status::StatusSource as _;
use heapster_proto::v1::{
    delivery::Outcome as Answer, heapster_client::HeapsterClient, refusal::Code, to_buddy,
};
use tonic::{Code as Grpc, transport::Channel};

use super::{
    frames::container,
    harness::{Bench, Buddy, TlsFiles, hello, with_master_of},
};

/// Long enough to come in, short enough to wait for.
const LIFE: Duration = Duration::from_secs(5);
/// How late its end may be noticed.
const SOON: Duration = Duration::from_secs(10);

/// What the master says when it takes a session back.
async fn taken_back(buddy: &mut Buddy) -> (Code, String, u32) {
    loop {
        if let to_buddy::Kind::Refusal(refusal) =
            buddy.inbound.message().await.unwrap().unwrap().kind.unwrap()
        {
            return (refusal.code(), refusal.message, refusal.retry_after_ms);
        }
    }
}

async fn hello_over(channel: Channel, id: &str) -> Result<Buddy, heapster_proto::v1::Refusal> {
    Bench::hello_over(HeapsterClient::new(channel), "", hello(id, "one")).await
}

/// A session that was opened by a certificate is told so and ends when this expires, with its streams,
/// and not before; one with a certificate that is valid goes on. The same certificate lets nobody in
/// again.
#[test]
fn a_session_ends_with_its_certificate() {
    let files = TlsFiles::new();
    let [certificate, key, ca] =
        ["master.crt", "master.key", "ca.crt"].map(|name| files.path(name));
    let options = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca];
    let test = async |bench: std::sync::Arc<Bench>| {
        let end = Instant::now() + LIFE;
        let short = files.authority.client_until("short", SystemTime::now() + LIFE).unwrap();
        let year = Duration::from_secs(31_536_000);
        let long = files.authority.client_until("long", SystemTime::now() + year).unwrap();
        let show = |identity: &heapster_testkit::authority::ClientIdentity| {
            let (certificate, key) = (identity.certificate_pem.clone(), identity.key_pem.clone());
            let bench = std::sync::Arc::clone(&bench);
            async move { bench.channel_showing(&certificate, &key).await }
        };
        let mut ending = hello_over(show(&short).await, "ending").await.unwrap();
        let staying = hello_over(show(&long).await, "staying").await.unwrap();
        let mut live = ending.stream(0).await;
        live.send(1, container(1)).await;
        assert_eq!(live.answered(1).await.outcome(), Answer::Delivered);

        let (code, message, retry_after_ms) = taken_back(&mut ending).await;
        // The certificate has whole seconds.
        let now = Instant::now() + Duration::from_secs(1);
        assert!(now >= end && now < end + SOON, "{:?} late", now.saturating_duration_since(end));
        assert_eq!(code, Code::Credential);
        assert!(message.contains("it has expired"), "{message}");
        assert!(retry_after_ms > 0, "it may come back with another one");
        assert_eq!(live.end().await.code(), Grpc::Unavailable);
        let again = hello_over(show(&short).await, "ending").await.err().unwrap();
        assert_eq!(again.code(), Code::Credential);

        let mut live = staying.stream(0).await;
        live.send(1, container(1)).await;
        assert_eq!(live.answered(1).await.outcome(), Answer::Delivered);
        let connected = bench.status.buddies().await;
        let connected = connected.iter().filter(|buddy| buddy.connected);
        assert_eq!(connected.map(|buddy| &*buddy.id).collect::<Vec<_>>(), ["staying"]);
    };
    with_master_of(&options, files.ca(), |_| Vec::new(), test);
}
