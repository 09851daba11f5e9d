//! etcd's keys API of version 2: `GET /v2/keys/...` lists, the same with `wait=true` answers with
//! the next event after an index.
//!
//! fleetd renews its key about every 15 s, which is an event too: one that changes nothing. When a
//! machine is gone its key expires, by an event of its own. etcd keeps the last 1,000 events; who
//! asks for an older one is told so (401) and lists again. A member that lost the others would go on
//! to answer with what it knows, so lists ask for a quorum, and a watch that says nothing is ended
//! by a list.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;

use super::{
    super::web::{Answer, Api, Found, Http},
    machine::{Naming, host_of_object},
};

/// A watch that is silent for this long, which is twice as long as a fleetd is, is not to be trusted.
const SILENCE: Duration = Duration::from_secs(30);

/// Error codes of etcd.
const KEY_NOT_FOUND: u32 = 100;
const UNAUTHORIZED: u32 = 110;
const RAFT: std::ops::Range<u32> = 300..400;
const EVENT_CLEARED: u32 = 401;

/// The machines by etcd's keys.
pub(in crate::discovery) struct KeysV2 {
    /// The directory of machines, without a slash at the end.
    machines: String,
    naming: Naming,
    /// Of the newest event that is known.
    index: u64,
}

/// An answer to a list or a watch.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Reply {
    node: Node,
    prev_node: Option<Node>,
}

/// A key, or a directory.
#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase")]
struct Node {
    key: String,
    value: Option<String>,
    #[serde(default)]
    nodes: Vec<Node>,
    #[serde(default)]
    modified_index: u64,
}

/// A refusal.
#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase", default)]
struct Refusal {
    error_code: u32,
    message: String,
    cause: String,
}

impl KeysV2 {
    pub(super) const fn new(machines: String, naming: Naming) -> Self {
        Self { machines, naming, index: 0 }
    }

    /// For fuzzing: the machines of an answer, without a server.
    pub(in crate::discovery) fn read(body: &[u8]) -> Result<Found, String> {
        let keys = Self::new("/_coreos.com/fleet/machines".to_owned(), Naming::Id);
        let reply: Reply = Answer::with_body(body).json()?;
        reply.changes();
        Ok(keys.found(reply.node))
    }

    /// All machines of a directory with its directories.
    fn found(&self, root: Node) -> Found {
        let mut found = Found::default();
        let mut nodes = VecDeque::from([root]);
        while let Some(node) = nodes.pop_front() {
            nodes.extend(node.nodes);
            let Some(value) = &node.value else { continue };
            let key = node.key.strip_prefix(&self.machines).unwrap_or(&node.key);
            match host_of_object(key, value, self.naming) {
                Ok(Some(host)) => found.hosts.push(host),
                Ok(None) => {}
                Err(error) => found.left_out.push(format!("key {}: {error}", node.key)),
            }
        }
        found
    }

    /// Waits for one event, and says whether it changes anything.
    async fn next_event(&mut self, http: &Http) -> Result<bool, String> {
        let next = self.index + 1;
        let path = format!("/v2/keys{}?wait=true&recursive=true&waitIndex={next}", self.machines);
        let answer = http.get(&path).await?;
        if answer.status != 200 {
            let refusal = refusal(&answer);
            return match refusal {
                Some(refusal) if refusal.error_code == EVENT_CLEARED => Ok(true),
                _ => Err(words(&answer)),
            };
        }
        if answer.body.is_empty() {
            return Err("the watch ended".to_owned());
        }
        let event: Reply = answer.json()?;
        let changed = event.changes();
        // The index must go on, whatever the server says, or the same event would come for ever.
        self.index = event.node.modified_index.max(next);
        Ok(changed)
    }
}

impl Reply {
    /// Whether an event says more than that a key lives on.
    fn changes(&self) -> bool {
        let before = self.prev_node.as_ref().and_then(|node| node.value.as_ref());
        self.node.value.is_none() || self.node.value.as_ref() != before
    }
}

