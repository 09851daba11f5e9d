//! The options that say what a sink is to be given.

use heapster_shared::{entity::Entity, schema::Field, tag};
use serde::Deserialize;

use super::patterns::{Globs, LabelGlobs, Levels};
use crate::sinks::labels::CLUSTER_NAME;

/// What a sink is to be given. Where several say something all of them have to agree, and what is
/// excluded by any is not written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterOptions {
    /// Only metrics of these names, with `*` for any part, separated by commas: `cpu/*,memory/*`.
    /// Default all.
    pub include_metrics: Globs,
    /// No metrics of these names. Default none.
    pub exclude_metrics: Globs,
    /// Only rows of these levels, as in the label `type`: `cluster`, `ns`, `node`, `pod`,
    /// `pod_container`, `sys_container`. Default all.
    pub include_levels: Levels,
    /// No rows of these levels. Default none.
    pub exclude_levels: Levels,
    /// Only clusters of these names; also of events. Default all.
    pub include_clusters: Globs,
    /// No clusters of these names; also of events. Default none.
    pub exclude_clusters: Globs,
    /// Only what belongs to namespaces of these names, so that nothing of nodes or the cluster is
    /// written; also of events. Default all.
    pub include_namespaces: Globs,
    /// Nothing that belongs to namespaces of these names; also of events. Default none.
    pub exclude_namespaces: Globs,
    /// Only rows with these labels, as `app:web*,tier:a`: names as in `labels` or of the labels that
    /// every row has. Of several values of one name any will do; each name has to be met. Default all.
    pub include_labels: LabelGlobs,
    /// No rows with any of these labels. Default none.
    pub exclude_labels: LabelGlobs,
}

/// Names of the fields above.
pub(in crate::sinks) const NAMES: [&str; 10] = [
    "include_metrics",
    "exclude_metrics",
    "include_levels",
    "exclude_levels",
    "include_clusters",
    "exclude_clusters",
    "include_namespaces",
    "exclude_namespaces",
    "include_labels",
    "exclude_labels",
];

/// Whether a name, or none, is wanted by what is included and excluded.
fn wants(included: &Globs, excluded: &Globs, name: Option<&str>) -> bool {
    match name {
        Some(name) => (included.is_empty() || included.mean(name)) && !excluded.mean(name),
        None => included.is_empty(),
    }
}

impl FilterOptions {
    /// Whether anything of a cluster is wanted.
    pub(super) fn wants_cluster(&self, cluster: &str) -> bool {
        wants(&self.include_clusters, &self.exclude_clusters, Some(cluster))
            && self.label_is_wanted(|name| name == CLUSTER_NAME, |_| Some(cluster))
    }

    /// Whether what belongs to this namespace, or to none, is wanted.
    pub(super) fn wants_namespace(&self, namespace: Option<&str>) -> bool {
        wants(&self.include_namespaces, &self.exclude_namespaces, namespace)
    }

    /// Whether rows of an entity are wanted.
    pub(super) fn wants_entity(&self, entity: &Entity) -> bool {
        let (included, excluded) = (&self.include_levels, &self.exclude_levels);
        (included.is_empty() || included.has(entity.level))
            && !excluded.has(entity.level)
            && self.wants_namespace(entity.namespace())
            && self.label_is_wanted(
                |name| name != CLUSTER_NAME && !is_of_fields(name),
                |name| label(entity, name),
            )
    }

    /// Whether there is anything to ask of entities.
    pub(super) fn asks_of_entities(&self) -> bool {
        let labels = || self.include_labels.iter().chain(self.exclude_labels.iter());
        !self.include_levels.is_empty()
            || !self.exclude_levels.is_empty()
            || !self.include_namespaces.is_empty()
            || !self.exclude_namespaces.is_empty()
            || labels().any(|label| label.name != CLUSTER_NAME && !is_of_fields(&label.name))
    }

    /// Whether a field is wanted. A label that tells fields of a metric apart is asked for where a
    /// field has it, and says nothing of other fields.
    pub(super) fn wants_field(&self, field: &Field) -> bool {
        let labels = field.labels.as_deref();
        let value = |name: &str| labels.and_then(|labels| labels.get(name));
        wants(&self.include_metrics, &self.exclude_metrics, Some(field.metric.name()))
            && self.label_is_wanted(|name| is_of_fields(name) && value(name).is_some(), value)
    }

    fn label_is_wanted<'a>(
        &self,
        concerns: impl Fn(&str) -> bool,
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> bool {
        let mut included = self.include_labels.iter().filter(|label| concerns(&label.name));
        let mut excluded = self.exclude_labels.iter().filter(|label| concerns(&label.name));
        included.all(|label| value(&label.name).is_some_and(|value| label.values.mean(value)))
            && !excluded
                .any(|label| value(&label.name).is_some_and(|value| label.values.mean(value)))
    }
}

/// Whether a label tells fields of one metric apart.
fn is_of_fields(name: &str) -> bool {
    use heapster_shared::schema::FieldLabels::{Accelerator, Resource};
    [Resource, Accelerator].iter().any(|labels| labels.names().contains(&name))
}

/// The value of a label: one that every row has, or one of those of the cluster manager, which come
/// as `key:value` joined by `,`.
fn label<'a>(entity: &'a Entity, name: &str) -> Option<&'a str> {
    let (mut own, mut foreign) = (None, None);
    tag::visit(entity, |tag, value| {
        // A name that comes twice means its first value, as everywhere.
        if tag == name {
            own.get_or_insert(value);
        } else if tag == tag::LABELS {
            foreign.get_or_insert(value);
        }
    });
    let of_manager = || {
        let mut pairs = foreign?.split(',').filter_map(|pair| pair.split_once(':'));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    own.or_else(of_manager)
}
