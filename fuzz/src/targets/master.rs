//! What a master says to a buddy: messages of Control, and receipts.

use std::collections::HashSet;

use heapster_buddy::{
    poller::{Polled, RoundEnd},
    uplink::{Journal, door},
};
use heapster_proto::v1::{self, delivery::Outcome, open::Purpose, to_buddy};
use heapster_shared::tick::Tick;
use prost::Message as _;

use super::{Target, frames::parted};

pub(super) const TARGETS: &[Target] = &[
    Target { name: "from-master", run: messages, recorded: &[], made: recorded_messages },
    Target { name: "receipts", run: receipts, recorded: &[], made: recorded_receipts },
];

/// Frames that were sent before the receipts come, and frames that were not.
const SENT: usize = 6;
const UNSENT: usize = 2;

/// Hosts that are to be polled have names, and ids of their own; a list is in force only under a
/// version that was told.
fn messages(input: &[u8]) {
    let mut listener = door::Listener::default();
    let mut versions = HashSet::from([0]);
    for message in parted(input) {
        if let Ok(v1::ToBuddy { kind: Some(to_buddy::Kind::Assignment(told)) }) =
            v1::ToBuddy::decode(message)
        {
            versions.insert(told.version);
        }
        let _ = listener.take(message);
        let (hosts, version) = listener.in_force();
        assert!(versions.contains(&version), "version {version} was never told");
        let hosts = hosts.unwrap_or_default();
        let ids: HashSet<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
        assert!(ids.len() == hosts.len(), "a host comes twice");
        assert!(hosts.iter().all(|host| !host.id.is_empty() && !host.name.is_empty()));
    }
}

/// Whatever is said of frames, those that were not sent stay; and what stays can be sent.
fn receipts(input: &[u8]) {
    let mut parts = parted(input);
    let Ok(limits) = door::limits(parts.next().unwrap_or_default()) else { return };
    assert!((1..=256 << 10).contains(&limits.frame_bytes), "{limits:?}");
    let journal = Journal::new("i".into(), 1 << 20);
    let write = |first: usize, count: usize| {
        for round in first..first + count {
            let tick = Tick(i64::try_from(round).unwrap_or_default() * 15_000);
            journal.write(&Polled::RoundEnd(RoundEnd { tick, ok: 1, failed: 0, late: 0 }));
        }
    };
    write(0, SENT / 2);
    journal.start_session("s".into(), limits);
    write(SENT / 2, SENT / 2);
    while journal.next(Purpose::Live).is_ok() || journal.next(Purpose::Backfill).is_ok() {}
    write(SENT, UNSENT);
    for (index, part) in parts.enumerate() {
        let Ok(v1::Receipt { kind: Some(v1::receipt::Kind::Delivery(delivery)) }) =
            v1::Receipt::decode(part)
        else {
            continue;
        };
        let purpose = if index % 2 == 0 { Purpose::Live } else { Purpose::Backfill };
        journal.settle(purpose, &delivery);
        let kept = journal.spool_state().frames;
        assert!((UNSENT..=SENT + UNSENT).contains(&kept), "{kept} frames are kept");
    }
    let kept = journal.spool_state().frames;
    journal.end_session();
    journal.start_session("t".into(), limits);
    assert_eq!(journal.spool_state().frames, kept, "a new session loses frames");
}

fn with_lengths(messages: &[Vec<u8>]) -> Vec<u8> {
    let part = |message: &Vec<u8>| {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        [&length.to_le_bytes()[..], message].concat()
    };
    messages.iter().flat_map(part).collect()
}

fn recorded_messages() -> Vec<Vec<u8>> {
    let limits = v1::Limits { max_frame_bytes: 1 << 20, max_labels: 64, ..Default::default() };
    let welcome = v1::Welcome { version: 1, limits: Some(limits), ..Default::default() };
    let endpoint = v1::Endpoint { kind: "cadvisor".into(), port: 8080, ..Default::default() };
    let host = |id: &str| v1::Host {
        id: id.into(),
        name: id.into(),
        addresses: vec!["10.0.0.1".into()],
        endpoints: vec![endpoint.clone()],
        labels: [("rack".to_owned(), "r1".to_owned())].into(),
        ..Default::default()
    };
    let chunk = |version, id: &str, last| {
        let hosts = vec![host(id)];
        to_buddy::Kind::Assignment(v1::Assignment { version, hosts, last, own_hosts: false })
    };
    let own = v1::Assignment { version: 9, last: true, own_hosts: true, ..Default::default() };
    let refusal = v1::Refusal { code: 5, retry_after_ms: 10, ..Default::default() };
    let kinds = vec![
        to_buddy::Kind::Welcome(welcome),
        chunk(7, "a", false),
        chunk(7, "b", true),
        chunk(8, "a", true),
        to_buddy::Kind::Assignment(own),
        to_buddy::Kind::Settings(v1::Settings { resolution_ms: 5000 }),
        to_buddy::Kind::Refusal(refusal),
    ];
    let messages: Vec<Vec<u8>> =
        kinds.into_iter().map(|kind| v1::ToBuddy { kind: Some(kind) }.encode_to_vec()).collect();
    vec![with_lengths(&messages), with_lengths(&messages[1..4])]
}

fn recorded_receipts() -> Vec<Vec<u8>> {
    let limits =
        v1::Limits { max_frame_bytes: 65_536, credit_bytes: 1 << 20, ..Default::default() };
    let delivery = |first, last, outcome: Outcome| {
        let delivery = v1::Delivery {
            first_sequence: first,
            last_sequence: last,
            outcome: outcome.into(),
            retry_after_ms: 100,
            ..Default::default()
        };
        let kind = v1::receipt::Kind::Delivery(delivery);
        v1::Receipt { kind: Some(kind) }.encode_to_vec()
    };
    vec![with_lengths(&[
        limits.encode_to_vec(),
        delivery(4, 5, Outcome::Delivered),
        delivery(1, 2, Outcome::Retry),
        delivery(6, 6, Outcome::Rejected),
        delivery(1, 3, Outcome::Delivered),
        delivery(5, u64::MAX, Outcome::Delivered),
    ])]
}
