//! From the numbers of one container to the fields of the schema.

use std::sync::Arc;

use heapster_shared::{
    entity::Labels,
    row::Cell,
    schema::{CustomMetric, Field, Kind, Metric, MetricId, ValueType, table},
};

use super::{
    answer::{
        Accelerator, CustomSpec, CustomValue, Disk, Filesystem, Filesystems, Interface, Network,
        Spec, Stats,
    },
    facts::{Devices, Facts},
};

/// A disk's sector as the kernel counts, whatever the disk says.
const SECTOR_BYTES: u64 = 512;
/// "No limit" is this or more: the greatest number of whole pages, or of all.
const NO_LIMIT: u64 = 1 << 62;
/// Interfaces that carry what another one of the machine carries too.
const INNER_INTERFACES: [&str; 7] = ["veth", "docker", "br-", "cni", "cali", "flannel", "virbr"];

/// The fields of a reading.
pub(super) type Cells = Vec<(Field, Cell)>;

/// Fields of one reading in the making.
pub(super) struct Values<'m> {
    facts: &'m Facts,
    devices: &'m mut Devices,
    cells: Cells,
}

impl<'m> Values<'m> {
    /// No fields yet.
    pub(super) fn new(facts: &'m Facts, devices: &'m mut Devices) -> Self {
        Self { facts, devices, cells: Vec::with_capacity(24) }
    }

    /// The fields.
    pub(super) fn finish(self) -> Cells {
        self.cells
    }

    fn plain(&mut self, metric: MetricId, value: Option<u64>) {
        if let Some(cell) = value.and_then(cell) {
            self.cells.push((Field::plain(metric.def()), cell));
        }
    }

    fn device(&mut self, metric: MetricId, device: &str, value: Option<u64>) {
        if let Some(cell) = value.and_then(cell) {
            self.cells.push((self.devices.field(metric.def(), device), cell));
        }
    }

    /// CPU and memory in use.
    pub(super) fn usage(&mut self, spec: &Spec<'_>, stats: &Stats<'_>) {
        if has(spec.has_cpu, stats.has_cpu) {
            let usage = stats.cpu.as_ref().and_then(|cpu| cpu.usage.as_ref());
            self.plain(table::CPU_USAGE, usage.and_then(|usage| usage.total));
        }
        let Some(memory) = stats.memory.as_ref().filter(|_| has(spec.has_memory, stats.has_memory))
        else {
            return;
        };
        self.plain(table::MEMORY_USAGE, memory.usage);
        self.plain(table::MEMORY_WORKING_SET, memory.working_set);
        self.plain(table::MEMORY_RSS, memory.rss);
        self.plain(table::MEMORY_CACHE, memory.cache);
        // With all below it, as the other numbers of memory are.
        if let Some(faults) = memory.hierarchical_data.as_ref().or(memory.container_data.as_ref()) {
            self.plain(table::MEMORY_PAGE_FAULTS, faults.pgfault);
            self.plain(table::MEMORY_MAJOR_PAGE_FAULTS, faults.pgmajfault);
        }
    }

    /// What the machine has, all of which workloads may have.
    pub(super) fn capacity(&mut self) {
        #[allow(clippy::cast_precision_loss)]
        let memory = self.facts.memory_bytes.map(|bytes| bytes as f64);
        for (metric, value) in [
            (table::CPU_NODE_CAPACITY, self.facts.cpu_millicores),
            (table::CPU_NODE_ALLOCATABLE, self.facts.cpu_millicores),
            (table::MEMORY_NODE_CAPACITY, memory),
            (table::MEMORY_NODE_ALLOCATABLE, memory),
        ] {
            if let Some(value) = value {
                self.cells.push((Field::plain(metric.def()), Cell::real(value)));
            }
        }
    }

    /// Limits of a container of a pod. v2 does not tell the CPU quota, so there it is not known; the
    /// weight is what Kubernetes made of the request, 1024 a core and 2 for none.
    pub(super) fn limits(&mut self, spec: &Spec<'_>) {
        if let Some(cpu) = spec.cpu.as_ref().filter(|_| spec.has_cpu != Some(false)) {
            let request = cpu.limit.filter(|weight| *weight > 0);
            self.plain(
                table::CPU_REQUEST,
                request.map(|weight| weight.saturating_mul(1000) / 1024),
            );
            let limit = match (cpu.quota, cpu.period) {
                (Some(quota), Some(period)) if period > 0 && quota < NO_LIMIT => {
                    Some(quota.saturating_mul(1000) / period)
                }
                (_, Some(_)) => Some(0),
                (_, None) => None,
            };
            self.plain(table::CPU_LIMIT, limit);
        }
        if let Some(memory) = spec.memory.as_ref().filter(|_| spec.has_memory != Some(false)) {
            let limit = memory.limit.map(|limit| if limit >= NO_LIMIT { 0 } else { limit });
            self.plain(table::MEMORY_LIMIT, limit);
        }
    }

