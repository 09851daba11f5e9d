//! From control groups to readings.

use heapster_shared::{
    row::Cell,
    schema::{MetricId, table},
};

use super::{
    group::{Device, Group, Groups, Key, OfDevice, OfInterface, Plain},
    identity::Owner,
};
use crate::source::{
    Readings, Recorder,
    accelerators::Name,
    interfaces,
    kubelet::{Candidates, Names, Rank, Timed, Who, cell},
    prometheus::unescaped,
};

/// A disk's sector as the kernel counts, whatever the disk says.
const SECTOR_BYTES: f64 = 512.0;
const NS_PER_SECOND: f64 = 1e9;

/// The readings of all groups.
pub(super) fn readings(groups: &Groups<'_>, recorder: Recorder<'_>) -> Readings {
    let mut mapper = Mapper { recorder, names: Names::default(), groups };
    let all = groups.groups.things();
    let living = Candidates::of(all.iter().map(|(key, group)| (name(key, group), group.rank())));
    let is_living = |index, key, group| living.has(&name(key, group), index);
    for (index, (key, group)) in all.iter().enumerate() {
        match key.owner() {
            Owner::Machine => mapper.node(group),
            Owner::Pods => mapper.pods(group),
            Owner::Pod if is_living(index, key, group) => mapper.pod(key, group),
            Owner::Container if is_living(index, key, group) => mapper.container(key, group),
            _ => {}
        }
    }
    mapper.recorder.finish()
}

/// By what a group is told from others. Of those with one name one is left over from the dead; but
/// what a pod has beside the group with its network is no rival of that.
fn name<'k>(key: &Key<'k>, group: &Group<'_>) -> Key<'k> {
    match key.owner() {
        Owner::Container => Key { id: "", ..*key },
        Owner::Pod if group.network_ms().is_some() => Key { id: "", container: "", ..*key },
        _ => *key,
    }
}

struct Mapper<'r, 'g> {
    recorder: Recorder<'r>,
    names: Names,
    groups: &'g Groups<'g>,
}

impl Mapper<'_, '_> {
    fn node(&mut self, group: &Group<'_>) {
        let Some(time_ms) = group.time_ms() else { return };
        if !self.names.begin_node(&mut self.recorder) {
            return;
        }
        self.usage(group);
        let real = |value: Option<f64>, factor| {
            value.map_or(Cell::ABSENT, |value| Cell::real(value * factor))
        };
        self.recorder.plain(table::CPU_NODE_CAPACITY, real(self.groups.cores, 1000.0));
        self.recorder.plain(table::MEMORY_NODE_CAPACITY, real(self.groups.memory_bytes, 1.0));
        self.network(group);
        self.devices(group);
        self.recorder.end(time_ms, group.start_time_ms);
    }

    /// As the summary calls it.
    fn pods(&mut self, group: &Group<'_>) {
        let Some(time_ms) = group.time_ms() else { return };
        if self.names.begin_system(&mut self.recorder, "pods") {
            self.usage(group);
            self.throttling(group);
            self.recorder.end(time_ms, group.start_time_ms);
        }
    }

    /// Of a pod's own group and of that which holds its network, the one with the network counts.
    fn pod(&mut self, key: &Key<'_>, group: &Group<'_>) {
        let Some(time_ms) = group.network_ms() else { return };
        let uid = key.pod_uid();
        let [namespace, pod] = [key.namespace, key.pod].map(unescaped);
        let who = Who { namespace: &namespace, pod: &pod, pod_uid: &uid };
        if self.names.begin_pod(&mut self.recorder, who) {
            self.network(group);
            self.recorder.end(time_ms, group.start_time_ms);
        }
    }

    fn container(&mut self, key: &Key<'_>, group: &Group<'_>) {
        let Some(time_ms) = group.time_ms() else { return };
        let uid = key.pod_uid();
        let [namespace, pod, name] = [key.namespace, key.pod, key.container].map(unescaped);
        let image = unescaped(group.image());
        let who = Who { namespace: &namespace, pod: &pod, pod_uid: &uid };
        let run = (key.container_id(), &*image);
        if self.names.begin_container(&mut self.recorder, who, &name, run) {
            self.usage(group);
            self.throttling(group);
            self.devices(group);
            self.accelerators(group);
            self.recorder.end(time_ms, group.start_time_ms);
        }
    }

    fn plain(&mut self, metric: MetricId, value: Option<f64>, factor: f64) {
        self.recorder.plain(metric, value.map_or(Cell::ABSENT, |value| cell(value, factor)));
    }

    /// CPU and memory in use.
    fn usage(&mut self, group: &Group<'_>) {
        let value = |place| group.plain(place).map(|timed| timed.value);
        self.plain(table::CPU_USAGE, group.cpu().map(|cpu| cpu.value), NS_PER_SECOND);
        if !group.has_memory() {
            return;
        }
        self.plain(table::MEMORY_USAGE, value(Plain::Usage), 1.0);
        self.plain(table::MEMORY_WORKING_SET, value(Plain::WorkingSet), 1.0);
        self.plain(table::MEMORY_RSS, value(Plain::Rss), 1.0);
        self.plain(table::MEMORY_CACHE, value(Plain::Cache), 1.0);
        let [faults, major] = [0, 1].map(|at| group.faults[at].or(group.own_faults[at]));
        self.plain(table::MEMORY_PAGE_FAULTS, faults, 1.0);
        self.plain(table::MEMORY_MAJOR_PAGE_FAULTS, major, 1.0);
    }

