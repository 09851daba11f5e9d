//! The table of metrics. Add a metric at its end with the next number; numbers are part of the
//! protocol and never change.

use super::{FieldLabels, Kind, MetricDef, MetricId, Unit, ValueType};
use crate::entity::Level::{self, Cluster, Namespace, Node, Pod, PodContainer, SysContainer};

const ALL: &[Level] = &[Cluster, Namespace, Node, Pod, PodContainer, SysContainer];

/// Every metric of the schema, by number from 1.
pub static METRICS: &[MetricDef] = &[
    MetricDef {
        id: UPTIME,
        name: "uptime",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Milliseconds,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Time since the entity started.",
    },
    MetricDef {
        id: CPU_USAGE,
        name: "cpu/usage",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Nanoseconds,
        levels: &[Node, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "CPU time used on all cores.",
    },
    MetricDef {
        id: CPU_USAGE_RATE,
        name: "cpu/usage_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Millicores,
        levels: ALL,
        labels: FieldLabels::None,
        rate_of: Some(CPU_USAGE),
        description: "CPU in use on all cores: the increase of cpu/usage over the sample's own interval.",
    },
    MetricDef {
        id: CPU_REQUEST,
        name: "cpu/request",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Millicores,
        levels: &[Node, Pod, PodContainer, Namespace, Cluster],
        labels: FieldLabels::None,
        rate_of: None,
        description: "CPU that was asked for.",
    },
    MetricDef {
        id: CPU_LIMIT,
        name: "cpu/limit",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Millicores,
        levels: &[Node, Pod, PodContainer, Namespace, Cluster],
        labels: FieldLabels::None,
        rate_of: None,
        description: "CPU that may be used at most; 0 without a limit.",
    },
    MetricDef {
        id: MEMORY_REQUEST,
        name: "memory/request",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, Namespace, Cluster],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory that was asked for.",
    },
    MetricDef {
        id: MEMORY_LIMIT,
        name: "memory/limit",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, Namespace, Cluster],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory that may be used at most; 0 without a limit.",
    },
    MetricDef {
        id: CPU_NODE_CAPACITY,
        name: "cpu/node_capacity",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Millicores,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "CPU that the node has.",
    },
    MetricDef {
        id: CPU_NODE_ALLOCATABLE,
        name: "cpu/node_allocatable",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Millicores,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "CPU of the node that workloads may have.",
    },
    MetricDef {
        id: MEMORY_NODE_CAPACITY,
        name: "memory/node_capacity",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Bytes,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory that the node has.",
    },
    MetricDef {
        id: MEMORY_NODE_ALLOCATABLE,
        name: "memory/node_allocatable",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Bytes,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory of the node that workloads may have.",
    },
    MetricDef {
        id: CPU_NODE_UTILIZATION,
        name: "cpu/node_utilization",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Ratio,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "cpu/usage_rate as a part of cpu/node_allocatable.",
    },
    MetricDef {
        id: CPU_NODE_RESERVATION,
        name: "cpu/node_reservation",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Ratio,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "cpu/request as a part of cpu/node_allocatable.",
    },
    MetricDef {
        id: MEMORY_NODE_UTILIZATION,
        name: "memory/node_utilization",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Ratio,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "memory/usage as a part of memory/node_allocatable.",
    },
    MetricDef {
        id: MEMORY_NODE_RESERVATION,
        name: "memory/node_reservation",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::Ratio,
        levels: &[Node],
        labels: FieldLabels::None,
        rate_of: None,
        description: "memory/request as a part of memory/node_allocatable.",
    },
    MetricDef {
        id: MEMORY_USAGE,
        name: "memory/usage",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: ALL,
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory in use, caches included.",
    },
    MetricDef {
        id: MEMORY_WORKING_SET,
        name: "memory/working_set",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory in use that the kernel could not drop at once: usage less inactive file pages.",
    },
    MetricDef {
        id: MEMORY_RSS,
        name: "memory/rss",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Anonymous memory in use, swap cache included.",
    },
    MetricDef {
        id: MEMORY_CACHE,
        name: "memory/cache",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Memory in use by the page cache.",
    },
    MetricDef {
        id: MEMORY_PAGE_FAULTS,
        name: "memory/page_faults",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Node, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Page faults, minor and major.",
    },
    MetricDef {
        id: MEMORY_MAJOR_PAGE_FAULTS,
        name: "memory/major_page_faults",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Node, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Page faults that had to read from a disk.",
    },
    MetricDef {
        id: MEMORY_PAGE_FAULTS_RATE,
        name: "memory/page_faults_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: Some(MEMORY_PAGE_FAULTS),
        description: "Page faults a second.",
    },
    MetricDef {
        id: MEMORY_MAJOR_PAGE_FAULTS_RATE,
        name: "memory/major_page_faults_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: Some(MEMORY_MAJOR_PAGE_FAULTS),
        description: "Major page faults a second.",
    },
    MetricDef {
        id: NETWORK_RX,
        name: "network/rx",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Bytes received over the network.",
    },
    MetricDef {
        id: NETWORK_TX,
        name: "network/tx",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Bytes sent over the network.",
    },
    MetricDef {
        id: NETWORK_RX_ERRORS,
        name: "network/rx_errors",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Errors while receiving over the network.",
    },
    MetricDef {
        id: NETWORK_TX_ERRORS,
        name: "network/tx_errors",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Errors while sending over the network.",
    },
    MetricDef {
        id: NETWORK_RX_RATE,
        name: "network/rx_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: Some(NETWORK_RX),
        description: "Bytes received a second.",
    },
    MetricDef {
        id: NETWORK_TX_RATE,
        name: "network/tx_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: Some(NETWORK_TX),
        description: "Bytes sent a second.",
    },
    MetricDef {
        id: NETWORK_RX_ERRORS_RATE,
        name: "network/rx_errors_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: Some(NETWORK_RX_ERRORS),
        description: "Errors a second while receiving.",
    },
    MetricDef {
        id: NETWORK_TX_ERRORS_RATE,
        name: "network/tx_errors_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod],
        labels: FieldLabels::None,
        rate_of: Some(NETWORK_TX_ERRORS),
        description: "Errors a second while sending.",
    },
    MetricDef {
        id: FILESYSTEM_USAGE,
        name: "filesystem/usage",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Bytes used on a filesystem.",
    },
    MetricDef {
        id: FILESYSTEM_LIMIT,
        name: "filesystem/limit",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Size of a filesystem.",
    },
    MetricDef {
        id: FILESYSTEM_AVAILABLE,
        name: "filesystem/available",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Bytes that are still free for unprivileged use on a filesystem.",
    },
    MetricDef {
        id: FILESYSTEM_INODES,
        name: "filesystem/inodes",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Node, Pod, PodContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Inodes of a filesystem.",
    },
    MetricDef {
        id: FILESYSTEM_INODES_FREE,
        name: "filesystem/inodes_free",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Node, Pod, PodContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Inodes of a filesystem that are free.",
    },
    MetricDef {
        id: DISK_IO_READ_BYTES,
        name: "disk/io_read_bytes",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Bytes read from a disk.",
    },
    MetricDef {
        id: DISK_IO_WRITE_BYTES,
        name: "disk/io_write_bytes",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: None,
        description: "Bytes written to a disk.",
    },
    MetricDef {
        id: DISK_IO_READ_BYTES_RATE,
        name: "disk/io_read_bytes_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: Some(DISK_IO_READ_BYTES),
        description: "Bytes a second read from a disk.",
    },
    MetricDef {
        id: DISK_IO_WRITE_BYTES_RATE,
        name: "disk/io_write_bytes_rate",
        kind: Kind::Gauge,
        value_type: ValueType::Double,
        unit: Unit::PerSecond,
        levels: &[Node, Pod, PodContainer, SysContainer],
        labels: FieldLabels::Resource,
        rate_of: Some(DISK_IO_WRITE_BYTES),
        description: "Bytes a second written to a disk.",
    },
    MetricDef {
        id: ACCELERATOR_MEMORY_TOTAL,
        name: "accelerator/memory_total",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[PodContainer],
        labels: FieldLabels::Accelerator,
        rate_of: None,
        description: "Memory that an accelerator has.",
    },
    MetricDef {
        id: ACCELERATOR_MEMORY_USED,
        name: "accelerator/memory_used",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Bytes,
        levels: &[PodContainer],
        labels: FieldLabels::Accelerator,
        rate_of: None,
        description: "Memory of an accelerator that is in use.",
    },
    MetricDef {
        id: ACCELERATOR_DUTY_CYCLE,
        name: "accelerator/duty_cycle",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Percent,
        levels: &[PodContainer],
        labels: FieldLabels::Accelerator,
        rate_of: None,
        description: "Part of the time in which an accelerator was busy.",
    },
    MetricDef {
        id: RESTART_COUNT,
        name: "restart_count",
        kind: Kind::Gauge,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[Pod, PodContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "How often the container was restarted; for a pod the sum over its containers.",
    },
    MetricDef {
        id: CPU_PERIODS,
        name: "cpu/periods",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Periods of the CPU quota that have passed; only where there is a quota.",
    },
    MetricDef {
        id: CPU_THROTTLED_PERIODS,
        name: "cpu/throttled_periods",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Count,
        levels: &[PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Periods of the CPU quota in which it was used up.",
    },
    MetricDef {
        id: CPU_THROTTLED_TIME,
        name: "cpu/throttled_time",
        kind: Kind::Cumulative,
        value_type: ValueType::Int64,
        unit: Unit::Nanoseconds,
        levels: &[PodContainer, SysContainer],
        labels: FieldLabels::None,
        rate_of: None,
        description: "Time in which the CPU quota was used up and threads had to wait, added up over all cores.",
    },
];

/// `uptime`.
pub const UPTIME: MetricId = MetricId(1);
/// `cpu/usage`.
pub const CPU_USAGE: MetricId = MetricId(2);
/// `cpu/usage_rate`.
pub const CPU_USAGE_RATE: MetricId = MetricId(3);
/// `cpu/request`.
pub const CPU_REQUEST: MetricId = MetricId(4);
/// `cpu/limit`.
pub const CPU_LIMIT: MetricId = MetricId(5);
/// `memory/request`.
pub const MEMORY_REQUEST: MetricId = MetricId(6);
/// `memory/limit`.
pub const MEMORY_LIMIT: MetricId = MetricId(7);
/// `cpu/node_capacity`.
pub const CPU_NODE_CAPACITY: MetricId = MetricId(8);
/// `cpu/node_allocatable`.
pub const CPU_NODE_ALLOCATABLE: MetricId = MetricId(9);
/// `memory/node_capacity`.
pub const MEMORY_NODE_CAPACITY: MetricId = MetricId(10);
/// `memory/node_allocatable`.
pub const MEMORY_NODE_ALLOCATABLE: MetricId = MetricId(11);
/// `cpu/node_utilization`.
pub const CPU_NODE_UTILIZATION: MetricId = MetricId(12);
/// `cpu/node_reservation`.
pub const CPU_NODE_RESERVATION: MetricId = MetricId(13);
/// `memory/node_utilization`.
pub const MEMORY_NODE_UTILIZATION: MetricId = MetricId(14);
/// `memory/node_reservation`.
pub const MEMORY_NODE_RESERVATION: MetricId = MetricId(15);
/// `memory/usage`.
pub const MEMORY_USAGE: MetricId = MetricId(16);
/// `memory/working_set`.
pub const MEMORY_WORKING_SET: MetricId = MetricId(17);
/// `memory/rss`.
pub const MEMORY_RSS: MetricId = MetricId(18);
/// `memory/cache`.
pub const MEMORY_CACHE: MetricId = MetricId(19);
/// `memory/page_faults`.
pub const MEMORY_PAGE_FAULTS: MetricId = MetricId(20);
/// `memory/major_page_faults`.
pub const MEMORY_MAJOR_PAGE_FAULTS: MetricId = MetricId(21);
/// `memory/page_faults_rate`.
pub const MEMORY_PAGE_FAULTS_RATE: MetricId = MetricId(22);
/// `memory/major_page_faults_rate`.
pub const MEMORY_MAJOR_PAGE_FAULTS_RATE: MetricId = MetricId(23);
/// `network/rx`.
pub const NETWORK_RX: MetricId = MetricId(24);
/// `network/tx`.
pub const NETWORK_TX: MetricId = MetricId(25);
/// `network/rx_errors`.
pub const NETWORK_RX_ERRORS: MetricId = MetricId(26);
/// `network/tx_errors`.
pub const NETWORK_TX_ERRORS: MetricId = MetricId(27);
/// `network/rx_rate`.
pub const NETWORK_RX_RATE: MetricId = MetricId(28);
/// `network/tx_rate`.
pub const NETWORK_TX_RATE: MetricId = MetricId(29);
/// `network/rx_errors_rate`.
pub const NETWORK_RX_ERRORS_RATE: MetricId = MetricId(30);
/// `network/tx_errors_rate`.
pub const NETWORK_TX_ERRORS_RATE: MetricId = MetricId(31);
/// `filesystem/usage`.
pub const FILESYSTEM_USAGE: MetricId = MetricId(32);
/// `filesystem/limit`.
pub const FILESYSTEM_LIMIT: MetricId = MetricId(33);
/// `filesystem/available`.
pub const FILESYSTEM_AVAILABLE: MetricId = MetricId(34);
/// `filesystem/inodes`.
pub const FILESYSTEM_INODES: MetricId = MetricId(35);
/// `filesystem/inodes_free`.
pub const FILESYSTEM_INODES_FREE: MetricId = MetricId(36);
/// `disk/io_read_bytes`.
pub const DISK_IO_READ_BYTES: MetricId = MetricId(37);
/// `disk/io_write_bytes`.
pub const DISK_IO_WRITE_BYTES: MetricId = MetricId(38);
/// `disk/io_read_bytes_rate`.
pub const DISK_IO_READ_BYTES_RATE: MetricId = MetricId(39);
/// `disk/io_write_bytes_rate`.
pub const DISK_IO_WRITE_BYTES_RATE: MetricId = MetricId(40);
/// `accelerator/memory_total`.
pub const ACCELERATOR_MEMORY_TOTAL: MetricId = MetricId(41);
/// `accelerator/memory_used`.
pub const ACCELERATOR_MEMORY_USED: MetricId = MetricId(42);
/// `accelerator/duty_cycle`.
pub const ACCELERATOR_DUTY_CYCLE: MetricId = MetricId(43);
/// `restart_count`.
pub const RESTART_COUNT: MetricId = MetricId(44);
/// `cpu/periods`.
pub const CPU_PERIODS: MetricId = MetricId(45);
/// `cpu/throttled_periods`.
pub const CPU_THROTTLED_PERIODS: MetricId = MetricId(46);
/// `cpu/throttled_time`.
pub const CPU_THROTTLED_TIME: MetricId = MetricId(47);

/// The metric with this number.
#[must_use]
pub fn by_id(id: MetricId) -> Option<&'static MetricDef> {
    let index = usize::try_from(id.0).ok()?.checked_sub(1)?;
    METRICS.get(index)
}

