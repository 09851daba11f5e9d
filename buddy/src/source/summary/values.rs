//! From the numbers of a summary to the fields of the schema.

use std::sync::Arc;

use heapster_shared::{
    entity::Labels,
    row::Cell,
    schema::{CustomMetric, Field, Kind, Metric, MetricId, ValueType, table},
};

use super::answer::{Accelerator, Cpu, Filesystem, Memory, Network, UserDefined, Volume};
use crate::source::{Recorder, accelerators, interfaces};

/// Records the fields of the reading that has begun.
pub(super) struct Values<'v, 's>(pub(super) &'v mut Recorder<'s>);

impl Values<'_, '_> {
    fn plain(&mut self, metric: MetricId, value: Option<u64>) {
        self.0.plain(metric, cell(value));
    }

    pub(super) fn cpu(&mut self, cpu: Option<&Cpu<'_>>) {
        let Some(cpu) = cpu else { return };
        self.plain(table::CPU_USAGE, cpu.total());
        self.0.give_cpu_nanocores(cpu.usage_nano_cores.filter(|_| cpu.total().is_some()));
    }

    pub(super) fn memory(&mut self, memory: Option<&Memory<'_>>) {
        let Some(memory) = memory.filter(|memory| memory.is_measured()) else { return };
        self.plain(table::MEMORY_USAGE, memory.usage_bytes);
        self.plain(table::MEMORY_WORKING_SET, memory.working_set_bytes);
        self.plain(table::MEMORY_RSS, memory.rss_bytes);
        self.plain(table::MEMORY_PAGE_FAULTS, memory.page_faults);
        self.plain(table::MEMORY_MAJOR_PAGE_FAULTS, memory.major_page_faults);
    }

    /// That of `eth0`, as in the ancestor; where the kubelet found none, the sum of the others.
    pub(super) fn network(&mut self, network: Option<&Network<'_>>) {
        let Some(network) = network else { return };
        let mut traffic =
            [network.rx_bytes, network.tx_bytes, network.rx_errors, network.tx_errors];
        if traffic.iter().all(Option::is_none) {
            traffic = sum(network);
        }
        let [rx, tx, rx_errors, tx_errors] = traffic;
        self.plain(table::NETWORK_RX, rx);
        self.plain(table::NETWORK_TX, tx);
        self.plain(table::NETWORK_RX_ERRORS, rx_errors);
        self.plain(table::NETWORK_TX_ERRORS, tx_errors);
    }

    pub(super) fn filesystem(&mut self, resource_id: &str, filesystem: Option<&Filesystem<'_>>) {
        let Some(Filesystem {
            used_bytes,
            capacity_bytes,
            available_bytes,
            inodes,
            inodes_free,
            ..
        }) = filesystem
        else {
            return;
        };
        let values = [*used_bytes, *capacity_bytes, *available_bytes, *inodes, *inodes_free];
        self.resource(resource_id, values);
    }

    pub(super) fn volumes(&mut self, volumes: &[Volume<'_>]) {
        for volume in volumes {
            let Volume { used_bytes, capacity_bytes, available_bytes, inodes, inodes_free, .. } =
                volume;
            let values = [*used_bytes, *capacity_bytes, *available_bytes, *inodes, *inodes_free];
            let name = compact_str::format_compact!("Volume:{}", &*volume.name);
            self.resource(&name, values);
        }
    }

    /// Bytes in use, in all and free; inodes in all and free.
    fn resource(&mut self, resource_id: &str, values: [Option<u64>; 5]) {
        let [used, limit, available, inodes, inodes_free] = values.map(cell);
        let values = [
            (table::FILESYSTEM_USAGE, used),
            (table::FILESYSTEM_LIMIT, limit),
            (table::FILESYSTEM_AVAILABLE, available),
            (table::FILESYSTEM_INODES, inodes),
            (table::FILESYSTEM_INODES_FREE, inodes_free),
        ];
        self.0.resources(resource_id, values);
    }

    pub(super) fn accelerators(&mut self, accelerators: &[Accelerator<'_>]) {
        for one in accelerators {
            let name = accelerators::Name { make: &one.make, model: &one.model, id: &one.id };
            name.record(self.0, [one.memory_total, one.memory_used, one.duty_cycle].map(cell));
        }
    }

    /// Metrics that the container itself exposes.
    pub(super) fn user_defined(&mut self, metrics: &[UserDefined<'_>]) {
        for one in metrics.iter().filter(|one| !one.name.is_empty()) {
            // Whoever owns the container chose it, in whatever letters.
            let legal = |c: char| if CustomMetric::is_legal_in_names(c) { c } else { '_' };
            let name: String = one.name.chars().map(legal).collect();
            let cumulative = *one.kind == *"cumulative";
            let metric = Metric::Custom(Arc::new(CustomMetric {
                name: format!("custom/{name}").into(),
                kind: if cumulative { Kind::Cumulative } else { Kind::Gauge },
                value_type: ValueType::Double,
                unit: (&*one.units).into(),
            }));
            let labels = one.labels.iter().flat_map(|labels| &labels.0);
            let labels: Labels = labels.map(|(name, value)| (&**name, &**value)).collect();
            let labels = (!labels.is_empty()).then(|| Arc::new(labels));
            self.0.field(&Field { metric, labels }, Cell::real(one.value));
        }
    }
}

fn sum(network: &Network<'_>) -> [Option<u64>; 4] {
    let all = network.interfaces.as_deref().unwrap_or_default();
    let counted = interfaces::counted(all, |one| &one.name);
    let none = [None; 4];
    counted.into_iter().fold(none, |sums, one| {
        let own = [one.rx_bytes, one.tx_bytes, one.rx_errors, one.tx_errors];
        std::array::from_fn(|at| match (sums[at], own[at]) {
            (Some(sum), Some(own)) => Some(u64::saturating_add(sum, own)),
            (sum, own) => sum.or(own),
        })
    })
}

/// Absent where there is none, or none that a cell can hold.
fn cell(value: Option<u64>) -> Cell {
    value.and_then(|value| i64::try_from(value).ok()).map_or(Cell::ABSENT, Cell::int)
}
