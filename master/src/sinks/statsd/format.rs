//! Gauges in the three dialects of StatsD.

use std::sync::Arc;

use heapster_shared::{
    Map,
    entity::{Entity, Level},
    schema::Field,
    tag,
};
use serde::Deserialize;

use crate::sinks::{
    LabelRules,
    hierarchy::Hierarchy,
    labels::CLUSTER_NAME,
    samples::{FieldText, Line, LineFormat, Number},
};

/// A dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(super) enum Protocol {
    /// Names are paths.
    #[default]
    #[serde(rename = "etsystatsd")]
    Etsy,
    /// Tags stand behind the name, as Telegraf reads them.
    #[serde(rename = "influxstatsd")]
    Influx,
    /// Tags stand behind the value, as Datadog's agent reads them.
    #[serde(rename = "dogstatsd")]
    Dog,
}

/// How labels are spelt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(super) enum Style {
    /// As they are.
    #[default]
    #[serde(rename = "snake_case")]
    Snake,
    /// `containerName`.
    #[serde(rename = "lowerCamelCase")]
    LowerCamel,
    /// `ContainerName`.
    #[serde(rename = "upperCamelCase")]
    UpperCamel,
}

/// How samples become gauges.
#[derive(Debug)]
pub(super) struct Gauges {
    protocol: Protocol,
    prefix: String,
    rules: Arc<LabelRules>,
    renamed: Map<String, String>,
    allowed: Vec<String>,
    /// How labels are spelt.
    pub(super) style: Style,
    /// Whether gauges have the times of their samples.
    pub(super) timestamps: bool,
}

impl Gauges {
    /// Gauges in this dialect, with something before their names.
    pub(super) fn new(protocol: Protocol, prefix: &str, rules: Arc<LabelRules>) -> Self {
        Self {
            protocol,
            prefix: prefix.to_owned(),
            rules,
            renamed: Map::default(),
            allowed: Vec::new(),
            style: Style::Snake,
            timestamps: false,
        }
    }

    /// Takes over `old:new,old:new`.
    ///
    /// # Errors
    /// With the part that is wrong.
    pub(super) fn rename(&mut self, pairs: &str) -> Result<(), String> {
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (from, to) = pair
                .split_once(':')
                .filter(|(from, to)| !from.is_empty() && !to.is_empty())
                .ok_or_else(|| format!("renameLabels: `{pair}` is not like type:k8s_type"))?;
            self.renamed.insert(from.to_owned(), to.to_owned());
        }
        Ok(())
    }

    /// Writes only these labels, separated by commas; all where there is none.
    pub(super) fn allow(&mut self, labels: &str) {
        let labels = labels.split(',').filter(|label| !label.is_empty());
        self.allowed = labels.map(str::to_owned).collect();
    }

    /// What a label is called; `None` when it is not written.
    fn name(&self, label: &str) -> Option<String> {
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == label) {
            return None;
        }
        match self.renamed.get(label) {
            Some(renamed) => Some(renamed.clone()),
            None => self.rules.name(label).map(|name| self.style.spell(name)),
        }
    }

    fn prefix(&self, cluster: &str) -> String {
        self.prefix.replace("{cluster}", &node(cluster))
    }

    fn path(&self, cluster: &str, entity: &Entity) -> String {
        let place = Hierarchy::of(entity);
        let [host, namespace, pod] =
            [&place.host, &place.namespace, &place.pod].map(|name| node(name));
        let name = node(&entity.name);
        let prefix = self.prefix(cluster);
        let prefix = prefix.trim_end_matches('.');
        let mut path = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        path += &match entity.level {
            Level::PodContainer => {
                format!("node.{host}.namespace.{namespace}.pod.{pod}.container.{name}.")
            }
            Level::SysContainer => format!("node.{host}.sys-container.{name}."),
            Level::Pod => format!("node.{host}.namespace.{namespace}.pod.{pod}."),
            Level::Namespace => format!("namespace.{name}."),
            Level::Node => format!("node.{host}."),
            Level::Cluster => "cluster.".to_owned(),
        };
        for (label, value) in own_labels(entity) {
            if let Some(name) = self.own_name(tag::LABELS, &label) {
                path += &format!("{}.{}.", node(&name), node(&value));
            }
        }
        path
    }

    /// What one of a pod's own labels is called; they are written where `labels` as a whole is.
    fn own_name(&self, whole: &str, label: &str) -> Option<String> {
        self.name(whole)?;
        let renamed = self.renamed.get(label).cloned();
        Some(renamed.unwrap_or_else(|| self.style.spell(label)))
    }

    /// The tags of an entity, sorted by name, each once.
    fn tags(&self, cluster: &str, entity: &Entity) -> Vec<(String, String)> {
        let mut tags: Vec<(String, String)> = Vec::new();
        tag::visit(entity, |label, value| {
            if label != tag::LABELS
                && let Some(name) = self.name(label)
            {
                tags.push((name, value.to_owned()));
            }
        });
        if let Some(name) = self.name(CLUSTER_NAME) {
            tags.push((name, cluster.to_owned()));
        }
        for (label, value) in own_labels(entity) {
            if let Some(name) = self.own_name(tag::LABELS, &label) {
                tags.push((name, value));
            }
        }
        // What the cluster manager calls like one of ours comes after it, and goes.
        tags.sort_by(|(one, _), (other, _)| one.cmp(other));
        tags.dedup_by(|(one, _), (other, _)| one == other);
        tags.retain(|(_, value)| !value.is_empty());
        tags
    }

    fn tag(&self, name: &str, value: &str) -> String {
        let joint = if self.protocol == Protocol::Dog { ':' } else { '=' };
        format!("{}{joint}{}", word(name), word(value))
    }
}

