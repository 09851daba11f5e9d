//! What one control group has used, from the files of its controllers.
//!
//! | metric | v1 | v2 |
//! |---|---|---|
//! | `cpu/usage` | `cpuacct.usage` | `usage_usec` of `cpu.stat` |
//! | `memory/usage` | `memory.usage_in_bytes` | `memory.current` |
//! | `memory/rss` | `total_rss` of `memory.stat` | `anon` of `memory.stat` |
//! | `memory/cache` | `total_cache` | `file` |
//! | `memory/working_set` | usage less `total_inactive_file` | usage less `inactive_file` |
//! | `memory/page_faults`, `memory/major_page_faults` | `total_pgfault`, `total_pgmajfault` | `pgfault`, `pgmajfault` |
//! | `disk/io_read_bytes`, `disk/io_write_bytes` | `blkio.throttle.io_service_bytes_recursive`, in old kernels the same without `_recursive` | `rbytes`, `wbytes` of `io.stat` |
//!
//! All of them include the groups below, but for `blkio` of kernels before 5.0. A file that is not
//! there leaves its values out.

use heapster_shared::{
    row::Cell,
    schema::{Field, MetricId, table},
};

use super::{
    devices::{Devices, bytes},
    files::{FileReader, device_number, key_and_number, lines, number, words},
    hierarchy::{Tree, Version},
    now_ms,
    walk::Found,
};

/// What was measured, and when.
#[derive(Debug)]
pub(super) struct Measured {
    /// The time at which the CPU time was read, which of all values moves fastest.
    pub(super) time_ms: i64,
    /// Counters and gauges.
    pub(super) values: Vec<(Field, Cell)>,
}

/// Reads the files of control groups.
pub(super) struct Meter<'a> {
    /// The trees of the machine.
    pub(super) trees: &'a [Tree],
    /// To read with.
    pub(super) files: &'a mut FileReader,
    /// Names of the devices.
    pub(super) devices: &'a mut Devices,
}

/// Adds what a file of disk I/O says.
type ParseIo = fn(&[u8], &mut Devices, &mut Vec<(Field, Cell)>);

#[derive(Default)]
struct MemoryStat {
    rss: Option<u64>,
    cache: Option<u64>,
    inactive_file: Option<u64>,
    page_faults: Option<u64>,
    major_page_faults: Option<u64>,
}

impl Meter<'_> {
    /// All values of a group; `None` when there is none, as when it has gone.
    pub(super) fn measure(&mut self, group: &Found<'_>) -> Option<Measured> {
        let mut values = Vec::with_capacity(9);
        let trees = self.trees;
        let of = |wanted: fn(&Tree) -> bool| group.trees.of(trees).filter(move |tree| wanted(tree));
        let cpu = of(|tree| tree.reads.cpu).find_map(|tree| self.cpu(tree, group.path));
        let time_ms = now_ms();
        if let Some(nanoseconds) = cpu {
            push(&mut values, table::CPU_USAGE, nanoseconds);
        }
        of(|tree| tree.reads.memory).find_map(|tree| self.memory(tree, group.path, &mut values));
        of(|tree| tree.reads.io).find_map(|tree| self.io(tree, group.path, &mut values));
        (!values.is_empty()).then_some(Measured { time_ms, values })
    }

    fn cpu(&mut self, tree: &Tree, path: &str) -> Option<u64> {
        match tree.version {
            Version::V1 => {
                number(self.files.read_group(&[&tree.base, path, "/cpuacct.usage"]).ok()?)
            }
            Version::V2 => {
                let stat = self.files.read_group(&[&tree.base, path, "/cpu.stat"]).ok()?;
                let mut pairs = lines(stat).filter_map(key_and_number);
                let (_, microseconds) = pairs.find(|(key, _)| *key == b"usage_usec")?;
                microseconds.checked_mul(1000)
            }
        }
    }

    fn memory(&mut self, tree: &Tree, path: &str, values: &mut Vec<(Field, Cell)>) -> Option<()> {
        let (usage_file, parse): (_, fn(&[u8]) -> MemoryStat) = match tree.version {
            Version::V1 => ("/memory.usage_in_bytes", MemoryStat::v1),
            Version::V2 => ("/memory.current", MemoryStat::v2),
        };
        let usage = self.files.read_group(&[&tree.base, path, usage_file]).ok().and_then(number);
        let stat = self.files.read_group(&[&tree.base, path, "/memory.stat"]).ok().map(parse);
        if usage.is_none() && stat.is_none() {
            return None;
        }
        let stat = stat.unwrap_or_default();
        // The two files are read one after the other, so the difference may be negative.
        let working_set = usage.zip(stat.inactive_file).map(|(all, idle)| all.saturating_sub(idle));
        for (metric, value) in [
            (table::MEMORY_USAGE, usage),
            (table::MEMORY_WORKING_SET, working_set),
            (table::MEMORY_RSS, stat.rss),
            (table::MEMORY_CACHE, stat.cache),
            (table::MEMORY_PAGE_FAULTS, stat.page_faults),
            (table::MEMORY_MAJOR_PAGE_FAULTS, stat.major_page_faults),
        ] {
            if let Some(value) = value {
                push(values, metric, value);
            }
        }
        Some(())
    }

    fn io(&mut self, tree: &Tree, path: &str, values: &mut Vec<(Field, Cell)>) -> Option<()> {
        match tree.version {
            Version::V1 => {
                let recursive = "/blkio.throttle.io_service_bytes_recursive";
                let found = self.io_file(tree, path, recursive, io_v1, values);
                found.or_else(|| {
                    self.io_file(tree, path, "/blkio.throttle.io_service_bytes", io_v1, values)
                })
            }
            Version::V2 => self.io_file(tree, path, "/io.stat", io_v2, values),
        }
    }

    fn io_file(
        &mut self,
        tree: &Tree,
        path: &str,
        file: &str,
        parse: ParseIo,
        values: &mut Vec<(Field, Cell)>,
    ) -> Option<()> {
        let text = self.files.read_group(&[&tree.base, path, file]).ok()?;
        parse(text, self.devices, values);
        Some(())
    }
}

