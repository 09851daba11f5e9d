//! Under which names samples are written: our own, as custom metrics, or those that Google has for
//! containers, today's and those of before.

use heapster_shared::{
    entity::Level::{self, Node, Pod, PodContainer, SysContainer},
    schema::{Kind, MetricDef, MetricId, table as metric},
};

/// A set of names, and the resources that go with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Model {
    /// `custom.googleapis.com/kubernetes.io/<metric>` of `k8s_container` and its like.
    Custom,
    /// `kubernetes.io/{container,pod,node,node_daemon}/*` of the same.
    Google,
    /// `container.googleapis.com/container/*` of `gke_container`.
    Legacy,
    /// The custom metrics that groups of machines are scaled by, of `gce_instance`.
    Machine,
}

impl Model {
    /// How many there are.
    pub(super) const COUNT: usize = 4;
}

/// The metrics that [`Model::Machine`] has.
pub(super) const AUTOSCALING: [MetricId; 4] = [
    metric::CPU_NODE_UTILIZATION,
    metric::CPU_NODE_RESERVATION,
    metric::MEMORY_NODE_UTILIZATION,
    metric::MEMORY_NODE_RESERVATION,
];

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Form {
    /// An integer.
    Int,
    /// A double, of an integer or double over this.
    Over(f64),
    /// An integer, of a double.
    Whole,
    /// An integer, less that of the same row's other metric.
    Less(MetricId),
}

/// Since when a total counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Since {
    /// It is no total.
    Gauge,
    /// The entity's start.
    Start,
    /// The start of the entity's pod.
    PodStart,
}

impl Since {
    pub(super) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Cumulative => Self::Start,
            Kind::Gauge => Self::Gauge,
        }
    }
}

/// What Google calls a metric of ours.
#[derive(Debug)]
pub(super) struct Name {
    levels: &'static [Level],
    metric: MetricId,
    /// Metric type.
    pub(super) name: &'static str,
    pub(super) since: Since,
    pub(super) form: Form,
    /// A label with a value that is always the same.
    pub(super) label: Option<(&'static str, &'static str)>,
    /// What `resource_id` is called.
    pub(super) resource: &'static str,
}

/// Google's names for a metric at a level.
pub(super) fn names(
    model: Model,
    level: Level,
    def: &MetricDef,
) -> impl Iterator<Item = &'static Name> {
    let table = match model {
        Model::Google => GOOGLE,
        Model::Legacy => LEGACY,
        Model::Custom | Model::Machine => &[],
    };
    let id = def.id;
    table.iter().filter(move |name| name.metric == id && name.levels.contains(&level))
}

const fn gauge(levels: &'static [Level], metric: MetricId, name: &'static str, form: Form) -> Name {
    Name { levels, metric, name, since: Since::Gauge, form, label: None, resource: "" }
}

const fn total(levels: &'static [Level], metric: MetricId, name: &'static str, form: Form) -> Name {
    Name { levels, metric, name, since: Since::Start, form, label: None, resource: "" }
}

impl Name {
    const fn with(mut self, label: &'static str, value: &'static str) -> Self {
        self.label = Some((label, value));
        self
    }

    const fn of_resource(mut self, label: &'static str) -> Self {
        self.resource = label;
        self
    }

    const fn since_pod(mut self) -> Self {
        self.since = Since::PodStart;
        self
    }
}

const CORES: Form = Form::Over(1e3);
const SECONDS: Form = Form::Over(1e9);
const MS: Form = Form::Over(1e3);
const EVICTABLE: Form = Form::Less(metric::MEMORY_WORKING_SET);
const MINOR: Form = Form::Less(metric::MEMORY_MAJOR_PAGE_FAULTS);