impl LineFormat for Gauges {
    fn entity(&self, cluster: &str, entity: &Entity) -> Option<Box<[u8]>> {
        let text = match self.protocol {
            Protocol::Etsy => self.path(cluster, entity),
            Protocol::Influx | Protocol::Dog => {
                let tags = self.tags(cluster, entity);
                let tags: Vec<String> =
                    tags.iter().map(|(name, value)| self.tag(name, value)).collect();
                tags.join(",")
            }
        };
        Some(text.into_bytes().into())
    }

    fn field(&self, field: &Field) -> Option<FieldText> {
        let labels = || field.labels.iter().flat_map(|labels| labels.iter());
        let metric = field.metric.name();
        let (name, labels) = match self.protocol {
            Protocol::Etsy => {
                let resources = labels().map(|(_, value)| format!(".{}", node(value)));
                (node(metric) + &resources.collect::<String>(), String::new())
            }
            Protocol::Influx | Protocol::Dog => {
                let named = labels().filter_map(|(label, value)| Some((self.name(label)?, value)));
                let tags: Vec<String> = named.map(|(name, value)| self.tag(&name, value)).collect();
                let metric = if self.protocol == Protocol::Dog {
                    metric.replace('/', ".")
                } else {
                    word(metric)
                };
                (format!("{}{metric}", self.prefix("")), tags.join(","))
            }
        };
        Some(FieldText { name: name.into_bytes().into(), labels: labels.into_bytes().into() })
    }

    /// Datadog's agent counts in seconds.
    fn time(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(1000)
    }

    fn line(&self, out: &mut Vec<u8>, line: &Line<'_>) {
        // A sign would add to the gauge or take from it, so that it is set to 0 first. Datadog's
        // agent takes it for a value.
        if line.value.is_negative() && self.protocol != Protocol::Dog {
            self.gauge(out, line, Number::Int(0));
        }
        self.gauge(out, line, line.value);
    }
}

impl Gauges {
    fn gauge(&self, out: &mut Vec<u8>, line: &Line<'_>, value: Number) {
        let FieldText { name, labels } = line.field;
        match self.protocol {
            Protocol::Etsy => {
                out.extend_from_slice(line.entity);
                out.extend_from_slice(name);
            }
            Protocol::Influx => {
                out.extend_from_slice(name);
                for tags in [line.entity, labels].into_iter().filter(|tags| !tags.is_empty()) {
                    out.push(b',');
                    out.extend_from_slice(tags);
                }
            }
            Protocol::Dog => out.extend_from_slice(name),
        }
        out.push(b':');
        value.write(out);
        out.extend_from_slice(b"|g");
        if self.protocol == Protocol::Dog {
            let mut before = b"|#".as_slice();
            for tags in [line.entity, labels].into_iter().filter(|tags| !tags.is_empty()) {
                out.extend_from_slice(before);
                out.extend_from_slice(tags);
                before = b",";
            }
            if self.timestamps {
                out.extend_from_slice(b"|T");
                out.extend_from_slice(line.time.1.as_bytes());
            }
        }
        out.push(b'\n');
    }
}

impl Style {
    fn spell(self, label: &str) -> String {
        if self == Self::Snake {
            return label.to_owned();
        }
        let mut words = label.split('_').filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let first = if self == Self::UpperCamel { capital(first) } else { first.to_owned() };
        words.fold(first, |spelt, word| spelt + &capital(word))
    }
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

/// The cluster manager's own labels, by name; they come as `key:value` joined by `,`.
fn own_labels(entity: &Entity) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    tag::visit(entity, |name, value| {
        if name == tag::LABELS && labels.is_empty() {
            let pairs = value.split(',').filter_map(|pair| pair.split_once(':'));
            let pairs = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
            labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        }
    });
    labels.sort();
    labels
}

/// A part of a path: what would part it, or end the name, is `_`.
fn node(text: &str) -> String {
    let taken = |c: char| ".=|:@#,".contains(c) || c.is_whitespace() || c.is_control();
    let node: String = text.chars().map(|c| if taken(c) { '_' } else { c }).collect();
    if node.is_empty() { "_".to_owned() } else { node }
}

/// A name or value of a tag: what would end it is `_`.
fn word(text: &str) -> String {
    let taken = |c: char| ",:=|@#".contains(c) || c.is_whitespace() || c.is_control();
    text.chars().map(|c| if taken(c) { '_' } else { c }).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
