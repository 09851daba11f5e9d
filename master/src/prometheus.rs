//! How metrics and labels are called in Prometheus, for whatever writes there and for what is read
//! from there. Pure, and the same for both, so that a graph does not care which way a sample came.
//!
//! The level is part of the name, `heapster_pod_memory_working_set_bytes`, and not a label: a sum
//! over all series of a name then counts nothing twice. The prefix keeps the names apart from those
//! that cAdvisor, the kubelet and kube-state-metrics give to the same things.

mod family;
mod labels;

pub(crate) use family::{Family, LEVELS, level_index};
pub(crate) use labels::{of_entity, of_field};
