//! `metric-export-schema`: the metrics and labels that there can be.

use actix_web::HttpResponse;
use heapster_shared::{
    schema::{FieldLabels, MetricDef, table},
    tag,
};
use serde::Serialize;
use utoipa::ToSchema;

/// The metrics and labels of the export.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaAnswer {
    /// Every metric.
    pub metrics: Vec<MetricDescription>,
    /// Labels of everything.
    pub common_labels: Vec<LabelDescription>,
    /// Labels of pods and what is in them.
    pub pod_labels: Vec<LabelDescription>,
}

/// A metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricDescription {
    /// Name.
    pub name: &'static str,
    /// What it says.
    pub description: &'static str,
    /// Labels that tell its values apart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelDescription>,
    /// `cumulative` or `gauge`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: heapster_shared::schema::Kind,
    /// `int64` or `double`.
    #[schema(value_type = String)]
    pub value_type: heapster_shared::schema::ValueType,
    /// Unit; none for counts.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub units: &'static str,
}

/// A label.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LabelDescription {
    /// Name.
    pub key: &'static str,
    /// What it says.
    pub description: &'static str,
}

const COMMON_LABELS: &[(&str, &str)] = &[
    (tag::TYPE, "What is measured: node, pod, pod_container or sys_container"),
    (tag::NODENAME, "Name of the node"),
    (tag::HOSTNAME, "Host name of the node"),
    (tag::HOST_ID, "Identity of the machine under the node"),
    (tag::CONTAINER_NAME, "Name of the container; `machine` for a node and `/pod` for a pod"),
    (tag::CONTAINER_BASE_IMAGE, "Image that the container runs"),
];

const POD_LABELS: &[(&str, &str)] = &[
    (tag::POD_NAME, "Name of the pod"),
    (tag::POD_ID, "Uid of the pod"),
    (tag::NAMESPACE_NAME, "Namespace of the pod"),
    (tag::NAMESPACE_ID, "Uid of the pod's namespace"),
    (tag::LABELS, "The cluster manager's labels, as key:value joined by commas"),
    (tag::OWNER_KIND, "Kind of what the pod belongs to, such as Deployment"),
    (tag::OWNER_NAME, "Name of what the pod belongs to"),
];

const FIELD_LABELS: &[(&str, &str)] = &[
    (tag::RESOURCE_ID, "A device, or a volume as Volume:NAME"),
    ("make", "Make of the accelerator"),
    ("model", "Model of the accelerator"),
    ("accelerator_id", "Identity of the accelerator"),
];

fn describe(labels: &[(&'static str, &'static str)]) -> Vec<LabelDescription> {
    labels.iter().map(|(key, description)| LabelDescription { key, description }).collect()
}

fn field_labels(labels: FieldLabels) -> Vec<LabelDescription> {
    let of_metric = |(key, _): &&(&str, &str)| labels.names().contains(key);
    let chosen: Vec<_> = FIELD_LABELS.iter().filter(of_metric).copied().collect();
    describe(&chosen)
}

fn metric(def: &'static MetricDef) -> MetricDescription {
    MetricDescription {
        name: def.name,
        description: def.description,
        labels: field_labels(def.labels),
        kind: def.kind,
        value_type: def.value_type,
        units: def.unit.name(),
    }
}

/// The schema.
pub(super) async fn answer() -> HttpResponse {
    HttpResponse::Ok().json(SchemaAnswer {
        metrics: table::METRICS.iter().map(metric).collect(),
        common_labels: describe(COMMON_LABELS),
        pod_labels: describe(POD_LABELS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A metric whose labels have no description would be listed without them.
    #[test]
    fn every_label_is_described() {
        for def in table::METRICS {
            assert_eq!(metric(def).labels.len(), def.labels.names().len(), "{}", def.name);
        }
    }
}