/// The metric with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static MetricDef> {
    METRICS.iter().find(|def| def.name == name)
}

/// The metric that is the rate of this counter.
#[must_use]
pub fn rate_of(counter: MetricId) -> Option<&'static MetricDef> {
    METRICS.iter().find(|def| def.rate_of == Some(counter))
}

impl MetricId {
    /// The definition of a metric that the table is known to have.
    ///
    /// # Panics
    /// When the number is not in the table; use it with this module's constants only.
    #[must_use]
    pub fn def(self) -> &'static MetricDef {
        by_id(self).expect("a constant of the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wire refers to metrics by number, so each must sit where its number says.
    #[test]
    fn numbers_are_positions() {
        for (index, def) in METRICS.iter().enumerate() {
            assert_eq!(def.id.0 as usize, index + 1, "{}", def.name);
            assert!(std::ptr::eq(by_name(def.name).unwrap(), def));
        }
    }

    /// A rate is a gauge of the same labels over a counter.
    #[test]
    fn rates_follow_their_counters() {
        for def in METRICS.iter().filter(|def| def.rate_of.is_some()) {
            let counter = by_id(def.rate_of.unwrap()).unwrap();
            assert_eq!(counter.kind, Kind::Cumulative, "{}", def.name);
            assert_eq!(def.kind, Kind::Gauge, "{}", def.name);
            assert_eq!(counter.labels, def.labels, "{}", def.name);
        }
    }
}
