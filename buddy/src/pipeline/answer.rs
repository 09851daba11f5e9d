//! One poll's readings, sorted into the node, its pods and the rest.

use compact_str::CompactString;
use heapster_shared::{Map, entity::Labels, row::Cell, schema::Field};

use crate::source::{PodName, Readings, Subject};

/// What a host answered.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) node: Option<Part>,
    pub(super) pods: Vec<PodPart>,
    pub(super) system: Vec<Part>,
}

/// A pod's part of it.
pub(super) struct PodPart {
    pub(super) name: PodName,
    pub(super) itself: Option<Part>,
    pub(super) containers: Vec<Part>,
}

/// One reading, its subject taken apart.
pub(super) struct Part {
    pub(super) name: CompactString,
    pub(super) uid: CompactString,
    pub(super) labels: Labels,
    pub(super) time_ms: i64,
    pub(super) start_time_ms: i64,
    pub(super) values: Vec<(Field, Cell)>,
}

impl Answer {
    pub(super) fn sort(readings: &Readings) -> Self {
        let mut answer = Self::default();
        let mut places = Map::default();
        for (reading, cells) in readings.iter() {
            let (time_ms, start_time_ms) = (reading.time_ms, reading.start_time_ms);
            let fields = reading.layout.measured().iter().cloned();
            let values = fields.zip(cells.iter().copied()).collect();
            let part =
                |name, uid, labels| Part { name, uid, labels, time_ms, start_time_ms, values };
            match Subject::clone(&reading.subject) {
                Subject::Node { labels } => {
                    answer.node = Some(part("".into(), "".into(), labels));
                }
                Subject::Pod { pod, labels } => {
                    let place = answer.place(&mut places, pod);
                    place.itself = Some(part("".into(), "".into(), labels));
                }
                Subject::PodContainer { pod, name, uid, labels } => {
                    answer.place(&mut places, pod).containers.push(part(name, uid, labels));
                }
                Subject::SysContainer { name, uid, labels } => {
                    answer.system.push(part(name, uid, labels));
                }
            }
        }
        answer
    }

    /// The part of the pod of this name; its uid is the first that is known.
    fn place(
        &mut self,
        places: &mut Map<(CompactString, CompactString), usize>,
        pod: PodName,
    ) -> &mut PodPart {
        let pods = &mut self.pods;
        let key = (pod.namespace.clone(), pod.name.clone());
        let uid = pod.uid.clone();
        let place = *places.entry(key).or_insert_with(|| {
            pods.push(PodPart { name: pod, itself: None, containers: Vec::new() });
            pods.len() - 1
        });
        let part = &mut pods[place];
        if part.name.uid.is_empty() {
            part.name.uid = uid;
        }
        part
    }
}