#[async_trait]
impl Api for KeysV2 {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        let path = format!("/v2/keys{}?recursive=true&quorum=true", self.machines);
        let answer = http.get(&path).await?;
        if answer.status != 200 {
            return Err(words(&answer));
        }
        let index = answer.header("x-etcd-index").and_then(|index| index.parse().ok());
        let reply: Reply = answer.json()?;
        self.index = index.ok_or("no valid answer: it has no `X-Etcd-Index`; is this etcd?")?;
        Ok(self.found(reply.node))
    }

    async fn changed(&mut self, http: &Http) -> Result<(), String> {
        loop {
            match tokio::time::timeout(SILENCE, self.next_event(http)).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) | Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

fn refusal(answer: &Answer) -> Option<Refusal> {
    serde_json::from_slice(&answer.body).ok()
}

/// Why there is no list or event, and what to do about it.
fn words(answer: &Answer) -> String {
    let Some(Refusal { error_code, message, cause }) = refusal(answer) else {
        return match answer.status {
            404 => "it does not serve etcd's API of version 2: start etcd with --enable-v2=true, or, where the keys are mirrored to version 3, give api=v3".to_owned(),
            _ => answer.refusal(),
        };
    };
    match (answer.status, error_code) {
        (401 | 403, _) | (_, UNAUTHORIZED) => format!(
            "refused: {message}; check `username` and `password_file`, and the keys of their role"
        ),
        (_, KEY_NOT_FOUND) => format!(
            "there is no key {cause}, so no fleetd ever used this etcd; check the endpoint and `prefix`"
        ),
        (_, code) if RAFT.contains(&code) => format!("etcd has no leader: {message} {cause}"),
        _ => answer.refusal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/fleet/");

    fn recorded<T: serde::de::DeserializeOwned>(file: &str) -> T {
        let text = std::fs::read_to_string(format!("{RECORDED}{file}")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn keys() -> KeysV2 {
        KeysV2::new("/_coreos.com/fleet/machines".to_owned(), Naming::Id)
    }

    /// What two real machines left in etcd, with fleet's other keys beside them.
    #[test]
    fn a_recorded_directory() {
        let reply: Reply = recorded("etcd-v2-fleet-all.json");
        let mut found = keys().found(reply.node);
        found.hosts.sort_by(|a, b| a.id.cmp(&b.id));
        let summary: Vec<String> = (found.hosts.iter())
            .map(|host| format!("{}@{} {}", host.id, host.addresses[0], host.labels.joined(",")))
            .collect();
        assert_eq!(
            summary,
            [
                "5f0c1a2b3d4e4f60819203a4b5c6d7e8@127.0.0.1 role:bench,zone:a",
                "aaaabbbbccccddddeeeeffff00001111@127.0.0.2 role:bench,zone:b"
            ]
        );
        assert_eq!(found.left_out, Vec::<String>::new());
    }

    /// A heartbeat changes nothing; a new address, an expiry and a deleted directory do.
    #[test]
    fn events_that_change_something() {
        let heartbeat: Reply = recorded("etcd-v2-watch-heartbeat.json");
        assert!(!heartbeat.changes());
        let event = |text: &str| serde_json::from_str::<Reply>(text).unwrap();
        for text in [
            r#"{"action":"set","node":{"key":"/k","value":"b"},"prevNode":{"key":"/k","value":"a"}}"#,
            r#"{"action":"create","node":{"key":"/k","value":"b"}}"#,
            r#"{"action":"expire","node":{"key":"/k"},"prevNode":{"key":"/k","value":"a"}}"#,
            r#"{"action":"delete","node":{"key":"/k","dir":true},"prevNode":{"key":"/k","dir":true}}"#,
        ] {
            assert!(event(text).changes(), "{text}");
        }
    }
}
