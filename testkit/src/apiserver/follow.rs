//! What the API server learns from simulated hosts while they run: pods that are replaced, containers
//! that restart, nodes that fall silent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use heapster_shared::tick::unix_ms;
use jiff::Timestamp;
use serde_json::json;

use super::{
    Shared,
    object::Object,
    resources::{Resource, by_plural},
};
use crate::sim::{NodeVersion, PodMark, World};

/// How often the hosts are looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// Events of replaced pods that are kept.
const KEPT_EVENTS: usize = 500;

/// What was last seen of the hosts that are not as they were at first.
struct Follower {
    shared: Arc<Shared>,
    world: Arc<World>,
    nodes: &'static Resource,
    pods: &'static Resource,
    events: &'static Resource,
    seen: HashMap<usize, (NodeVersion, Vec<PodMark>)>,
    told: std::collections::VecDeque<String>,
}

/// Keeps the store true to the hosts until it is aborted.
pub(super) async fn follow(shared: Arc<Shared>, world: Arc<World>) {
    let (Some(nodes), Some(pods), Some(events)) =
        (by_plural("nodes"), by_plural("pods"), by_plural("events"))
    else {
        return;
    };
    let (seen, told) = (HashMap::new(), std::collections::VecDeque::new());
    let mut follower = Follower { shared, world, nodes, pods, events, seen, told };
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        follower.look(unix_ms());
    }
}

impl Follower {
    fn look(&mut self, now_ms: i64) {
        for host in 0..self.world.nodes() {
            if !self.world.may_have_changed(host) && !self.seen.contains_key(&host) {
                continue;
            }
            let (old_node, old_marks) = self
                .seen
                .remove(&host)
                .unwrap_or_else(|| (self.world.first_node(host), self.world.first_marks(host)));
            let node = self.world.node_now(host, now_ms);
            if !self.world.looks_alike(old_node, node) {
                let key = self.world.node_key(node);
                self.shared.change(|store| store.set(self.nodes, key, Object::Node(node)));
            }
            let marks = self.world.marks(host, now_ms);
            for (pod, (old, new)) in old_marks.iter().zip(&marks).enumerate() {
                if old != new {
                    self.changed(host, pod, *old, *new, now_ms);
                }
            }
            self.seen.insert(host, (node, marks));
        }
    }

    fn changed(&mut self, host: usize, pod: usize, old: PodMark, new: PodMark, now_ms: i64) {
        let version = self.world.pod_now(host, pod, now_ms);
        let key = self.world.pod_key(version);
        if !old.is_same_pod(new) {
            let former = self.world.key_of(host, pod, old.generation);
            self.shared.change(|store| store.remove(self.pods, &former));
            self.tell(&former, "Killing", "Stopping container app", now_ms);
            self.tell(&key, "Started", "Started container app", now_ms);
        }
        self.shared.change(|store| store.set(self.pods, key, Object::Pod(version)));
    }

    /// An event of a pod; the oldest makes room for it.
    fn tell(&mut self, pod: &str, reason: &str, message: &str, now_ms: i64) {
        let Some((namespace, name)) = pod.split_once('/') else { return };
        let event = format!("{name}.{reason}").to_lowercase();
        let time = Timestamp::from_millisecond(now_ms / 1000 * 1000).unwrap_or_default();
        let time = time.to_string();
        let uid = format!("{:08x}-0000-4000-8000-{:012x}", self.shared.store().version(), now_ms);
        let object = json!({
            "metadata": {
                "name": event, "namespace": namespace, "uid": uid, "creationTimestamp": time,
            },
            "involvedObject": {
                "kind": "Pod", "namespace": namespace, "name": name, "apiVersion": "v1",
                "fieldPath": "spec.containers{app}",
            },
            "reason": reason, "message": message, "source": { "component": "kubelet" },
            "firstTimestamp": time, "lastTimestamp": time, "count": 1, "type": "Normal",
            "eventTime": null, "reportingComponent": "", "reportingInstance": "",
        });
        let key = format!("{namespace}/{event}");
        self.shared.change(|store| store.put(self.events, key.clone(), object));
        self.told.push_back(key);
        if self.told.len() > KEPT_EVENTS
            && let Some(oldest) = self.told.pop_front()
        {
            self.shared.change(|store| store.remove(self.events, &oldest));
        }
    }
}
