//! Points as JSON objects, each with a comma behind it.

use std::sync::Arc;

use heapster_shared::{
    entity::Entity,
    schema::{Field, Kind},
    tag,
};

use crate::sinks::{
    LabelRules,
    samples::{FieldText, Line, LineFormat},
};

/// The tag that names the cluster, as in the ancestor.
const CLUSTER: &str = "cluster";

/// The labels that tell series apart, in the order in which they may be left out least. All others
/// describe, and come after them.
const TELLING: [&str; 6] = [
    tag::TYPE,
    tag::NAMESPACE_NAME,
    tag::POD_NAME,
    tag::CONTAINER_NAME,
    tag::NODENAME,
    tag::LABELS,
];

/// How samples become points.
#[derive(Debug)]
pub(super) struct Points {
    cluster: Option<String>,
    max_tags: usize,
    rules: Arc<LabelRules>,
}

impl Points {
    /// Points with so many tags, of which one is this cluster, or the row's own.
    pub(super) const fn new(
        cluster: Option<String>,
        max_tags: usize,
        rules: Arc<LabelRules>,
    ) -> Self {
        Self { cluster, max_tags, rules }
    }

    /// How many tags an entity may have, when a field may have one too.
    const fn entity_tags(&self) -> usize {
        if self.max_tags > 1 { self.max_tags - 1 } else { 1 }
    }
}

/// Where a label stands among those that are written.
fn rank(label: &str) -> usize {
    TELLING.iter().position(|telling| *telling == label).unwrap_or(TELLING.len())
}

impl LineFormat for Points {
    fn entity(&self, cluster: &str, entity: &Entity) -> Option<Box<[u8]>> {
        let cluster = self.cluster.as_deref().unwrap_or(cluster);
        let mut tags: Vec<(usize, &str, &str)> = Vec::new();
        tag::visit(entity, |label, value| {
            if let Some(name) = self.rules.name(label) {
                tags.push((rank(label) + 1, name, value));
            }
        });
        if let Some(name) = self.rules.name(CLUSTER) {
            tags.insert(0, (0, name, cluster));
        }
        tags.sort_by_key(|(rank, ..)| *rank);
        let mut out = Vec::new();
        let mut written: Vec<String> = Vec::new();
        for (_, name, value) in tags {
            let name = legal(name);
            if written.len() < self.entity_tags() && !written.contains(&name) && !value.is_empty() {
                push_tag(&name, value, !written.is_empty(), &mut out);
                written.push(name);
            }
        }
        if written.is_empty() {
            push_tag(CLUSTER, cluster, false, &mut out);
        }
        Some(out.into())
    }

    fn field(&self, field: &Field) -> Option<FieldText> {
        let metric = &field.metric;
        let kind = match metric.kind() {
            Kind::Cumulative => "cumulative",
            _ => "gauge",
        };
        let name = format!("{}_{kind}", legal(metric.name()).replace('/', "_"));
        let mut labels = Vec::new();
        // The first tells the fields of a metric apart.
        let named = field.labels.iter().flat_map(|labels| labels.iter());
        let mut named = named.filter_map(|(label, value)| Some((self.rules.name(label)?, value)));
        if let Some((label, value)) = named.next() {
            push_tag(&legal(label), value, true, &mut labels);
        }
        Some(FieldText { name: name.into_bytes().into(), labels: labels.into() })
    }

    fn time(&self, time_ms: i64) -> i64 {
        time_ms
    }

    fn line(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        out.extend_from_slice(br#"{"metric":""#);
        out.extend_from_slice(&line.field.name);
        out.extend_from_slice(br#"","timestamp":"#);
        out.extend_from_slice(line.time.1.as_bytes());
        out.extend_from_slice(br#","value":"#);
        line.value.write(out);
        out.extend_from_slice(br#","tags":{"#);
        out.extend_from_slice(line.entity);
        out.extend_from_slice(&line.field.labels);
        out.extend_from_slice(b"}},");
    }
}

fn push_tag(name: &str, value: &str, comma: bool, out: &mut Vec<u8>) {
    if comma {
        out.push(b',');
    }
    out.extend_from_slice(format!("\"{name}\":\"{}\"", legal(value)).as_bytes());
}

/// A text of which each character is one that OpenTSDB takes: letters, digits, `-`, `_`, `.`, `/`.
/// Of letters it takes those of any script; here all but those of ASCII are `_`, as in the ancestor.
fn legal(text: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let legal: String = text.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    if legal.is_empty() { "_".to_owned() } else { legal }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
