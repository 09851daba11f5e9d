//! The machine as a whole, from `/proc`: what no control group tells, or not of all of it.

mod filesystems;
mod network;
mod system;

use std::io;

use heapster_shared::{
    row::Cell,
    schema::{Field, table},
};

use self::system::Stat;
use super::{
    devices::Devices,
    files::FileReader,
    now_ms,
    values::{Measured, push},
};

/// A boot time that differs from the one before by no more is the same boot: the kernel works it
/// out from a clock that is set right now and then.
const SAME_BOOT_MS: i64 = 60_000;

/// Where the machine is read from.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The directory of `proc`.
    pub(super) proc: String,
    /// In front of every mount point, where the machine's root is mounted elsewhere; may be empty.
    pub(super) rootfs: String,
    /// Interfaces to sum over; empty for those that look physical.
    pub(super) interfaces: Vec<String>,
}

/// Reads the machine.
#[derive(Debug)]
pub(super) struct Machine {
    places: Places,
    ticks_per_second: u64,
    boot_ms: i64,
}

impl Machine {
    pub(super) fn new(places: Places) -> Self {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        Self { places, ticks_per_second, boot_ms: 0 }
    }

    /// When the machine started, in milliseconds since 1970; 0 when that is not known yet.
    pub(super) const fn boot_ms(&self) -> i64 {
        self.boot_ms
    }

    /// All that can be read of the machine.
    ///
    /// # Errors
    /// When neither its CPU time nor its memory can be read.
    pub(super) fn measure(
        &mut self,
        files: &mut FileReader,
        devices: &mut Devices,
    ) -> Result<Measured, io::Error> {
        let mut values = Vec::with_capacity(48);
        let cpu = self.cpu(files, &mut values);
        let time_ms = now_ms();
        let memory = self.memory(files, &mut values);
        if let (Err(error), Err(_)) = (cpu, memory) {
            return Err(error);
        }
        self.network(files, &mut values);
        if let Ok(diskstats) = files.read(&[&self.places.proc, "/diskstats"]) {
            devices.read_disks(diskstats, &mut values);
        }
        self.filesystems(files, &mut values);
        Ok(Measured { time_ms, values })
    }

    /// The mount table that goes with `rootfs`: the first process's where it is another root than
    /// ours, which is what [`Places::rootfs`] says.
    fn mount_table<'f>(&self, files: &'f mut FileReader) -> io::Result<&'f [u8]> {
        let process = if self.places.rootfs.is_empty() { "/self" } else { "/1" };
        files.read(&[&self.places.proc, process, "/mountinfo"])
    }

    fn cpu(&mut self, files: &mut FileReader, values: &mut Vec<(Field, Cell)>) -> io::Result<()> {
        let stat = Stat::parse(files.read(&[&self.places.proc, "/stat"])?);
        if let Some(ticks) = stat.busy_ticks {
            let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.ticks_per_second);
            push(values, table::CPU_USAGE, u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        }
        if stat.cores > 0 {
            let millicores = Cell::real(f64::from(stat.cores) * 1000.0);
            values.push((Field::plain(table::CPU_NODE_CAPACITY.def()), millicores));
            values.push((Field::plain(table::CPU_NODE_ALLOCATABLE.def()), millicores));
        }
        let booted = stat.boot_time_s.and_then(|s| i64::try_from(s).ok()?.checked_mul(1000));
        if let Some(booted) = booted.filter(|ms| (ms - self.boot_ms).abs() > SAME_BOOT_MS) {
            self.boot_ms = booted;
        }
        Ok(())
    }

    fn memory(&self, files: &mut FileReader, values: &mut Vec<(Field, Cell)>) -> io::Result<()> {
        system::memory(files.read(&[&self.places.proc, "/meminfo"])?, values);
        if let Ok(vmstat) = files.read(&[&self.places.proc, "/vmstat"]) {
            system::page_faults(vmstat, values);
        }
        Ok(())
    }

    /// From the first process, whose network is the machine's where ours is a container's.
    fn network(&self, files: &mut FileReader, values: &mut Vec<(Field, Cell)>) {
        let first_of = |files: &mut FileReader, process: &str| {
            let text = files.read(&[&self.places.proc, process, "/net/dev"]).ok()?;
            network::sum(text, &self.places.interfaces)
        };
        let sum = first_of(files, "/1").or_else(|| first_of(files, "/self"));
        if let Some(sum) = sum {
            push(values, table::NETWORK_RX, sum.rx_bytes);
            push(values, table::NETWORK_TX, sum.tx_bytes);
            push(values, table::NETWORK_RX_ERRORS, sum.rx_errors);
            push(values, table::NETWORK_TX_ERRORS, sum.tx_errors);
        }
    }

    fn filesystems(&self, files: &mut FileReader, values: &mut Vec<(Field, Cell)>) {
        if let Ok(table) = self.mount_table(files) {
            for filesystem in filesystems::local(table) {
                filesystems::measure(&filesystem, &self.places.rootfs, values);
            }
        }
    }
}