const GOOGLE: &[Name] = &[
    gauge(&[PodContainer], metric::UPTIME, "kubernetes.io/container/uptime", MS),
    total(
        &[PodContainer],
        metric::CPU_USAGE,
        "kubernetes.io/container/cpu/core_usage_time",
        SECONDS,
    ),
    gauge(&[PodContainer], metric::CPU_REQUEST, "kubernetes.io/container/cpu/request_cores", CORES),
    gauge(&[PodContainer], metric::CPU_LIMIT, "kubernetes.io/container/cpu/limit_cores", CORES),
    gauge(
        &[PodContainer],
        metric::MEMORY_USAGE,
        "kubernetes.io/container/memory/used_bytes",
        EVICTABLE,
    )
    .with("memory_type", "evictable"),
    gauge(
        &[PodContainer],
        metric::MEMORY_WORKING_SET,
        "kubernetes.io/container/memory/used_bytes",
        Form::Int,
    )
    .with("memory_type", "non-evictable"),
    gauge(
        &[PodContainer],
        metric::MEMORY_REQUEST,
        "kubernetes.io/container/memory/request_bytes",
        Form::Int,
    ),
    gauge(
        &[PodContainer],
        metric::MEMORY_LIMIT,
        "kubernetes.io/container/memory/limit_bytes",
        Form::Int,
    ),
    total(
        &[PodContainer],
        metric::RESTART_COUNT,
        "kubernetes.io/container/restart_count",
        Form::Int,
    )
    .since_pod(),
    total(&[Pod], metric::NETWORK_RX, "kubernetes.io/pod/network/received_bytes_count", Form::Int),
    total(&[Pod], metric::NETWORK_TX, "kubernetes.io/pod/network/sent_bytes_count", Form::Int),
    gauge(&[Pod], metric::FILESYSTEM_USAGE, "kubernetes.io/pod/volume/used_bytes", Form::Int)
        .of_resource("volume_name"),
    gauge(&[Pod], metric::FILESYSTEM_LIMIT, "kubernetes.io/pod/volume/total_bytes", Form::Int)
        .of_resource("volume_name"),
    gauge(&[Pod], metric::FILESYSTEM_INODES, "kubernetes.io/pod/volume/total_inodes", Form::Int)
        .of_resource("volume_name"),
    gauge(
        &[Pod],
        metric::FILESYSTEM_INODES_FREE,
        "kubernetes.io/pod/volume/free_inodes",
        Form::Int,
    )
    .of_resource("volume_name"),
    total(&[Node], metric::CPU_USAGE, "kubernetes.io/node/cpu/core_usage_time", SECONDS),
    gauge(&[Node], metric::CPU_NODE_CAPACITY, "kubernetes.io/node/cpu/total_cores", CORES),
    gauge(&[Node], metric::CPU_NODE_ALLOCATABLE, "kubernetes.io/node/cpu/allocatable_cores", CORES),
    gauge(&[Node], metric::MEMORY_USAGE, "kubernetes.io/node/memory/used_bytes", EVICTABLE)
        .with("memory_type", "evictable"),
    gauge(&[Node], metric::MEMORY_WORKING_SET, "kubernetes.io/node/memory/used_bytes", Form::Int)
        .with("memory_type", "non-evictable"),
    gauge(
        &[Node],
        metric::MEMORY_NODE_CAPACITY,
        "kubernetes.io/node/memory/total_bytes",
        Form::Whole,
    ),
    gauge(
        &[Node],
        metric::MEMORY_NODE_ALLOCATABLE,
        "kubernetes.io/node/memory/allocatable_bytes",
        Form::Whole,
    ),
    total(
        &[Node],
        metric::NETWORK_RX,
        "kubernetes.io/node/network/received_bytes_count",
        Form::Int,
    ),
    total(&[Node], metric::NETWORK_TX, "kubernetes.io/node/network/sent_bytes_count", Form::Int),
    gauge(&[Node], metric::FILESYSTEM_INODES, "kubernetes.io/node/volume/total_inodes", Form::Int)
        .of_resource("volume_name"),
    gauge(
        &[Node],
        metric::FILESYSTEM_INODES_FREE,
        "kubernetes.io/node/volume/free_inodes",
        Form::Int,
    )
    .of_resource("volume_name"),
    total(
        &[SysContainer],
        metric::CPU_USAGE,
        "kubernetes.io/node_daemon/cpu/core_usage_time",
        SECONDS,
    ),
    gauge(
        &[SysContainer],
        metric::MEMORY_USAGE,
        "kubernetes.io/node_daemon/memory/used_bytes",
        EVICTABLE,
    )
    .with("memory_type", "evictable"),
    gauge(
        &[SysContainer],
        metric::MEMORY_WORKING_SET,
        "kubernetes.io/node_daemon/memory/used_bytes",
        Form::Int,
    )
    .with("memory_type", "non-evictable"),
];

const ALL: &[Level] = &[Node, Pod, PodContainer, SysContainer];
const BELOW_NODES: &[Level] = &[Pod, PodContainer, SysContainer];

