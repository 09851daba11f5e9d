//! What holds for the readings of every source, whatever a host says.

use std::collections::HashSet;

use heapster_buddy::source::{Readings, Subject};
use heapster_shared::{
    row::Cell,
    schema::{Kind, ValueType},
};

/// Each thing is named and comes once, each of its fields comes once, and nothing is a number that it
/// cannot be.
pub(super) fn hold(readings: &Readings) {
    let mut nodes = 0;
    for (reading, cells) in readings.iter() {
        match &*reading.subject {
            Subject::Node { .. } => nodes += 1,
            Subject::Pod { pod, .. } => named(&pod.name, &pod.namespace),
            Subject::PodContainer { pod, name, .. } => {
                named(&pod.name, &pod.namespace);
                assert!(!name.is_empty(), "a container without a name");
            }
            Subject::SysContainer { name, .. } => {
                assert!(!name.is_empty(), "a group without a name")
            }
        }
        assert!(reading.time_ms > 0, "a reading without a time: {:?}", reading.subject);
        assert!(reading.start_time_ms >= 0, "a start before 1970: {:?}", reading.subject);
        let mut fields = HashSet::new();
        for (field, cell) in reading.layout.measured().iter().zip(cells) {
            assert!(fields.insert(field), "{} comes twice", field.metric.name());
            possible(field.metric.name(), field.metric.kind(), field.metric.value_type(), *cell);
        }
    }
    assert!(nodes <= 1, "{nodes} readings of one node");
}

fn named(name: &str, namespace: &str) {
    assert!(!name.is_empty() && !namespace.is_empty(), "a pod without a name");
}

fn possible(name: &str, kind: Kind, value_type: ValueType, cell: Cell) {
    match value_type {
        ValueType::Int64 => {
            let negative = cell.as_int().is_some_and(|value| value < 0);
            assert!(!negative, "{name} ({kind:?}) is negative");
        }
        ValueType::Double => {
            let value = cell.as_real();
            assert!(value.is_none_or(|value| !value.is_nan()), "{name} is no number");
        }
    }
}

/// Two ways of reading one answer give the same.
pub(super) fn agree(one: &Readings, other: &Readings, ways: &str) {
    assert_eq!(one.len(), other.len(), "{ways}: numbers of readings");
    for ((a, a_cells), (b, b_cells)) in one.iter().zip(other.iter()) {
        assert_eq!(a.subject, b.subject, "{ways}");
        assert_eq!(a.layout.measured(), b.layout.measured(), "{ways}: {:?}", a.subject);
        let times = |reading: &heapster_buddy::source::Reading| {
            (reading.time_ms, reading.start_time_ms, reading.given_cpu_nanocores)
        };
        assert_eq!(times(a), times(b), "{ways}: {:?}", a.subject);
        assert!(a_cells == b_cells, "{ways}: {:?}: {a_cells:?} and {b_cells:?}", a.subject);
    }
}
