//! Who is who: names and ids of hosts, pods and containers, all worked out from numbers.

use super::json::hexadecimal;

/// Mixes numbers into one that looks random; the same for the same numbers (splitmix64).
pub(super) fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0x9e37_79b9_7f4a_7c15, |state, number| {
        let mut mixed = (state ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// The name of a host, counted from 0.
#[must_use]
pub fn host_name(host: usize) -> String {
    format!("sim-{host:05}")
}

/// The namespace of a pod, counted from 0 on its host.
#[must_use]
pub fn namespace(pod: usize) -> &'static str {
    ["default", "kube-system", "shop", "batch", "monitoring"][pod % 5]
}

/// The name of a pod: the first in its slot of a host has generation 0, its successor 1.
#[must_use]
pub fn pod_name(host: usize, pod: usize, generation: u64) -> String {
    format!("svc-{pod:02}-{host:04x}x{generation:x}")
}

/// The name of a container within its pod, counted from 0.
#[must_use]
pub fn container_name(container: usize) -> String {
    match container {
        0 => "app".into(),
        1 => "proxy".into(),
        other => format!("helper-{other}"),
    }
}

/// A pod, or what stands for one where there are none.
pub(super) struct PodIdentity {
    pub(super) namespace: &'static str,
    pub(super) name: String,
    pub(super) uid: String,
}

impl PodIdentity {
    /// The pod in a slot of a host; its successor in the slot has the next generation.
    pub(super) fn new(seed: u64, host: usize, pod: usize, generation: u64) -> Self {
        Self {
            namespace: namespace(pod),
            name: pod_name(host, pod, generation),
            uid: uuid(mix(&[seed, 1, host as u64, pod as u64, generation])),
        }
    }
}

/// A random number's UUID of version 4.
pub(super) fn uuid(high: u64) -> String {
    let low = mix(&[high, 2]);
    let mut uuid = String::with_capacity(36);
    hexadecimal(&mut uuid, high >> 32, 8);
    uuid.push('-');
    hexadecimal(&mut uuid, high >> 16, 4);
    uuid.push_str("-4");
    hexadecimal(&mut uuid, high, 3);
    uuid.push_str("-8");
    hexadecimal(&mut uuid, low >> 52, 3);
    uuid.push('-');
    hexadecimal(&mut uuid, low, 12);
    uuid
}

/// The id of a run of a container: 64 hexadecimal digits, as Docker has it.
pub(super) fn container_id(pod_uid: &str, container: usize, generation: u64) -> String {
    let pod = pod_uid.bytes().fold(0_u64, |hash, byte| hash.rotate_left(5) ^ u64::from(byte));
    let mut id = String::with_capacity(64);
    for part in 0..4 {
        hexadecimal(&mut id, mix(&[pod, container as u64, generation, part]), 16);
    }
    id
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Two pods of one name would be one pod to whoever reads the answers.
    #[test]
    fn no_two_pods_or_containers_are_alike() {
        let mut names = HashSet::new();
        let mut ids = HashSet::new();
        for host in 0..100 {
            for (pod, generation) in (0..30).flat_map(|pod| [(pod, 0), (pod, 1)]) {
                let identity = PodIdentity::new(7, host, pod, generation);
                assert_eq!(identity.uid.len(), 36, "{}", identity.uid);
                for container in 0..2 {
                    let id = container_id(&identity.uid, container, generation);
                    assert_eq!(id.len(), 64);
                    assert!(ids.insert(id));
                }
                assert!(names.insert((identity.namespace, identity.name)));
            }
        }
    }
}