impl MemoryStat {
    /// The sums over the groups below go before the group's own, which alone were there before a
    /// group could have a hierarchy.
    fn v1(text: &[u8]) -> Self {
        let mut sums = Self::default();
        let mut own = Self::default();
        for (key, value) in lines(text).filter_map(key_and_number) {
            let (stat, name) = match key.strip_prefix(b"total_") {
                Some(name) => (&mut sums, name),
                None => (&mut own, key),
            };
            match name {
                b"rss" => stat.rss = Some(value),
                b"cache" => stat.cache = Some(value),
                b"inactive_file" => stat.inactive_file = Some(value),
                b"pgfault" => stat.page_faults = Some(value),
                b"pgmajfault" => stat.major_page_faults = Some(value),
                _ => {}
            }
        }
        Self {
            rss: sums.rss.or(own.rss),
            cache: sums.cache.or(own.cache),
            inactive_file: sums.inactive_file.or(own.inactive_file),
            page_faults: sums.page_faults.or(own.page_faults),
            major_page_faults: sums.major_page_faults.or(own.major_page_faults),
        }
    }

    fn v2(text: &[u8]) -> Self {
        let mut stat = Self::default();
        for (key, value) in lines(text).filter_map(key_and_number) {
            match key {
                b"anon" => stat.rss = Some(value),
                b"file" => stat.cache = Some(value),
                b"inactive_file" => stat.inactive_file = Some(value),
                b"pgfault" => stat.page_faults = Some(value),
                b"pgmajfault" => stat.major_page_faults = Some(value),
                _ => {}
            }
        }
        stat
    }
}

/// `254:0 Read 4096`, one line a device and direction, and a `Total 4096`.
fn io_v1(text: &[u8], devices: &mut Devices, values: &mut Vec<(Field, Cell)>) {
    for line in lines(text) {
        let mut fields = words(line);
        let Some(device) = fields.next().and_then(device_number) else { continue };
        let (direction, amount) = (fields.next(), fields.next().and_then(number));
        match (direction, amount) {
            (Some(b"Read"), Some(amount)) => {
                values.push((devices.read_field(device), bytes(amount)))
            }
            (Some(b"Write"), Some(amount)) => {
                values.push((devices.write_field(device), bytes(amount)));
            }
            _ => {}
        }
    }
}

/// `254:0 rbytes=4096 wbytes=0 rios=1 ...`, one line a device. Some kernels write devices without
/// values in front, in the same line.
fn io_v2(text: &[u8], devices: &mut Devices, values: &mut Vec<(Field, Cell)>) {
    for line in lines(text) {
        let mut device = None;
        for word in words(line) {
            if let Some(number) = device_number(word) {
                device = Some(number);
            }
            let Some(device) = device else { continue };
            if let Some(amount) = word.strip_prefix(b"rbytes=").and_then(number) {
                values.push((devices.read_field(device), bytes(amount)));
            } else if let Some(amount) = word.strip_prefix(b"wbytes=").and_then(number) {
                values.push((devices.write_field(device), bytes(amount)));
            }
        }
    }
}

/// Adds a value of a metric that has no labels.
pub(super) fn push(values: &mut Vec<(Field, Cell)>, metric: MetricId, value: u64) {
    values.push((Field::plain(metric.def()), bytes(value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(values: &[(Field, Cell)]) -> Vec<(String, i64)> {
        let name = |field: &Field| match &field.labels {
            Some(labels) => format!("{} {}", field.metric.name(), labels.joined(",")),
            None => field.metric.name().to_owned(),
        };
        values.iter().map(|(field, cell)| (name(field), cell.as_int().unwrap())).collect()
    }

    #[test]
    fn v1_sums_go_before_the_groups_own() {
        let stat = MemoryStat::v1(
            b"cache 1\nrss 2\npgfault 3\npgmajfault 4\ninactive_file 5\ntotal_cache 10\ntotal_rss 20\n",
        );
        assert_eq!((stat.cache, stat.rss), (Some(10), Some(20)));
        assert_eq!((stat.page_faults, stat.major_page_faults), (Some(3), Some(4)));
        assert_eq!(stat.inactive_file, Some(5));
        assert!(MemoryStat::v2(b"").rss.is_none());
    }

    #[test]
    fn io_lines_of_both_generations() {
        let mut devices = Devices::default();
        devices.read_disks(b"254 0 vda 1 0 2 0 3 0 4 0 0 0 0\n", &mut Vec::new());
        let mut values = Vec::new();
        io_v1(
            b"254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 1\n254:0 Total 12288\n8:0 Read 1\nTotal 12288\n",
            &mut devices,
            &mut values,
        );
        let read = |device: &str| format!("disk/io_read_bytes resource_id:{device}");
        let write = |device: &str| format!("disk/io_write_bytes resource_id:{device}");
        assert_eq!(pairs(&values), [(read("vda"), 4096), (write("vda"), 8192), (read("8:0"), 1)]);
        values.clear();
        io_v2(
            b"7:1 7:0 254:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n8:0 \n",
            &mut devices,
            &mut values,
        );
        assert_eq!(pairs(&values), [(read("vda"), 512), (write("vda"), 1024)]);
    }
}
