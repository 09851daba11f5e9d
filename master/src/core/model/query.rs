//! What the API asks the model: names of things, names of metrics, and series.

use std::{collections::BTreeSet, fmt};

use heapster_shared::{
    entity::Level,
    row::Cell,
    schema::{Field, Layout, ValueType},
};

use super::{
    cluster::{ClusterModel, Place},
    subject::{Key, Subject},
};

/// Why a question has no answer: a sentence for who asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueryError {
    /// No row came yet.
    #[error("no rows have come yet: see /validate for what the buddies and their hosts say")]
    Empty,
    /// A cluster has to be named.
    #[error("there are several clusters: name one, as in ?cluster={}; they are {}", .0.first().map_or("", String::as_str), .0.join(", "))]
    SeveralClusters(Vec<String>),
    /// The metric has several series, told apart by labels.
    #[error("`{metric}` has several series: choose one with ?labels={}; they are {}", .labels.first().map_or("", String::as_str), .labels.join(" and "))]
    Ambiguous {
        /// The metric.
        metric: String,
        /// The labels of each series, as the parameter takes them.
        labels: Vec<String>,
    },
    /// It is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// Something that is not there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Missing {
    what: String,
    known: Vec<String>,
}

impl Missing {
    /// Says what is not there, and what is.
    pub(super) fn new(what: &str, known: Vec<String>) -> Self {
        Self { what: what.to_owned(), known }
    }
}

/// More names than this do not help who misspelt one.
const NAMES_SHOWN: usize = 20;

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {}", self.what)?;
        match self.known.len() {
            0 => f.write_str("; there are none at all"),
            1..=NAMES_SHOWN => write!(f, "; the known ones are {}", self.known.join(", ")),
            count => write!(
                f,
                "; {} and {} more are known",
                self.known[..NAMES_SHOWN].join(", "),
                count - NAMES_SHOWN
            ),
        }
    }
}

/// Names of what.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields are names
pub enum Names {
    /// Nodes.
    Nodes,
    /// Containers of a node that belong to no pod.
    FreeContainers { node: String },
    /// Namespaces.
    Namespaces,
    /// Pods of a namespace.
    Pods { namespace: String },
    /// Containers of a pod.
    Containers { namespace: String, pod: String },
    /// Metrics of a thing.
    Metrics(Subject),
    /// Everything there is, as the ancestor named it.
    AllKeys,
}

/// A span of time, both ends included, in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first time.
    pub start_ms: i64,
    /// The last time.
    pub end_ms: i64,
}

impl Default for Range {
    fn default() -> Self {
        Self { start_ms: i64::MIN, end_ms: i64::MAX }
    }
}

/// One value of a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: i64,
    /// The value.
    pub value: Cell,
}

/// The values of one metric of one thing, oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// How to read the values.
    pub value_type: ValueType,
    /// The values.
    pub points: Vec<Point>,
}

impl ClusterModel {
    /// The names asked for, in order.
    ///
    /// # Errors
    /// When the thing that they belong to is not there.
    pub fn names(&self, names: &Names) -> Result<Vec<String>, QueryError> {
        match names {
            Names::Nodes => Ok(self.node_names().map(ToString::to_string).collect()),
            Names::Namespaces => Ok(self.namespaces()),
            Names::FreeContainers { node } => self.free_containers(node),
            Names::Pods { namespace } => self.pods_of(namespace),
            Names::Containers { namespace, pod } => self.containers(namespace, pod),
            Names::Metrics(subject) => self.metrics(subject),
            Names::AllKeys => Ok(self.all_keys()),
        }
    }

    fn namespaces(&self) -> Vec<String> {
        let summed = self.node_named("").map(|(_, node)| node.keys_in(Level::Namespace, ""));
        let summed = summed.into_iter().flatten().map(|key| key.name);
        let names = summed.chain(self.pods().namespaces()).filter(|name| !name.is_empty());
        sorted(names)
    }

    fn free_containers(&self, node: &str) -> Result<Vec<String>, QueryError> {
        let found = self.node_named(node).filter(|_| !node.is_empty());
        let (_, found) = found.ok_or_else(|| self.missing_node(node))?;
        Ok(sorted(found.keys_in(Level::SysContainer, "").map(|key| key.name)))
    }

    fn pods_of(&self, namespace: &str) -> Result<Vec<String>, QueryError> {
        if self.pods().has_namespace(namespace) {
            let levels = [Level::Pod, Level::PodContainer];
            let keys = self.nodes().flat_map(|(_, node)| {
                levels.into_iter().flat_map(|level| node.keys_in(level, namespace))
            });
            return Ok(sorted(keys.filter_map(|key| Some(key.pod()?.1))));
        }
        let subject = Subject::Namespace { namespace: namespace.to_owned() };
        if self.places(&subject).is_empty() {
            return Err(self.missing(&subject));
        }
        Ok(Vec::new())
    }

    fn containers(&self, namespace: &str, pod: &str) -> Result<Vec<String>, QueryError> {
        let rings: Vec<u32> = self.pods().rings(namespace, pod).collect();
        if rings.is_empty() {
            let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
            return Err(self.missing(&Subject::Pod { namespace, pod }));
        }
        let first = Key::new(Level::PodContainer, namespace, pod, "");
        let nodes = rings.into_iter().filter_map(|ring| self.node(ring));
        let keys = nodes.flat_map(|node| {
            let from = node.names.from(&node.ring, &first);
            from.take_while(|key| Key { name: "", ..*key } == first)
        });
        Ok(sorted(keys.map(|key| key.name)))
    }

