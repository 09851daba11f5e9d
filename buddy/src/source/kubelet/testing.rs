//! For tests: documents read by a host that is new, and readings as lines of text.

use heapster_shared::schema::{Field, ValueType};

use super::Document;
use crate::source::{Layouts, PlainReading, Readings, Shapes, Subject};

/// Reads a document as that of a host that is new.
pub(in crate::source) fn try_read<D: Document>(text: &str) -> Result<Readings, String> {
    let read = D::read("http://h/x", text, &mut Shapes::default(), &Layouts::default());
    read.map_err(|error| error.to_string())
}

/// The readings as lines such as `container ns/pod/name @TIME since START cpu/usage=7`.
pub(in crate::source) fn lines<D: Document>(text: &str) -> Vec<String> {
    try_read::<D>(text).unwrap().to_plain().iter().map(line).collect()
}

/// The lines that begin like this.
pub(in crate::source) fn lines_of<D: Document>(text: &str, start: &str) -> Vec<String> {
    lines::<D>(text).into_iter().filter(|line| line.starts_with(start)).collect()
}

fn line(reading: &PlainReading) -> String {
    let who = match &reading.subject {
        Subject::Node { .. } => "node".to_owned(),
        Subject::Pod { pod, .. } => format!("pod {}/{} {}", pod.namespace, pod.name, pod.uid),
        Subject::PodContainer { pod, name, uid, labels } => {
            let run: String = uid.chars().take(8).collect();
            let image = labels.get("container_base_image").unwrap_or_default();
            let pod = format!("{}/{}", pod.namespace, pod.name);
            format!("container {pod}/{name} {run}{image}").trim_end().to_owned()
        }
        Subject::SysContainer { name, .. } => format!("system {name}"),
    };
    let mut line = format!("{who} @{} since {}", reading.time_ms, reading.start_time_ms);
    for (field, cell) in &reading.values {
        let Field { metric, labels } = field;
        let labels = labels.iter().flat_map(|labels| labels.iter());
        let labels: Vec<String> = labels.map(|(_, value)| format!("[{value}]")).collect();
        let value = match metric.value_type() {
            ValueType::Int64 => cell.as_int().unwrap().to_string(),
            ValueType::Double => cell.as_real().unwrap().to_string(),
        };
        line.push_str(&format!(" {}{}={value}", metric.name(), labels.concat()));
    }
    line
}
