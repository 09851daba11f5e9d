//! CPU time and memory of the machine.
//!
//! - `cpu/usage`: user, nice, system, irq, softirq and steal of `/proc/stat`. Idle and I/O wait are
//!   no use; guests' time is within user and nice already.
//! - `memory/usage`: `MemTotal` less `MemFree`, caches included.
//! - `memory/working_set`: usage less `Inactive(file)`, as for every other level and as cAdvisor
//!   does for its root group; `MemAvailable` guesses at more than that and would not compare.
//! - `memory/rss`: `AnonPages`. `memory/cache`: `Cached` and `Buffers`, which together are the
//!   kernel's count of file pages.

use heapster_shared::{
    row::Cell,
    schema::{Field, table},
};

use crate::source::cgroup::{
    files::{key_and_number, lines, number, words},
    values::push,
};

/// What `/proc/stat` says.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Stat {
    /// CPU time in use since the boot, in clock ticks.
    pub(super) busy_ticks: Option<u64>,
    /// CPUs that are online.
    pub(super) cores: u32,
    /// Seconds since 1970.
    pub(super) boot_time_s: Option<u64>,
}

impl Stat {
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut stat = Self::default();
        for line in lines(text) {
            let mut words = words(line);
            match words.next() {
                Some(b"cpu") => stat.busy_ticks = busy_ticks(words),
                Some(b"btime") => stat.boot_time_s = words.next().and_then(number),
                Some(word) if word.starts_with(b"cpu") => stat.cores += 1,
                _ => {}
            }
        }
        stat
    }
}

/// `user nice system idle iowait irq softirq steal guest guest_nice`; old kernels end earlier.
fn busy_ticks<'a>(counters: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut busy = None;
    for (place, counter) in counters.take(8).enumerate() {
        let ticks = number(counter)?;
        if !matches!(place, 3 | 4) {
            busy = Some(busy.unwrap_or(0_u64).saturating_add(ticks));
        }
    }
    busy
}

/// Adds what `/proc/meminfo` says.
pub(super) fn memory(meminfo: &[u8], values: &mut Vec<(Field, Cell)>) {
    let mut names = [
        (&b"MemTotal:"[..], None),
        (b"MemFree:", None),
        (b"Inactive(file):", None),
        (b"AnonPages:", None),
        (b"Cached:", None),
        (b"Buffers:", None),
    ];
    for (key, kibibytes) in lines(meminfo).filter_map(key_and_number) {
        if let Some((_, value)) = names.iter_mut().find(|(name, _)| *name == key) {
            *value = Some(kibibytes.saturating_mul(1024));
        }
    }
    let [total, free, inactive_file, anonymous, cached, buffers] = names.map(|(_, value)| value);
    let usage = total.zip(free).map(|(total, free)| total.saturating_sub(free));
    let working_set = usage.zip(inactive_file).map(|(usage, idle)| usage.saturating_sub(idle));
    let cache = cached.zip(buffers).map(|(cached, buffers)| cached.saturating_add(buffers));
    for (metric, value) in [
        (table::MEMORY_USAGE, usage),
        (table::MEMORY_WORKING_SET, working_set),
        (table::MEMORY_RSS, anonymous),
        (table::MEMORY_CACHE, cache),
    ] {
        if let Some(value) = value {
            push(values, metric, value);
        }
    }
    if let Some(total) = total {
        #[allow(clippy::cast_precision_loss)]
        let capacity = Cell::real(total as f64);
        values.push((Field::plain(table::MEMORY_NODE_CAPACITY.def()), capacity));
        values.push((Field::plain(table::MEMORY_NODE_ALLOCATABLE.def()), capacity));
    }
}

/// Adds what `/proc/vmstat` says of page faults.
pub(super) fn page_faults(vmstat: &[u8], values: &mut Vec<(Field, Cell)>) {
    for (key, count) in lines(vmstat).filter_map(key_and_number) {
        match key {
            b"pgfault" => push(values, table::MEMORY_PAGE_FAULTS, count),
            b"pgmajfault" => push(values, table::MEMORY_MAJOR_PAGE_FAULTS, count),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_neither_idle_nor_waiting() {
        let stat = Stat::parse(
            b"cpu  59268 7 21387 304251 2435 5 148 666 11 3\ncpu0 1 0 0 0\ncpu1 1 0 0 0\n\
              intr 1 2 3\nctxt 4\nbtime 1795348281\nprocesses 5\n",
        );
        let wanted = Stat {
            busy_ticks: Some(59_268 + 7 + 21_387 + 5 + 148 + 666),
            cores: 2,
            boot_time_s: Some(1_795_348_281),
        };
        assert_eq!(stat, wanted);
        assert_eq!(Stat::parse(b"cpu  x\n").busy_ticks, None);
        assert_eq!(Stat::parse(b""), Stat::default());
    }

    #[test]
    fn memory_that_is_not_told_is_left_out() {
        let mut values = Vec::new();
        memory(b"MemTotal: 100 kB\nCached: 5 kB\nAnonPages: 7 kB\n", &mut values);
        let names: Vec<_> = values.iter().map(|(field, _)| field.metric.name()).collect();
        assert_eq!(names, ["memory/rss", "memory/node_capacity", "memory/node_allocatable"]);
        assert_eq!(values[1].1, Cell::real(102_400.0));
    }
}
