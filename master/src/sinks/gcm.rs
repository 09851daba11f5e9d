//! `gcm[:]?OPTIONS`: Google Cloud Monitoring under our own names, as custom metrics.

use super::{Kind, google};

pub(super) const KIND: Kind = Kind {
    name: "gcm",
    summary: "Google Cloud Monitoring, as custom metrics; events to Cloud Logging",
    delivery: google::DELIVERY,
    mapping: "A metric is `custom.googleapis.com/kubernetes.io/` and its name, of the resource `k8s_container`, `k8s_pod`, `k8s_node` (system containers too) or `k8s_cluster` (namespaces too) with `cluster_name` and `location`. Labels of the metric are those of `metric_labels`, `resource_id` and those of accelerators; system containers have `container_name`, namespaces `namespace_name`. Counters are cumulative since their entity's start, everything else is a gauge; times are those of the samples, one row of an entity in 10 seconds at most. See [gcm.md](gcm.md).",
    tested: google::TESTED,
    samples: &[
        "gcm",
        "gcm:?project=my-project&cluster_name=prod&cluster_location=europe-west1",
        "gcm:?credentials=/etc/heapster/key.json&events=true",
        "gcm:?metrics=autoscaling&min_interval_sec=60",
    ],
    build: |spec, labels| google::build(spec, labels, false),
};
