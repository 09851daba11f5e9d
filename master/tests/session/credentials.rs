//! Who is let in, and as what: credentials on Control and Ingest.

use std::{fs, path::PathBuf};

use heapster_master::status::StatusSource;
use heapster_proto::v1::{
    self, delivery::Outcome as Answer, from_buddy::Kind as Up, refusal::Code, to_buddy,
};
use heapster_shared::access::Token;
use tonic::Code as Grpc;

use super::{
    frames::container,
    harness::{eventually, from_buddy, hello, with_master},
};

/// A file with an entry for each of these names, whose token is the name and `-token`.
struct File(tempfile::TempDir);

impl File {
    fn of(entries: &[(&str, &str)]) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(entries);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("credentials.toml")
    }

    fn write(&self, entries: &[(&str, &str)]) {
        let entry = |(name, rest): &(&str, &str)| {
            let hash = Token::new(&format!("{name}-token")).unwrap().hash();
            format!("[[credential]]\nname = '{name}'\ntoken = '{hash}'\n{rest}\n")
        };
        let text: String = entries.iter().map(entry).collect();
        let new = self.0.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path()).unwrap();
    }
}

fn of_cluster(cluster: &str) -> v1::Hello {
    v1::Hello { cluster: cluster.into(), ..hello("buddy-1", "one") }
}

/// Each refusal has its code and says what to do; nothing of a stranger is remembered.
#[test]
fn only_who_is_named_is_let_in() {
    let file = File::of(&[
        ("lab", "clusters = ['lab']"),
        ("finder", "clusters = ['lab']\nroles = ['discovers']"),
        ("reader", "access = 'admin'"),
    ]);
    let path = file.path();
    with_master(&["--credentials", path.to_str().unwrap()], async |bench| {
        let refused = async |token: &str, hello| {
            let refusal = bench.hello_with(token, hello).await.err().unwrap();
            assert_eq!(refusal.retry_after_ms, 0, "it does not help to come back like this");
            (refusal.code(), refusal.message)
        };
        let (code, message) = refused("", of_cluster("lab")).await;
        assert_eq!(code, Code::Credential);
        assert!(message.contains("--token-file"), "{message}");
        let (code, message) = refused("wrong", of_cluster("lab")).await;
        assert_eq!(code, Code::Credential);
        assert!(message.contains("revoked") && !message.contains("wrong"), "{message}");
        let (code, message) = refused("lab-token", of_cluster("prod")).await;
        assert_eq!(code, Code::ClusterNotAllowed);
        assert!(message.contains("\"prod\""), "{message}");
        let (code, message) = refused("reader-token", of_cluster("lab")).await;
        assert_eq!(code, Code::ClusterNotAllowed);
        assert!(message.contains("not for buddies"), "{message}");
        let (code, message) = refused("finder-token", of_cluster("lab")).await;
        assert_eq!(code, Code::RoleNotAllowed);
        assert!(message.contains("polls"), "{message}");
        // A stranger is not told what of his Hello is wrong.
        assert_eq!(refused("", of_cluster("a/b")).await.0, Code::Credential);
        assert!(bench.status.clusters().await.is_empty());

        let buddy = bench.hello_with("lab-token", of_cluster("lab")).await.unwrap();
        let known = bench.status.buddies().await;
        assert_eq!(known[0].credential, "lab");
        let mut live = buddy.stream(0).await;
        live.send(1, container(1)).await;
        assert_eq!(live.answered(1).await.outcome(), Answer::Delivered);
    });
}

/// Whoever has learnt a session's id cannot send in its name.
#[test]
fn a_session_is_of_who_opened_it() {
    let file = File::of(&[("lab", "clusters = ['lab']"), ("prod", "clusters = ['prod', 'lab']")]);
    let path = file.path();
    with_master(&["--credentials", path.to_str().unwrap()], async |bench| {
        let mut buddy = bench.hello_with("lab-token", of_cluster("lab")).await.unwrap();
        for (token, says) in
            [("prod-token", "another credential"), ("", "--token-file"), ("x", "revoked")]
        {
            token.clone_into(&mut buddy.token);
            let mut foreign = buddy.stream(0).await;
            let status = foreign.end().await;
            assert_eq!(status.code(), Grpc::Unauthenticated, "{token}");
            assert!(status.message().contains(says), "{}", status.message());
        }
    });
}

/// A buddy that only discovers can neither send rows, nor can one that polls list hosts.
#[test]
fn a_role_that_was_not_asked_for_is_not_used() {
    let file = File::of(&[("lab", "clusters = ['lab']")]);
    let path = file.path();
    with_master(&["--credentials", path.to_str().unwrap()], async |bench| {
        let only = |role: v1::Role| v1::Hello { roles: vec![role.into()], ..of_cluster("lab") };
        let finder = bench.hello_with("lab-token", only(v1::Role::Discovers)).await.unwrap();
        let mut live = finder.stream(0).await;
        live.send(1, container(1)).await;
        let status = live.end().await;
        assert_eq!(status.code(), Grpc::PermissionDenied);
        assert!(status.message().contains("polls"), "{}", status.message());
        drop(finder);

        let mut poller = loop {
            // Until the one before is gone.
            if let Ok(poller) = bench.hello_with("lab-token", only(v1::Role::Polls)).await {
                break poller;
            }
        };
        let hosts = v1::HostSnapshot { version: 1, hosts: Vec::new(), last: true };
        poller.control.send(from_buddy(Up::Hosts(hosts))).await.unwrap();
        let status = loop {
            if let Err(status) = poller.inbound.message().await {
                break status;
            }
        };
        assert_eq!(status.code(), Grpc::PermissionDenied);
    });
}

/// An entry that is deleted ends what was let in by it, one that comes lets in, and what stays is not
/// disturbed; a file that cannot be read changes nothing.
#[test]
fn the_file_is_followed() {
    let file = File::of(&[("lab", "clusters = ['lab']"), ("prod", "clusters = ['prod']")]);
    let path = file.path();
    with_master(&["--credentials", path.to_str().unwrap()], async |bench| {
        let mut lab = bench.hello_with("lab-token", of_cluster("lab")).await.unwrap();
        let mut live = lab.stream(0).await;
        live.send(1, container(1)).await;
        live.answered(1).await;
        let prod = v1::Hello { cluster: "prod".into(), ..hello("buddy-2", "one") };
        let prod = bench.hello_with("prod-token", prod).await.unwrap();

        fs::write(file.path(), "no such thing").unwrap();
        file.write(&[("prod", "clusters = ['prod']"), ("new", "clusters = ['lab']")]);
        let refusal = loop {
            match lab.inbound.message().await.unwrap().unwrap().kind.unwrap() {
                to_buddy::Kind::Refusal(refusal) => break refusal,
                _ => continue,
            }
        };
        assert_eq!(refusal.code(), Code::Credential);
        assert!(refusal.retry_after_ms > 0, "it may come back with another one");
        assert_eq!(live.end().await.code(), Grpc::Unavailable);
        assert!(bench.hello_with("lab-token", of_cluster("lab")).await.is_err());
        eventually("the new one is let in", async || {
            bench.hello_with("new-token", of_cluster("lab")).await.is_ok()
        })
        .await;
        let mut live = prod.stream(0).await;
        live.send(1, container(1)).await;
        assert_eq!(live.answered(1).await.outcome(), Answer::Delivered);
    });
}
