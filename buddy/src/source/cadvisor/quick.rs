//! Reads the answers of v2.1 the way cAdvisor writes them: compact, the spec of a container in front
//! of its samples.
//!
//! This is where the buddy spends its time. Most of an answer repeats: a spec whose bytes are those
//! of the poll before is not read at all, and of a sample only what is used. The types are those of
//! the general decoder, which takes whatever is refused here, and says what is wrong with it; the
//! two never differ in what they read.

#[cfg(test)]
mod tests;

use super::{
    answer::{
        Cpu, CpuUsage, Disk, DiskIo, DiskStats, Faults, Filesystem, Filesystems, Interface, Memory,
        Network, Newest, Sectors, Spec, Stats,
    },
    map::{Container, MACHINE, Mapper},
};
use crate::source::json::{Scan, Timestamp, general, list, once, text};

/// The samples of `machinestats`; `None` for what the general decoder is to look at.
pub(super) fn machine_stats(text: &str) -> Option<Newest<'_>> {
    let mut scan = Scan::new(text);
    let newest = newest(&mut scan)?;
    scan.end()?;
    Some(newest)
}

/// Adds the containers of `stats`; `None` for what the general decoder is to look at, the mapper
/// being of no use then.
pub(super) fn add_containers(text: &str, mapper: &mut Mapper<'_>) -> Option<()> {
    let mut scan = Scan::new(text);
    scan.object(|scan, path| {
        scan.literal(b"{\"spec\":")?;
        add_container(scan, path, mapper)
    })?;
    scan.end()
}

/// Adds a container, from its spec on.
fn add_container(scan: &mut Scan<'_>, path: &str, mapper: &mut Mapper<'_>) -> Option<()> {
    if let Some(bytes) = mapper.same_spec(path, scan.rest()) {
        scan.advance(bytes)?;
        if let Some(stats) = samples(scan)?.0 {
            mapper.add_same(path, &stats);
        }
        return Some(());
    }
    let text = scan.value()?;
    let spec: Spec<'_> = serde_json::from_str(text).ok()?;
    let Some(stats) = samples(scan)?.0 else { return Some(()) };
    if path != MACHINE {
        let aliases = spec.aliases.as_deref().unwrap_or_default();
        let text = mapper.spec_text(text.as_bytes());
        mapper.add_anew(&Container { path, aliases, spec: &spec }, text, &stats);
    }
    Some(())
}

/// What follows the spec, to the end of the container.
fn samples<'a>(scan: &mut Scan<'a>) -> Option<Newest<'a>> {
    if scan.peek()? == b'}' {
        scan.advance(1)?;
        return Some(Newest::default());
    }
    scan.literal(b",\"stats\":")?;
    let newest = newest(scan)?;
    scan.literal(b"}")?;
    Some(newest)
}

fn newest<'a>(scan: &mut Scan<'a>) -> Option<Newest<'a>> {
    let mut newest: Option<Stats<'a>> = None;
    scan.list(|scan| {
        let stats = stats(scan)?;
        if newest.as_ref().is_none_or(|known| known.timestamp <= stats.timestamp) {
            newest = Some(stats);
        }
        Some(())
    })?;
    Some(Newest(newest))
}

fn stats<'a>(scan: &mut Scan<'a>) -> Option<Stats<'a>> {
    let (mut stats, mut timestamp) = (Stats::default(), None);
    scan.object(|scan, key| match key {
        "timestamp" => once(&mut timestamp, Timestamp::parse(scan.string()?)),
        "cpu" => once(&mut stats.cpu, cpu(scan)),
        "memory" => once(&mut stats.memory, memory(scan)),
        "network" => once(&mut stats.network, network(scan)),
        "filesystem" => once(&mut stats.filesystem, filesystems(scan)),
        "diskio" => once(&mut stats.diskio, disk_io(scan)),
        "accelerators" => once(&mut stats.accelerators, general(scan)),
        "custom_metrics" => once(&mut stats.custom_metrics, general(scan)),
        "has_cpu" => once(&mut stats.has_cpu, scan.boolean()),
        "has_memory" => once(&mut stats.has_memory, scan.boolean()),
        "has_network" => once(&mut stats.has_network, scan.boolean()),
        "has_filesystem" => once(&mut stats.has_filesystem, scan.boolean()),
        "has_diskio" => once(&mut stats.has_diskio, scan.boolean()),
        _ => scan.skip(),
    })?;
    stats.timestamp = timestamp?;
    Some(stats)
}

fn cpu(scan: &mut Scan<'_>) -> Option<Cpu> {
    let mut cpu = Cpu::default();
    scan.object(|scan, key| match key {
        "usage" => once(&mut cpu.usage, cpu_usage(scan)),
        _ => scan.skip(),
    })?;
    Some(cpu)
}

fn cpu_usage(scan: &mut Scan<'_>) -> Option<CpuUsage> {
    let mut usage = CpuUsage::default();
    scan.object(|scan, key| match key {
        "total" => once(&mut usage.total, scan.number()),
        _ => scan.skip(),
    })?;
    Some(usage)
}