const LEGACY: &[Name] = &[
    total(ALL, metric::UPTIME, "container.googleapis.com/container/uptime", MS),
    total(ALL, metric::CPU_USAGE, "container.googleapis.com/container/cpu/usage_time", SECONDS),
    gauge(ALL, metric::CPU_LIMIT, "container.googleapis.com/container/cpu/reserved_cores", CORES),
    gauge(
        BELOW_NODES,
        metric::MEMORY_LIMIT,
        "container.googleapis.com/container/memory/bytes_total",
        Form::Int,
    ),
    gauge(
        &[Node],
        metric::MEMORY_NODE_ALLOCATABLE,
        "container.googleapis.com/container/memory/bytes_total",
        Form::Whole,
    ),
    gauge(
        ALL,
        metric::MEMORY_USAGE,
        "container.googleapis.com/container/memory/bytes_used",
        EVICTABLE,
    )
    .with("memory_type", "evictable"),
    gauge(
        ALL,
        metric::MEMORY_WORKING_SET,
        "container.googleapis.com/container/memory/bytes_used",
        Form::Int,
    )
    .with("memory_type", "non-evictable"),
    total(
        ALL,
        metric::MEMORY_PAGE_FAULTS,
        "container.googleapis.com/container/memory/page_fault_count",
        MINOR,
    )
    .with("fault_type", "minor"),
    total(
        ALL,
        metric::MEMORY_MAJOR_PAGE_FAULTS,
        "container.googleapis.com/container/memory/page_fault_count",
        Form::Int,
    )
    .with("fault_type", "major"),
    total(
        ALL,
        metric::NETWORK_RX,
        "container.googleapis.com/container/network/received_bytes_count",
        Form::Int,
    ),
    total(
        ALL,
        metric::NETWORK_TX,
        "container.googleapis.com/container/network/sent_bytes_count",
        Form::Int,
    ),
    gauge(
        ALL,
        metric::FILESYSTEM_USAGE,
        "container.googleapis.com/container/disk/bytes_used",
        Form::Int,
    )
    .of_resource("device_name"),
    gauge(
        ALL,
        metric::FILESYSTEM_LIMIT,
        "container.googleapis.com/container/disk/bytes_total",
        Form::Int,
    )
    .of_resource("device_name"),
    gauge(
        ALL,
        metric::FILESYSTEM_INODES,
        "container.googleapis.com/container/disk/inodes_total",
        Form::Int,
    )
    .of_resource("device_name"),
    gauge(
        ALL,
        metric::FILESYSTEM_INODES_FREE,
        "container.googleapis.com/container/disk/inodes_free",
        Form::Int,
    )
    .of_resource("device_name"),
    gauge(
        ALL,
        metric::ACCELERATOR_MEMORY_TOTAL,
        "container.googleapis.com/container/accelerator/memory_total",
        Form::Int,
    ),
    gauge(
        ALL,
        metric::ACCELERATOR_MEMORY_USED,
        "container.googleapis.com/container/accelerator/memory_used",
        Form::Int,
    ),
    gauge(
        ALL,
        metric::ACCELERATOR_DUTY_CYCLE,
        "container.googleapis.com/container/accelerator/duty_cycle",
        Form::Int,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use heapster_shared::schema::ValueType;

    use super::*;

    /// A type that were a total here and a state there would be refused.
    #[test]
    fn a_name_means_the_same_wherever_it_stands() {
        let mut seen = BTreeMap::new();
        for name in GOOGLE.iter().chain(LEGACY) {
            let real = matches!(name.form, Form::Over(_));
            let meaning = (name.since == Since::Gauge, real);
            assert_eq!(*seen.entry(name.name).or_insert(meaning), meaning, "{}", name.name);
        }
        assert_eq!(seen.len(), 26 + 15);
    }

    /// The form of a value follows from its type, which the compiler cannot see.
    #[test]
    fn forms_fit_the_types_of_values() {
        for name in GOOGLE.iter().chain(LEGACY) {
            let is_int = name.metric.def().value_type == ValueType::Int64;
            let fits = match name.form {
                Form::Int | Form::Less(_) => is_int,
                Form::Whole => !is_int,
                Form::Over(_) => true,
            };
            assert!(fits, "{}", name.name);
        }
    }
}
