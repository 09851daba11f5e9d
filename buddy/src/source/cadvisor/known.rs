//! What follows from the spec of a container, worked out once and kept as long as the spec says the
//! same.

use std::sync::Arc;

use compact_str::CompactString;
use heapster_shared::{
    entity::Level,
    row::Cell,
    schema::{CustomMetric, Kind, ValueType},
};

use super::answer::{CustomSpec, Spec};
use crate::source::json::Timestamp;

/// "No limit" is this or more: the greatest number of whole pages, or of all.
const NO_LIMIT: u64 = 1 << 62;

/// What follows from the spec of a container.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The level of its rows.
    pub(super) level: Level,
    /// When it was made, or 0.
    pub(super) start_time_ms: i64,
    /// Bytes of the spec that the fingerprint is of; 0 where it is of what was decoded.
    pub(super) spec_bytes: u32,
    /// Where its name comes from.
    pub(super) name: NameFrom,
    /// What it does not say that it lacks.
    pub(super) has: Has,
    /// Of a container of a pod: what it asked for, and may use.
    pub(super) limits: Limits,
    /// The metrics that it exposes itself.
    pub(super) custom: Option<Arc<[Custom]>>,
}

/// Where the name of a container comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NameFrom {
    /// Its labels or its path: whatever the others are called.
    Itself,
    /// An alias, which no container in front of it had.
    Alias,
    /// Its path, because a container in front of it had the alias.
    PathForAlias,
}

/// What a container does not say that it lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // each is what it is called
pub(super) struct Has {
    pub(super) cpu: bool,
    pub(super) memory: bool,
    pub(super) network: bool,
    pub(super) filesystem: bool,
    pub(super) disk_io: bool,
}

/// Limits; 0 for none, absent where it is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// In millicores.
    pub(super) cpu_request: Cell,
    /// In millicores.
    pub(super) cpu: Cell,
    /// In bytes.
    pub(super) memory: Cell,
}

/// A metric that a container exposes itself.
#[derive(Debug)]
pub(super) struct Custom {
    /// What the container calls it.
    pub(super) name: CompactString,
    /// What Heapster calls it.
    pub(super) metric: Arc<CustomMetric>,
}

impl Known {
    /// What follows from the spec, for a container of this level.
    pub(super) fn new(spec: &Spec<'_>, level: Level, name: NameFrom) -> Self {
        let in_pod = level == Level::PodContainer;
        let custom = spec.custom_metrics.iter().flatten();
        let custom = custom.filter(|described| in_pod && !described.name.is_empty());
        let custom: Vec<Custom> = custom.map(Custom::new).collect();
        Self {
            level,
            start_time_ms: spec.creation_time.and_then(Timestamp::known).unwrap_or(0),
            spec_bytes: 0,
            name,
            has: Has::new(spec),
            limits: if in_pod { Limits::new(spec) } else { Limits::UNKNOWN },
            custom: (!custom.is_empty()).then(|| custom.into()),
        }
    }
}

impl Has {
    fn new(spec: &Spec<'_>) -> Self {
        Self {
            cpu: spec.has_cpu != Some(false),
            memory: spec.has_memory != Some(false),
            network: spec.has_network != Some(false),
            filesystem: spec.has_filesystem != Some(false),
            disk_io: spec.has_diskio != Some(false),
        }
    }
}

impl Limits {
    const UNKNOWN: Self =
        Self { cpu_request: Cell::ABSENT, cpu: Cell::ABSENT, memory: Cell::ABSENT };

    /// v2 does not tell the CPU quota, so there it is not known; the weight is what Kubernetes made
    /// of the request, 1024 a core and 2 for none.
    fn new(spec: &Spec<'_>) -> Self {
        let mut limits = Self::UNKNOWN;
        if let Some(cpu) = spec.cpu.as_ref().filter(|_| spec.has_cpu != Some(false)) {
            let request = cpu.limit.filter(|weight| *weight > 0);
            limits.cpu_request = cell(request.map(|weight| weight.saturating_mul(1000) / 1024));
            limits.cpu = cell(match (cpu.quota, cpu.period) {
                (Some(quota), Some(period)) if period > 0 && quota < NO_LIMIT => {
                    Some(quota.saturating_mul(1000) / period)
                }
                (_, Some(_)) => Some(0),
                (_, None) => None,
            });
        }
        if let Some(memory) = spec.memory.as_ref().filter(|_| spec.has_memory != Some(false)) {
            let limit = memory.limit.map(|limit| if limit >= NO_LIMIT { 0 } else { limit });
            limits.memory = cell(limit);
        }
        limits
    }
}

impl Custom {
    fn new(described: &CustomSpec<'_>) -> Self {
        let cumulative = *described.kind == *"cumulative";
        let float = *described.format == *"float";
        // Whoever owns the container chose it, in whatever letters.
        let legal = |c: char| if CustomMetric::is_legal_in_names(c) { c } else { '_' };
        let name: String = described.name.chars().map(legal).collect();
        let metric = CustomMetric {
            name: format!("custom/{name}").into(),
            kind: if cumulative { Kind::Cumulative } else { Kind::Gauge },
            value_type: if float { ValueType::Double } else { ValueType::Int64 },
            unit: (&*described.units).into(),
        };
        Self { name: (&*described.name).into(), metric: Arc::new(metric) }
    }
}

/// A number as a cell; absent where there is none, or none that a cell can hold.
pub(super) fn cell(value: Option<u64>) -> Cell {
    value.and_then(|value| i64::try_from(value).ok()).map_or(Cell::ABSENT, Cell::int)
}
