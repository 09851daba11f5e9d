//! Points in the line format of the proxy.

use std::sync::Arc;

use heapster_shared::{
    entity::{Entity, Level},
    schema::Field,
    tag,
};

use crate::sinks::{
    LabelRules,
    hierarchy::Hierarchy,
    samples::{FieldText, Line, LineFormat},
};

/// The tag that names the cluster, as in the ancestor.
const CLUSTER: &str = "cluster";
/// Labels that the ancestor left out.
const LEFT_OUT: [&str; 4] = [tag::NAMESPACE_ID, tag::POD_ID, tag::HOSTNAME, tag::HOST_ID];
/// Names that mean something else in a line.
const TAKEN: [&str; 2] = ["source", "host"];
/// Bytes of a tag's name and value together; the proxy refuses longer ones.
const TAG_BYTES: usize = 254;
/// Bytes of a metric's name, and of a source.
const NAME_BYTES: usize = 255;

/// What the options say.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// The name of the cluster instead of the row's own.
    pub(super) cluster: Option<String>,
    /// What stands before each metric.
    pub(super) prefix: String,
    /// Whether the pod's own labels are tags.
    pub(super) pod_labels: bool,
    /// Whether the rows of pods' containers are written.
    pub(super) containers: bool,
}

/// How samples become points.
#[derive(Debug)]
pub(super) struct Points {
    choice: Choice,
    rules: Arc<LabelRules>,
}

impl Points {
    /// Points by these options and rules.
    pub(super) const fn new(choice: Choice, rules: Arc<LabelRules>) -> Self {
        Self { choice, rules }
    }

    fn source(cluster: &str, entity: &Entity) -> String {
        let place = Hierarchy::of(entity);
        match entity.level {
            Level::Cluster => cluster.to_owned(),
            Level::Namespace => format!("{}-ns", place.namespace),
            _ if place.host.is_empty() => cluster.to_owned(),
            _ => place.host,
        }
    }

    fn tags(&self, cluster: &str, entity: &Entity) -> Vec<(String, String)> {
        let mut tags = Vec::new();
        let mut push = |label: &str, name: &str, value: &str| {
            if let Some(renamed) = self.rules.name(label) {
                let name = if renamed == label { name } else { renamed };
                tags.push((name.to_owned(), value.to_owned()));
            }
        };
        push(CLUSTER, CLUSTER, cluster);
        tag::visit(entity, |label, value| match label {
            tag::LABELS if self.choice.pod_labels => {
                for (name, value) in value.split(',').filter_map(|pair| pair.split_once(':')) {
                    push(name, &format!("label.{name}"), value);
                }
            }
            tag::LABELS => {}
            label if LEFT_OUT.contains(&label) => {}
            label => push(label, label, value),
        });
        tags
    }
}

impl LineFormat for Points {
    fn entity(&self, cluster: &str, entity: &Entity) -> Option<Box<[u8]>> {
        if entity.level == Level::PodContainer && !self.choice.containers {
            return None;
        }
        let cluster = self.choice.cluster.as_deref().unwrap_or(cluster);
        let mut source = String::from(" source=");
        quote(cut(&Self::source(cluster, entity), NAME_BYTES), &mut source);
        let mut written: Vec<String> = Vec::new();
        for (name, value) in self.tags(cluster, entity) {
            let name = legal(&name);
            if !written.contains(&name) {
                push_tag(&name, &value, &mut source);
                written.push(name);
            }
        }
        Some(source.into_bytes().into())
    }

    fn field(&self, field: &Field) -> Option<FieldText> {
        let name = format!("{}{}", self.choice.prefix, field.metric.name().replace('/', "."));
        let name = cut(&legal(&name), NAME_BYTES).to_owned();
        let mut labels = String::new();
        for (label, value) in field.labels.iter().flat_map(|labels| labels.iter()) {
            if let Some(name) = self.rules.name(label) {
                push_tag(&legal(name), value, &mut labels);
            }
        }
        Some(FieldText { name: name.into_bytes().into(), labels: labels.into_bytes().into() })
    }

    fn time(&self, time_ms: i64) -> i64 {
        time_ms
    }

    fn line(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        out.extend_from_slice(&line.field.name);
        out.push(b' ');
        line.value.write(out);
        out.push(b' ');
        out.extend_from_slice(line.time.1.as_bytes());
        out.extend_from_slice(line.entity);
        out.extend_from_slice(&line.field.labels);
        out.push(b'\n');
    }
}

/// ` NAME="VALUE"`; nothing where the value is empty, which the proxy refuses.
fn push_tag(name: &str, value: &str, out: &mut String) {
    if value.trim().is_empty() || TAKEN.contains(&name) || name.len() >= TAG_BYTES {
        return;
    }
    out.push(' ');
    out.push_str(name);
    out.push('=');
    quote(cut(value, TAG_BYTES - name.len()), out);
}

/// A text in quotes: a quote has a backslash before it, and a line break is `\n`.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    // At the end a backslash would take the closing quote for its own.
    for c in text.trim_end_matches('\\').chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The first characters, no more than this many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A name of letters, digits, `-`, `_` and `.`; anything else is `_`.
fn legal(name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