fn memory(scan: &mut Scan<'_>) -> Option<Memory> {
    let mut memory = Memory::default();
    scan.object(|scan, key| match key {
        "usage" => once(&mut memory.usage, scan.number()),
        "cache" => once(&mut memory.cache, scan.number()),
        "rss" => once(&mut memory.rss, scan.number()),
        "working_set" => once(&mut memory.working_set, scan.number()),
        "container_data" => once(&mut memory.container_data, faults(scan)),
        "hierarchical_data" => once(&mut memory.hierarchical_data, faults(scan)),
        _ => scan.skip(),
    })?;
    Some(memory)
}

fn faults(scan: &mut Scan<'_>) -> Option<Faults> {
    let mut faults = Faults::default();
    scan.object(|scan, key| match key {
        "pgfault" => once(&mut faults.pgfault, scan.number()),
        "pgmajfault" => once(&mut faults.pgmajfault, scan.number()),
        _ => scan.skip(),
    })?;
    Some(faults)
}

fn network<'a>(scan: &mut Scan<'a>) -> Option<Network<'a>> {
    let mut network = Network::default();
    scan.object(|scan, key| match key {
        "interfaces" => once(&mut network.interfaces, list(scan, interface)),
        "rx_bytes" => once(&mut network.rx_bytes, scan.number()),
        "rx_errors" => once(&mut network.rx_errors, scan.number()),
        "tx_bytes" => once(&mut network.tx_bytes, scan.number()),
        "tx_errors" => once(&mut network.tx_errors, scan.number()),
        _ => scan.skip(),
    })?;
    Some(network)
}

fn interface<'a>(scan: &mut Scan<'a>) -> Option<Interface<'a>> {
    let (mut interface, mut name) = (Interface::default(), None);
    scan.object(|scan, key| match key {
        "name" => once(&mut name, text(scan)),
        "rx_bytes" => once(&mut interface.rx_bytes, scan.number()),
        "rx_errors" => once(&mut interface.rx_errors, scan.number()),
        "tx_bytes" => once(&mut interface.tx_bytes, scan.number()),
        "tx_errors" => once(&mut interface.tx_errors, scan.number()),
        _ => scan.skip(),
    })?;
    interface.name = name.unwrap_or_default();
    Some(interface)
}

fn filesystems<'a>(scan: &mut Scan<'a>) -> Option<Filesystems<'a>> {
    if scan.peek()? == b'[' {
        return list(scan, filesystem).map(Filesystems::List);
    }
    let mut usage = None;
    scan.object(|scan, key| match key {
        "totalUsageBytes" => once(&mut usage, scan.number()),
        _ => scan.skip(),
    })?;
    Some(Filesystems::Total { usage })
}

fn filesystem<'a>(scan: &mut Scan<'a>) -> Option<Filesystem<'a>> {
    let (mut filesystem, mut device) = (Filesystem::default(), None);
    scan.object(|scan, key| match key {
        "device" => once(&mut device, text(scan)),
        "capacity" => once(&mut filesystem.capacity, scan.number()),
        "usage" => once(&mut filesystem.usage, scan.number()),
        "available" => once(&mut filesystem.available, scan.number()),
        "has_inodes" => once(&mut filesystem.has_inodes, scan.boolean()),
        "inodes" => once(&mut filesystem.inodes, scan.number()),
        "inodes_free" => once(&mut filesystem.inodes_free, scan.number()),
        "sectors_read" => once(&mut filesystem.sectors_read, scan.number()),
        "sectors_written" => once(&mut filesystem.sectors_written, scan.number()),
        "inline" => once(&mut filesystem.inline, sectors(scan)),
        _ => scan.skip(),
    })?;
    filesystem.device = device.unwrap_or_default();
    Some(filesystem)
}

fn sectors(scan: &mut Scan<'_>) -> Option<Sectors> {
    let mut sectors = Sectors::default();
    scan.object(|scan, key| match key {
        "sectors_read" => once(&mut sectors.sectors_read, scan.number()),
        "sectors_written" => once(&mut sectors.sectors_written, scan.number()),
        _ => scan.skip(),
    })?;
    Some(sectors)
}

fn disk_io<'a>(scan: &mut Scan<'a>) -> Option<DiskIo<'a>> {
    let mut disk_io = DiskIo::default();
    scan.object(|scan, key| match key {
        "io_service_bytes" => once(&mut disk_io.io_service_bytes, list(scan, disk)),
        _ => scan.skip(),
    })?;
    Some(disk_io)
}

fn disk<'a>(scan: &mut Scan<'a>) -> Option<Disk<'a>> {
    let (mut device, mut major, mut minor, mut stats) = (None, None, None, None);
    scan.object(|scan, key| match key {
        "device" => once(&mut device, text(scan)),
        "major" => once(&mut major, scan.number()),
        "minor" => once(&mut minor, scan.number()),
        "stats" => once(&mut stats, disk_stats(scan)),
        _ => scan.skip(),
    })?;
    Some(Disk {
        device: device.unwrap_or_default(),
        major: major.unwrap_or_default(),
        minor: minor.unwrap_or_default(),
        stats,
    })
}

fn disk_stats(scan: &mut Scan<'_>) -> Option<DiskStats> {
    let mut stats = DiskStats::default();
    scan.object(|scan, key| match key {
        "Read" => once(&mut stats.read, scan.number()),
        "Write" => once(&mut stats.write, scan.number()),
        _ => scan.skip(),
    })?;
    Some(stats)
}