    fn throttling(&mut self, group: &Group<'_>) {
        let value = |place| group.plain(place).map(|timed| timed.value);
        self.plain(table::CPU_PERIODS, value(Plain::Periods), 1.0);
        self.plain(table::CPU_THROTTLED_PERIODS, value(Plain::ThrottledPeriods), 1.0);
        self.plain(table::CPU_THROTTLED_TIME, value(Plain::ThrottledSeconds), NS_PER_SECOND);
    }

    /// The sum over the interfaces that count.
    fn network(&mut self, group: &Group<'_>) {
        let counted = interfaces::counted(group.interfaces.things(), |(name, _)| name);
        for (metric, place) in [
            (table::NETWORK_RX, OfInterface::Received),
            (table::NETWORK_TX, OfInterface::Sent),
            (table::NETWORK_RX_ERRORS, OfInterface::ReceiveErrors),
            (table::NETWORK_TX_ERRORS, OfInterface::SendErrors),
        ] {
            let values = counted.iter().filter_map(|(_, values)| values[place as usize]);
            let sum = values.map(|timed| timed.value).reduce(|sum, value| sum + value);
            self.plain(metric, sum, 1.0);
        }
    }

    /// Filesystems and disks, by device.
    fn devices(&mut self, group: &Group<'_>) {
        let devices = group.devices.things();
        let given = |device: &Device, place: OfDevice| device[place as usize];
        // Sectors are counted by filesystem, whose device need not be called as the disk is.
        let has_bytes = devices.iter().any(|(_, device)| {
            given(device, OfDevice::ReadBytes).or(given(device, OfDevice::WrittenBytes)).is_some()
        });
        for (name, device) in devices {
            let name = unescaped(name);
            let mut record = |metric, value: Option<f64>, factor| {
                let cell = value.map_or(Cell::ABSENT, |value| cell(value, factor));
                self.recorder.resource(metric, &name, cell);
            };
            // Without a size it is none that anything could be stored on.
            if given(device, OfDevice::Limit) != Some(0.0) {
                record(table::FILESYSTEM_USAGE, given(device, OfDevice::Usage), 1.0);
                record(table::FILESYSTEM_LIMIT, given(device, OfDevice::Limit), 1.0);
                record(table::FILESYSTEM_INODES, given(device, OfDevice::Inodes), 1.0);
                record(table::FILESYSTEM_INODES_FREE, given(device, OfDevice::InodesFree), 1.0);
            }
            let (read, written, unit) = match has_bytes {
                true => (OfDevice::ReadBytes, OfDevice::WrittenBytes, 1.0),
                false => (OfDevice::ReadSectors, OfDevice::WrittenSectors, SECTOR_BYTES),
            };
            record(table::DISK_IO_READ_BYTES, given(device, read), unit);
            record(table::DISK_IO_WRITE_BYTES, given(device, written), unit);
        }
    }

    fn accelerators(&mut self, group: &Group<'_>) {
        for (name, values) in group.accelerators.things() {
            let [make, model, id] = [name.make, name.model, name.id].map(unescaped);
            let name = Name { make: &make, model: &model, id: &id };
            let cell = |value: Option<f64>| value.map_or(Cell::ABSENT, |value| cell(value, 1.0));
            name.record(&mut self.recorder, values.map(cell));
        }
    }
}

impl Group<'_> {
    fn plain(&self, place: Plain) -> Option<Timed> {
        self.plain[place as usize]
    }

    /// Whatever runs has used some: a zero is not measured.
    fn cpu(&self) -> Option<Timed> {
        self.cpu.or(self.cpu_parts).filter(|cpu| cpu.value > 0.0)
    }

    fn has_memory(&self) -> bool {
        let values = [Plain::WorkingSet, Plain::Usage].map(|place| self.plain(place));
        values.into_iter().flatten().any(|timed| timed.value > 0.0)
    }

    /// None where neither CPU nor memory was measured.
    fn time_ms(&self) -> Option<i64> {
        let memory = self.plain(Plain::WorkingSet).or(self.plain(Plain::Usage));
        let times = [self.cpu(), memory.filter(|_| self.has_memory())].into_iter().flatten();
        times.map(|timed| timed.time_ms).find(|time_ms| *time_ms > 0)
    }

    fn network_ms(&self) -> Option<i64> {
        let interfaces = self.interfaces.things().iter();
        let times = interfaces.flat_map(|(_, values)| values.iter().flatten());
        times.map(|timed| timed.time_ms).find(|time_ms| *time_ms > 0)
    }

    fn rank(&self) -> Rank {
        let in_use = self.cpu().is_some() && self.has_memory();
        Rank { in_use, start_time_ms: self.start_time_ms }
    }
}
