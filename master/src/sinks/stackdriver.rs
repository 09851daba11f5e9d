//! `stackdriver[:]?OPTIONS`: Google Cloud Monitoring under Google's own names, as the ancestor's sink of
//! this name wrote.

use super::{Kind, google};

pub(super) const KIND: Kind = Kind {
    name: "stackdriver",
    summary: "Google Cloud Monitoring, under Google's own names for containers, pods and nodes",
    delivery: google::DELIVERY,
    mapping: "`kubernetes.io/container/*` of `k8s_container`, `kubernetes.io/pod/*` of `k8s_pod`, `kubernetes.io/node/*` and `kubernetes.io/node_daemon/*` of `k8s_node`, in cores, seconds and bytes; with `use_old_resources=true` `container.googleapis.com/container/*` of `gke_container`. What has no such name is left out, or with `custom=true` a custom metric as of [`gcm`](#gcm). [gcm.md](gcm.md#the-names-that-google-has) has the names.",
    tested: google::TESTED,
    samples: &[
        "stackdriver:?cluster_name=prod&cluster_location=europe-west1&min_interval_sec=60",
        "stackdriver:?project=my-project&use_new_resources=true&custom=true",
    ],
    build: |spec, labels| google::build(spec, labels, true),
};
