//! Whatever happens, a poll gives what one without any memory gives, and the same `Arc` where it is
//! the same.

use std::sync::Arc;

use heapster_shared::{Map, entity::Labels};
use proptest::prelude::*;

use super::{
    super::Enricher, Bench, container_subject, node_subject, pod, pod_subject, spec, system,
};
use crate::{
    kubernetes::ClusterMetadata,
    source::{PlainReading, Readings, Subject},
};

/// What happens between two polls.
#[derive(Clone, Debug)]
enum Step {
    PutPod {
        number: u8,
        uid: u8,
        label: u8,
        restarts: u32,
    },
    RemovePod {
        number: u8,
        uid: u8,
    },
    PutNamespace(u8),
    /// Readings by number, in this order; the source makes those whose subjects are doubted anew.
    Poll {
        order: Vec<u8>,
        doubted: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0..3_u8, 0..2_u8, 0..2_u8, 0..2_u32);
    let put = put.prop_map(|(number, uid, label, restarts)| Step::PutPod {
        number,
        uid,
        label,
        restarts,
    });
    let poll = (prop::collection::vec(0..SUBJECTS, 0..8), prop::bool::weighted(0.2));
    let step = prop_oneof![
        3 => put,
        1 => (0..3_u8, 0..2_u8).prop_map(|(number, uid)| Step::RemovePod { number, uid }),
        1 => (0..2_u8).prop_map(Step::PutNamespace),
        5 => poll.prop_map(|(order, doubted)| Step::Poll { order, doubted }),
    ];
    prop::collection::vec(step, 1..40)
}

const SUBJECTS: u8 = 11;

/// The things that the source may read: of three pods the whole, two containers and one by its id.
fn subject(number: u8) -> Arc<Subject> {
    let pod = format!("p{}", number % 3);
    match number / 3 {
        0 => pod_subject(&pod, "u0"),
        1 => container_subject(&pod, "", "main"),
        2 => container_subject(&pod, "u1", "gone"),
        _ if number == SUBJECTS - 1 => node_subject(&[]),
        _ => system("id"),
    }
}

/// The readings, sorted: those of pods that their host gives no reading of come in no particular order.
fn comparable(readings: &Readings) -> Vec<String> {
    let line = |reading: PlainReading| format!("{reading:?}");
    let mut lines: Vec<String> = readings.to_plain().into_iter().map(line).collect();
    lines.sort_unstable();
    lines
}

proptest! {
    #[test]
    fn memory_never_shows(steps in steps()) {
        let mut bench = Bench::new(ClusterMetadata::of(Vec::new(), Vec::new(), Vec::new()));
        let mut subjects: Vec<Arc<Subject>> = (0..SUBJECTS).map(subject).collect();
        let mut made: Map<usize, (Arc<Subject>, Arc<Subject>)> = Map::default();
        for step in steps {
            match step {
                Step::PutPod { number, uid, label, restarts } => {
                    let spec = spec("main", [Some(i64::from(label)), None], [None; 2]);
                    let mut pod = pod(&format!("p{number}"), &format!("u{uid}"), &[spec], restarts);
                    pod.labels = Arc::new(Labels::from_iter([("label", label.to_string())]));
                    pod.containers[0].id = format!("id{}", number / 2).trim_end_matches('0').into();
                    bench.metadata.put_pod(pod);
                }
                Step::RemovePod { number, uid } => {
                    bench.metadata.remove_pod("ns", &format!("p{number}"), &format!("u{uid}"));
                }
                Step::PutNamespace(uid) => {
                    bench.metadata.put_namespace(super::namespace("ns", &uid.to_string()));
                }
                Step::Poll { mut order, doubted } => {
                    let mut seen = heapster_shared::Set::default();
                    order.retain(|number| seen.insert(*number));
                    if doubted {
                        subjects = (0..SUBJECTS).map(subject).collect();
                    }
                    let given: Vec<_> = order.iter().map(|at| &subjects[usize::from(*at)]).collect();
                    let now = bench.poll(&given);
                    let rules = super::LabelRules::default();
                    let cluster = Arc::clone(&bench.enricher.cluster);
                    let remembering = std::mem::take(&mut bench.memory);
                    let enricher = std::mem::replace(&mut bench.enricher, Enricher::new(cluster, rules));
                    let anew = bench.poll(&given);
                    bench.memory = remembering;
                    bench.enricher = enricher;
                    prop_assert_eq!(comparable(&now), comparable(&anew));
                    let mut newest = Map::default();
                    for (subject, (reading, _)) in given.iter().zip(now.iter()) {
                        let address = Arc::as_ptr(subject).addr();
                        if let Some((_, before)) = made.get(&address) {
                            let is_same = Arc::ptr_eq(before, &reading.subject);
                            prop_assert_eq!(is_same, **before == *reading.subject);
                        }
                        newest.insert(address, (Arc::clone(subject), Arc::clone(&reading.subject)));
                    }
                    made = newest;
                    prop_assert_eq!(bench.memory.seen.things.len(), given.len());
                }
            }
        }
    }
}
