//! Tests of what follows from polls.

use heapster_shared::{entity::Labels, row::Cell, schema::Field};

use super::*;
use crate::{
    pipeline::{HostPipeline, Plans},
    source::{Layouts, PlainReading, PodName},
};

const NOW_MS: i64 = 1_795_346_010_000;
const KEEP_MS: i64 = 60_000;

/// A host that is polled.
#[derive(Default)]
struct Polled {
    pipeline: HostPipeline,
    plans: Plans,
    layouts: Layouts,
    usage: Option<NodeUsage>,
}

/// A reading: pod and container, CPU time in ms, the time in s, and the rate that the host gives.
type Sample<'a> = (&'a str, &'a str, i64, i64, Option<u64>);

impl Polled {
    fn poll(&mut self, now_s: i64, samples: &[Sample<'_>]) -> &NodeUsage {
        let mut readings = Readings::default();
        for (pod, name, cpu_ms, time_s, given) in samples {
            let plain =
                Readings::collect(vec![reading(pod, name, *cpu_ms, *time_s)], &self.layouts);
            let (reading, cells) = plain.get(0).unwrap();
            let times = (reading.time_ms, reading.start_time_ms);
            let (subject, layout) = (Arc::clone(&reading.subject), Arc::clone(&reading.layout));
            readings.push(subject, layout, times, cells);
            readings.give_cpu_nanocores(*given);
        }
        let host = Arc::new(Host::named("a"));
        let blocks = self.pipeline.advance(&mut self.plans, &host, &readings);
        let taken = Taken { now_ms: NOW_MS + now_s * 1000, keep_ms: KEEP_MS };
        let before = self.usage.take();
        let after = NodeUsage::after(before.as_ref(), &host, (&readings, &blocks), taken);
        self.usage.insert(after)
    }
}

/// Started five minutes ago; `young` ones 20 s ago.
fn reading(pod: &str, name: &str, cpu_ms: i64, time_s: i64) -> PlainReading {
    let labels = Labels::default();
    let subject = if pod.is_empty() {
        Subject::Node { labels }
    } else {
        let pod = PodName { namespace: "ns".into(), name: pod.into(), uid: "".into() }.into();
        Subject::PodContainer { pod, name: name.into(), uid: "".into(), labels }
    };
    let age_ms = if name == "young" { 20_000 } else { 300_000 };
    let values = vec![
        (Field::plain(table::CPU_USAGE.def()), Cell::int(cpu_ms * 1_000_000)),
        (Field::plain(table::MEMORY_WORKING_SET.def()), Cell::int(4096)),
    ];
    PlainReading {
        subject,
        time_ms: NOW_MS + time_s * 1000,
        start_time_ms: NOW_MS - age_ms,
        values,
    }
}

/// Nanocores and window of each container of a pod; `None` where the pod is not to be shown.
fn rates(node: &NodeUsage, pod: &str) -> Option<Vec<(u64, u32)>> {
    let containers = node.containers(&node.pods[node.pod("ns", pod)?])?;
    let rate = |it: &ContainerUsage| (it.usage.cpu_nanocores, it.usage.window_ms);
    Some(containers.iter().map(rate).collect())
}

/// After one sample there is what the host gives, or the average of a short life, or nothing; after
/// two the rate between them, whatever the host gives.
#[test]
fn rates_follow_the_rules() {
    let mut polled = Polled::default();
    let first = polled.poll(
        0,
        &[
            ("", "", 9_000, 0, Some(7)),
            ("given", "c", 500, 0, Some(123_456_789)),
            ("fresh", "young", 5_000, 0, None),
            ("none", "c", 500, 0, None),
            ("part", "a", 500, 0, Some(1)),
            ("part", "b", 500, 0, None),
        ],
    );
    assert_eq!(first.usage().unwrap().cpu_nanocores, 7);
    assert_eq!(rates(first, "given"), Some(vec![(123_456_789, GIVEN_WINDOW_MS)]));
    assert_eq!(rates(first, "fresh"), Some(vec![(250_000_000, 20_000)]));
    assert_eq!(rates(first, "none"), None);
    assert_eq!(rates(first, "part"), None, "a part of a pod is not the pod");
    let second = polled.poll(
        15,
        &[
            ("", "", 9_000, 15, Some(7)),
            ("given", "c", 2_000, 10, Some(1)),
            ("none", "c", 500, 15, None),
            ("part", "a", 515, 15, None),
            ("part", "b", 530, 15, None),
        ],
    );
    assert_eq!(second.usage().unwrap().window_ms, 15_000);
    assert_eq!(rates(second, "given"), Some(vec![(150_000_000, 10_000)]));
    assert_eq!(rates(second, "none"), Some(vec![(0, 15_000)]));
    assert_eq!(rates(second, "part"), Some(vec![(1_000_000, 15_000), (2_000_000, 15_000)]));
    assert_eq!(rates(second, "fresh"), None, "it is gone");
}

/// A host that repeats a sample has nothing new to say; one that does so for long says nothing any
/// more, and neither does a node that does not answer.
#[test]
fn repeated_samples_stand_for_a_while() {
    let mut polled = Polled::default();
    polled.poll(0, &[("p", "c", 0, 0, None), ("q", "c", 0, 0, None)]);
    polled.poll(15, &[("p", "c", 1_500, 15, None), ("q", "c", 1_500, 15, None)]);
    let expected = Some(vec![(100_000_000, 15_000)]);
    for now_s in [30, 45, 60, 75] {
        let repeated = [("p", "c", 1_500, 15, None), ("q", "c", 1_500, now_s, None)];
        let node = polled.poll(now_s, &repeated);
        assert_eq!(rates(node, "p"), expected, "after {now_s} s");
        assert_eq!(rates(node, "q"), Some(vec![(0, 15_000)]));
    }
    let node = polled.poll(76, &[("p", "c", 1_500, 15, None), ("q", "c", 1_500, 76, None)]);
    assert_eq!(rates(node, "p"), None);
    assert!(node.is_fresh(NOW_MS + 136_000) && !node.is_fresh(NOW_MS + 136_001));
}

/// A counter that went back gives no rate, and the container's pod is left out until there is one.
#[test]
fn a_restart_is_no_rate() {
    let mut polled = Polled::default();
    polled.poll(0, &[("p", "c", 9_000, 0, None)]);
    assert_eq!(rates(polled.poll(15, &[("p", "c", 100, 15, None)]), "p"), None);
    let node = polled.poll(30, &[("p", "c", 250, 30, None)]);
    assert_eq!(rates(node, "p"), Some(vec![(10_000_000, 15_000)]));
}

/// The price of a container, its pod and its part of the node, with two containers a pod.
#[test]
fn a_container_takes_little_memory() {
    let names: Vec<String> = (0..30).map(|pod| format!("pod-{pod}")).collect();
    let samples: Vec<Sample<'_>> = names
        .iter()
        .flat_map(|pod| ["a", "b"].map(|name| (pod.as_str(), name, 0, 0, None)))
        .collect();
    let mut polled = Polled::default();
    let bytes = polled.poll(0, &samples).bytes_per_container();
    assert!(bytes <= 64, "{bytes} bytes");
}