    /// The sum over the interfaces; those that only lead to containers count where there is no other.
    pub(super) fn network(&mut self, spec: &Spec<'_>, stats: &Stats<'_>) {
        let Some(network) =
            stats.network.as_ref().filter(|_| has(spec.has_network, stats.has_network))
        else {
            return;
        };
        let [rx, tx, rx_errors, tx_errors] = traffic(network);
        self.plain(table::NETWORK_RX, rx);
        self.plain(table::NETWORK_TX, tx);
        self.plain(table::NETWORK_RX_ERRORS, rx_errors);
        self.plain(table::NETWORK_TX_ERRORS, tx_errors);
    }

    /// Filesystems by device; the sum of v2.1 stands under `/`.
    pub(super) fn filesystems(&mut self, spec: &Spec<'_>, stats: &Stats<'_>, with_inodes: bool) {
        let known = has(spec.has_filesystem, stats.has_filesystem);
        match stats.filesystem.as_ref().filter(|_| known) {
            Some(Filesystems::Total { usage }) => self.device(table::FILESYSTEM_USAGE, "/", *usage),
            Some(Filesystems::List(list)) => {
                for (index, filesystem) in list.iter().enumerate() {
                    let again =
                        list[..index].iter().any(|other| *other.device == *filesystem.device);
                    // Without a size it is none that anything could be stored on, such as cgroup2.
                    if !again && filesystem.capacity != Some(0) {
                        self.filesystem(filesystem, with_inodes);
                    }
                }
            }
            None => {}
        }
    }

    fn filesystem(&mut self, filesystem: &Filesystem<'_>, with_inodes: bool) {
        let device = &*filesystem.device;
        self.device(table::FILESYSTEM_USAGE, device, filesystem.usage);
        self.device(table::FILESYSTEM_LIMIT, device, filesystem.capacity);
        self.device(table::FILESYSTEM_AVAILABLE, device, filesystem.available);
        if !with_inodes || filesystem.has_inodes == Some(false) {
            return;
        }
        let total = filesystem.inodes.or_else(|| self.facts.inodes.get(device).copied());
        if let Some(total) = total.filter(|total| *total > 0) {
            self.device(table::FILESYSTEM_INODES, device, Some(total));
            self.device(table::FILESYSTEM_INODES_FREE, device, filesystem.inodes_free);
        }
    }

    /// Disk I/O by device.
    pub(super) fn disks(&mut self, spec: &Spec<'_>, stats: &Stats<'_>) {
        if !has(spec.has_diskio, stats.has_diskio) {
            return;
        }
        let disks = stats.diskio.as_ref().and_then(|io| io.io_service_bytes.as_deref());
        let disks = disks.unwrap_or_default();
        for (index, disk) in disks.iter().enumerate() {
            let same = |other: &Disk<'_>| (other.major, other.minor) == (disk.major, disk.minor);
            if disks[..index].iter().any(|other| same(other) && other.device == disk.device) {
                continue;
            }
            let Some(counts) = &disk.stats else { continue };
            let name = self.disk_name(disk);
            self.device(table::DISK_IO_READ_BYTES, &name, counts.read);
            self.device(table::DISK_IO_WRITE_BYTES, &name, counts.write);
        }
    }

    fn disk_name(&self, disk: &Disk<'_>) -> compact_str::CompactString {
        if !disk.device.is_empty() {
            return (&*disk.device).into();
        }
        let number = compact_str::format_compact!("{}:{}", disk.major, disk.minor);
        self.facts.disks.get(&number).cloned().unwrap_or(number)
    }

    /// Disk I/O of a machine whose root control group counts none: what the kernel counts for the
    /// devices of its filesystems.
    pub(super) fn disks_of_filesystems(&mut self, stats: &Stats<'_>) {
        let counted = stats.diskio.as_ref().and_then(|io| io.io_service_bytes.as_ref());
        let Some(Filesystems::List(list)) = &stats.filesystem else { return };
        if counted.is_some_and(|disks| !disks.is_empty()) {
            return;
        }
        for (index, filesystem) in list.iter().enumerate() {
            let again = list[..index].iter().any(|other| *other.device == *filesystem.device);
            let inner = filesystem.inline;
            let read = filesystem.sectors_read.or(inner.and_then(|inner| inner.sectors_read));
            let written = filesystem.sectors_written;
            let written = written.or(inner.and_then(|inner| inner.sectors_written));
            // All zero is what cAdvisor gives for what is no disk.
            if again || read.unwrap_or(0) == 0 && written.unwrap_or(0) == 0 {
                continue;
            }
            let bytes =
                |sectors: Option<u64>| sectors.map(|count| count.saturating_mul(SECTOR_BYTES));
            self.device(table::DISK_IO_READ_BYTES, &filesystem.device, bytes(read));
            self.device(table::DISK_IO_WRITE_BYTES, &filesystem.device, bytes(written));
        }
    }