    fn all_keys(&self) -> Vec<String> {
        let names =
            self.nodes().flat_map(|(_, node)| node.keys().map(|key| key.ancestral(&node.name)));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn metrics(&self, subject: &Subject) -> Result<Vec<String>, QueryError> {
        let places = self.places(subject);
        if places.is_empty() {
            return Err(self.missing(subject));
        }
        let mut names = BTreeSet::new();
        for slot in places.iter().filter_map(|place| self.slot(*place)) {
            let row = slot.row();
            for (index, field) in slot.layout.fields().iter().enumerate() {
                if !row.value(index).is_absent() {
                    names.insert(field.metric.name().to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The values of a metric of a thing within a span of time. `labels` choose among the series
    /// of a metric that has one a device or volume.
    ///
    /// # Errors
    /// When the thing or the metric is not there, or the labels leave several series.
    pub fn series(
        &self,
        subject: &Subject,
        metric: &str,
        labels: &[(String, String)],
        range: Range,
    ) -> Result<Series, QueryError> {
        let places = self.places(subject);
        if places.is_empty() {
            return Err(self.missing(subject));
        }
        let mut reader = SeriesReader::new(metric, labels, range);
        for place in &places {
            self.read_place(*place, &mut reader);
        }
        if reader.seen.len() > 1 {
            let labels = reader.seen.iter().map(label_text).collect();
            return Err(QueryError::Ambiguous { metric: metric.to_owned(), labels });
        }
        let Some(field) = reader.seen.pop() else {
            let known = self.metrics(subject)?;
            let what = format!("metric `{metric}` of {subject}");
            let what = labels
                .iter()
                .fold(what, |what, (name, value)| format!("{what}, labelled {name}:{value}"));
            return Err(Missing::new(&what, known).into());
        };
        // Of several places each gave its rows newest first.
        reader.points.sort_by_key(|point| point.time_ms);
        reader.points.dedup_by_key(|point| point.time_ms);
        Ok(Series { value_type: field.metric.value_type(), points: reader.points })
    }

    fn read_place(&self, place: Place, reader: &mut SeriesReader<'_>) {
        let Some(node) = self.node(place.ring) else { return };
        // Of the layouts only the one at hand is looked into, and only when it changes.
        let mut layout: *const Layout = std::ptr::null();
        let mut chosen = None;
        node.ring.history(place.slot, |row| {
            if !std::ptr::eq(layout, &raw const *row.layout) {
                layout = &raw const *row.layout;
                chosen = reader.choose(&row.layout);
            }
            let Some(field) = chosen else { return };
            reader.point(row.time_ms, row.value(field));
        });
    }

    fn missing(&self, subject: &Subject) -> QueryError {
        let what = subject.to_string();
        match subject {
            Subject::Cluster => Missing::new("sum of the cluster yet", self.all_keys()).into(),
            Subject::Namespace { .. } => Missing::new(&what, self.namespaces()).into(),
            Subject::Node { node } => self.missing_node(node),
            Subject::FreeContainer { node, .. } => match self.free_containers(node) {
                Ok(known) => Missing::new(&what, known).into(),
                Err(error) => error,
            },
            Subject::Pod { namespace, pod }
                if self.pods().rings(namespace, pod).next().is_some() =>
            {
                let known = self.containers(namespace, pod).unwrap_or_default();
                Missing::new(&format!("sum of {what}, only of its containers"), known).into()
            }
            Subject::Pod { namespace, .. } => match self.pods_of(namespace) {
                Ok(known) => Missing::new(&what, known).into(),
                Err(error) => error,
            },
            Subject::Container { namespace, pod, .. } => match self.containers(namespace, pod) {
                Ok(known) => Missing::new(&what, known).into(),
                Err(error) => error,
            },
        }
    }

    fn missing_node(&self, node: &str) -> QueryError {
        let known = self.node_names().map(ToString::to_string).collect();
        Missing::new(&format!("node `{node}`"), known).into()
    }
}

/// The different names, in order.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().map(ToOwned::to_owned).collect()
}

/// Collects the points of the one field that is asked for.
struct SeriesReader<'a> {
    metric: &'a str,
    labels: &'a [(String, String)],
    range: Range,
    /// The different fields that fit.
    seen: Vec<Field>,
    points: Vec<Point>,
}

impl<'a> SeriesReader<'a> {
    fn new(metric: &'a str, labels: &'a [(String, String)], range: Range) -> Self {
        Self { metric, labels, range, seen: Vec::new(), points: Vec::new() }
    }

    /// Index of the first field that fits; all that fit are noted.
    fn choose(&mut self, layout: &Layout) -> Option<usize> {
        let mut chosen = None;
        for (index, field) in layout.fields().iter().enumerate() {
            if field.metric.name() != self.metric || !self.fits(field) {
                continue;
            }
            chosen = chosen.or(Some(index));
            if !self.seen.contains(field) {
                self.seen.push(field.clone());
            }
        }
        chosen
    }

    fn fits(&self, field: &Field) -> bool {
        self.labels.iter().all(|(name, value)| {
            let labels = field.labels.as_ref();
            labels.and_then(|labels| labels.get(name)) == Some(value.as_str())
        })
    }

    fn point(&mut self, time_ms: i64, value: Cell) {
        if !value.is_absent() && (self.range.start_ms..=self.range.end_ms).contains(&time_ms) {
            self.points.push(Point { time_ms, value });
        }
    }
}

/// The labels of a field as the parameter `labels` takes them.
fn label_text(field: &Field) -> String {
    field.labels.as_ref().map_or_else(|| "(none)".into(), |labels| labels.joined(","))
}
