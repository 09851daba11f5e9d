//! Paths and tags of Graphite.

use std::sync::Arc;

use heapster_shared::{
    entity::{Entity, Level},
    schema::Field,
};

use crate::sinks::{
    LabelRules,
    hierarchy::Hierarchy,
    samples::{FieldText, Line, LineFormat},
};

const CLUSTER: &str = "{cluster}";

/// How samples are named.
#[derive(Debug)]
pub(super) struct Paths {
    prefix: String,
    tags: bool,
    rules: Arc<LabelRules>,
}

impl Paths {
    /// Paths behind this prefix, or tags.
    ///
    /// # Errors
    /// When no path could have the prefix.
    pub(super) fn new(prefix: &str, tags: bool, rules: Arc<LabelRules>) -> Result<Self, String> {
        let plain = prefix.replace(CLUSTER, "c");
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let nodes_are_named = plain.is_empty() || plain.split('.').all(|node| !node.is_empty());
        if !plain.chars().all(legal) || !nodes_are_named {
            return Err(format!(
                "prefix `{prefix}` is no part of a path: write names of letters, digits, `-` and `_` with dots between, such as kubernetes.{CLUSTER}"
            ));
        }
        if tags && prefix.contains(CLUSTER) {
            return Err(format!(
                "with tags=true the cluster is a tag: leave {CLUSTER} out of the prefix"
            ));
        }
        Ok(Self { prefix: prefix.to_owned(), tags, rules })
    }

    /// Whether the rows of two clusters would have the same paths.
    pub(super) fn mixes_clusters(&self) -> bool {
        !self.tags && !self.prefix.contains(CLUSTER)
    }

    fn prefix(&self, cluster: &str) -> String {
        let prefix = self.prefix.replace(CLUSTER, &node(cluster));
        if prefix.is_empty() { prefix } else { prefix + "." }
    }

    fn path(&self, cluster: &str, entity: &Entity) -> String {
        let place = Hierarchy::of(entity);
        let [host, namespace, pod] =
            [&place.host, &place.namespace, &place.pod].map(|name| node(name));
        let name = node(&entity.name);
        let path = match entity.level {
            Level::PodContainer => format!("nodes.{host}.pods.{namespace}.{pod}.containers.{name}"),
            Level::SysContainer => format!("nodes.{host}.sys-containers.{name}"),
            Level::Pod => format!("nodes.{host}.pods.{namespace}.{pod}"),
            Level::Namespace => format!("namespaces.{name}"),
            Level::Node => format!("nodes.{host}"),
            Level::Cluster => "cluster".to_owned(),
        };
        format!("{}{path}.", self.prefix(cluster))
    }

    /// `;NAME=VALUE` for each label, sorted.
    fn tags(&self, cluster: &str, entity: &Entity) -> String {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        self.rules.visit(cluster, entity, |name, value| tags.push((name, value)));
        tags.sort_by_key(|(name, _)| *name);
        tags.dedup_by_key(|(name, _)| *name);
        tags.into_iter().map(|(name, value)| tag(name, value)).collect()
    }
}

impl LineFormat for Paths {
    fn entity(&self, cluster: &str, entity: &Entity) -> Option<Box<[u8]>> {
        let text = if self.tags { self.tags(cluster, entity) } else { self.path(cluster, entity) };
        Some(text.into_bytes().into())
    }

    fn field(&self, field: &Field) -> Option<FieldText> {
        let labels = || field.labels.iter().flat_map(|labels| labels.iter());
        let nodes = field.metric.name().split('/').map(node);
        if self.tags {
            let name = self.prefix("") + &nodes.collect::<Vec<_>>().join(".");
            let named =
                labels().filter_map(|(label, value)| Some((self.rules.name(label)?, value)));
            let labels: String = named.map(|(name, value)| tag(name, value)).collect();
            return Some(FieldText {
                name: name.into_bytes().into(),
                labels: labels.into_bytes().into(),
            });
        }
        // The resource stands behind the group of its metric, as in the ancestor.
        let resources: Vec<String> = labels().map(|(_, value)| resource(value)).collect();
        let mut path: Vec<String> = nodes.collect();
        path.splice(1..1, resources);
        Some(FieldText { name: path.join(".").into_bytes().into(), labels: Box::default() })
    }

    /// Carbon counts in seconds.
    fn time(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(1000)
    }

    fn line(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        if self.tags {
            out.extend_from_slice(&line.field.name);
            out.extend_from_slice(line.entity);
            out.extend_from_slice(&line.field.labels);
        } else {
            out.extend_from_slice(line.entity);
            out.extend_from_slice(&line.field.name);
        }
        out.push(b' ');
        line.value.write(out);
        out.push(b' ');
        out.extend_from_slice(line.time.1.as_bytes());
        out.push(b'\n');
    }
}

/// A name as a node of a path: dots and slashes are `_`, as in the ancestor, and so is what no path
/// can have. Nothing is `_` too: a node has a name.
fn node(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_:@+".contains(c);
    let node: String = name.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if node.is_empty() { "_".to_owned() } else { node }
}

/// A device or volume as a node, so that no two have the same: what is no letter or digit, `-` or
/// `:` is `_` and the two hexadecimal digits of the byte.
fn resource(name: &str) -> String {
    let mut node = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':') {
            node.push(char::from(byte));
        } else {
            node.push_str(&format!("_{byte:02X}"));
        }
    }
    if node.is_empty() { "_".to_owned() } else { node }
}

/// A tag. Values must not begin with `~` nor have `;`; names must not have `;!^=`. A space would end
/// the path.
fn tag(name: &str, value: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| if ";!^=".contains(c) || c.is_whitespace() || c.is_control() { '_' } else { c })
        .collect();
    let mut value: String = value
        .chars()
        .map(|c| if c == ';' || c.is_whitespace() || c.is_control() { '_' } else { c })
        .collect();
    if value.starts_with('~') {
        value.replace_range(0..1, "_");
    }
    if name.is_empty() || value.is_empty() { String::new() } else { format!(";{name}={value}") }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