    /// Accelerators, such as GPUs.
    pub(super) fn accelerators(&mut self, accelerators: &[Accelerator<'_>]) {
        for (index, one) in accelerators.iter().enumerate() {
            if accelerators[..index].iter().any(|other| other.id == one.id) {
                continue;
            }
            let labels = Arc::new(Labels::from_iter([
                ("make", &*one.make),
                ("model", &*one.model),
                ("accelerator_id", &*one.id),
            ]));
            for (metric, value) in [
                (table::ACCELERATOR_MEMORY_TOTAL, one.memory_total),
                (table::ACCELERATOR_MEMORY_USED, one.memory_used),
                (table::ACCELERATOR_DUTY_CYCLE, one.duty_cycle),
            ] {
                if let Some(cell) = value.and_then(cell) {
                    let labels = Some(Arc::clone(&labels));
                    self.cells.push((Field { metric: Metric::Known(metric.def()), labels }, cell));
                }
            }
        }
    }

    /// The newest values of the metrics that the container itself exposes.
    pub(super) fn custom(&mut self, spec: &Spec<'_>, stats: &Stats<'_>) {
        let Some(by_name) = &stats.custom_metrics else { return };
        let described = spec.custom_metrics.iter().flatten();
        for described in described.filter(|described| !described.name.is_empty()) {
            let named = by_name.0.iter().find(|(name, _)| *name == described.name);
            let values = named.and_then(|(_, values)| values.as_deref()).unwrap_or_default();
            let metric = Arc::new(custom_metric(described));
            let first = self.cells.len();
            let mut order: Vec<&CustomValue<'_>> = values.iter().collect();
            order.sort_by_key(|value| std::cmp::Reverse(value.timestamp));
            for value in order {
                let field =
                    Field { metric: Metric::Custom(Arc::clone(&metric)), labels: labels_of(value) };
                if self.cells[first..].iter().all(|(known, _)| *known != field) {
                    let cell = match metric.value_type {
                        ValueType::Int64 => Cell::int(value.int_value),
                        ValueType::Double => Cell::real(value.float_value),
                    };
                    self.cells.push((field, cell));
                }
            }
        }
    }
}

/// Whether neither the spec nor the sample says that there is none.
fn has(spec: Option<bool>, stats: Option<bool>) -> bool {
    spec != Some(false) && stats != Some(false)
}

fn cell(value: u64) -> Option<Cell> {
    i64::try_from(value).ok().map(Cell::int)
}

/// Received and sent bytes, errors while receiving and while sending.
fn traffic(network: &Network<'_>) -> [Option<u64>; 4] {
    let all = network.interfaces.as_deref().unwrap_or_default();
    if all.is_empty() {
        return [network.rx_bytes, network.tx_bytes, network.rx_errors, network.tx_errors];
    }
    let inner =
        |one: &Interface<'_>| INNER_INTERFACES.iter().any(|prefix| one.name.starts_with(prefix));
    let mut counted: Vec<&Interface<'_>> = all.iter().filter(|one| *one.name != *"lo").collect();
    if counted.iter().any(|one| !inner(one)) {
        counted.retain(|one| !inner(one));
    }
    let sum = |count: fn(&Interface<'_>) -> Option<u64>| {
        counted.iter().filter_map(|one| count(one)).reduce(u64::saturating_add)
    };
    [
        sum(|one| one.rx_bytes),
        sum(|one| one.tx_bytes),
        sum(|one| one.rx_errors),
        sum(|one| one.tx_errors),
    ]
}

fn custom_metric(described: &CustomSpec<'_>) -> CustomMetric {
    let cumulative = *described.kind == *"cumulative";
    let float = *described.format == *"float";
    // Whoever owns the container chose it, in whatever letters.
    let legal = |c: char| if CustomMetric::is_legal_in_names(c) { c } else { '_' };
    let name: String = described.name.chars().map(legal).collect();
    CustomMetric {
        name: format!("custom/{name}").into(),
        kind: if cumulative { Kind::Cumulative } else { Kind::Gauge },
        value_type: if float { ValueType::Double } else { ValueType::Int64 },
        unit: (&*described.units).into(),
    }
}

fn labels_of(value: &CustomValue<'_>) -> Option<Arc<Labels>> {
    let pairs = value.labels.iter().flat_map(|labels| &labels.0);
    let pairs = pairs.map(|(name, value)| (&**name, &**value));
    let label = (!value.label.is_empty()).then_some(("label", &*value.label));
    let labels = Labels::from_iter(label.into_iter().chain(pairs));
    (!labels.is_empty()).then(|| Arc::new(labels))
}
