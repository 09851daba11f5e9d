//! Block devices: their names, and the fields that a row has for each.

use heapster_shared::{
    Map,
    row::Cell,
    schema::{Field, table},
};

use super::files::{lines, number, words};

/// Major and minor number.
pub(super) type DeviceNumber = (u32, u32);

const SECTOR_BYTES: u64 = 512;

/// Kinds of devices that have no disk of their own or are made of others, whose bytes would count
/// twice.
const NO_DISKS: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "drbd", "bcache"];

/// The devices that `/proc/diskstats` lists, and those that control groups named beside.
#[derive(Debug, Default)]
pub(super) struct Devices {
    known: Map<DeviceNumber, Device>,
}

#[derive(Debug)]
struct Device {
    name: String,
    /// A disk as a whole, no partition and nothing made of other disks.
    is_disk: bool,
    read: Field,
    write: Field,
}

impl Device {
    fn new(name: &str, is_disk: bool) -> Self {
        let read = Field::resource(table::DISK_IO_READ_BYTES.def(), name);
        let labels = read.labels.clone();
        let write = Field { metric: table::DISK_IO_WRITE_BYTES.def().into(), labels };
        Self { name: name.to_owned(), is_disk, read, write }
    }
}

/// What `/proc/diskstats` says of one device.
struct DiskLine<'a> {
    number: DeviceNumber,
    name: &'a str,
    read_bytes: u64,
    written_bytes: u64,
}

impl Devices {
    /// Takes the names from `/proc/diskstats` and adds what the whole disks have read and written.
    pub(super) fn read_disks(&mut self, diskstats: &[u8], values: &mut Vec<(Field, Cell)>) {
        let disks: Vec<DiskLine<'_>> = lines(diskstats).filter_map(disk_line).collect();
        for line in &disks {
            let stale = self.known.get(&line.number).is_none_or(|device| device.name != line.name);
            if stale {
                let is_disk = is_disk(line.name, &disks);
                self.known.insert(line.number, Device::new(line.name, is_disk));
            }
            let device = &self.known[&line.number];
            if device.is_disk {
                values.push((device.read.clone(), bytes(line.read_bytes)));
                values.push((device.write.clone(), bytes(line.written_bytes)));
            }
        }
        self.known.retain(|number, _| disks.iter().any(|line| line.number == *number));
    }

    /// The field for bytes read from a device; it is named by its number where nothing else is known.
    pub(super) fn read_field(&mut self, number: DeviceNumber) -> Field {
        self.device(number).read.clone()
    }

    /// The field for bytes written to a device.
    pub(super) fn write_field(&mut self, number: DeviceNumber) -> Field {
        self.device(number).write.clone()
    }

    fn device(&mut self, number: DeviceNumber) -> &Device {
        let name = || format!("{}:{}", number.0, number.1);
        self.known.entry(number).or_insert_with(|| Device::new(&name(), false))
    }
}

/// An amount of bytes as a cell; no real one is past the range.
pub(super) fn bytes(amount: u64) -> Cell {
    Cell::int(i64::try_from(amount).unwrap_or(i64::MAX))
}

/// `MAJOR MINOR NAME reads merged SECTORS ms writes merged SECTORS ...`
fn disk_line(line: &[u8]) -> Option<DiskLine<'_>> {
    let mut fields = words(line);
    let major = u32::try_from(number(fields.next()?)?).ok()?;
    let minor = u32::try_from(number(fields.next()?)?).ok()?;
    let name = std::str::from_utf8(fields.next()?).ok()?;
    let read_bytes = number(fields.nth(2)?)?.saturating_mul(SECTOR_BYTES);
    let written_bytes = number(fields.nth(3)?)?.saturating_mul(SECTOR_BYTES);
    Some(DiskLine { number: (major, minor), name, read_bytes, written_bytes })
}

fn is_disk(name: &str, all: &[DiskLine<'_>]) -> bool {
    let digits_follow = |prefix: &&str| {
        name.strip_prefix(*prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let is_partition = all.iter().any(|other| is_partition_of(name, other.name));
    !NO_DISKS.iter().any(digits_follow) && !is_partition
}

/// `sda1` is a partition of `sda`, `nvme0n1p2` of `nvme0n1`; `nvme0n12` is none of `nvme0n1`.
fn is_partition_of(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else { return false };
    let ends_in_digit = disk.ends_with(|c: char| c.is_ascii_digit());
    let digits = if ends_in_digit { rest.strip_prefix('p').unwrap_or_default() } else { rest };
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(values: &[(Field, Cell)]) -> Vec<(String, &str, i64)> {
        let of = |(field, cell): &(Field, Cell)| {
            let labels = field.labels.as_ref().unwrap();
            let name = if field.metric.name() == "disk/io_read_bytes" { "read" } else { "write" };
            (labels.get("resource_id").unwrap().to_owned(), name, cell.as_int().unwrap())
        };
        values.iter().map(of).collect()
    }

    /// Loop devices and device-mapper volumes would count a disk's bytes twice, partitions too.
    #[test]
    fn whole_disks_once_each() {
        let text = "   7       0 loop0 1 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n \
            254       0 vda 143313 29529 12718570 275830 21255 126709 46891456 260860 0 42384 537609 6183 37 457616 894 549 24\n \
            254       1 vda1 1 0 8 0 0 0 0 0 0 0 0\n 253 0 dm-0 9 0 9 0 9 0 9 0 0 0 0\n \
            259 0 nvme0n1 1 0 2 0 3 0 4 0 0 0 0\n 259 1 nvme0n1p1 1 0 2 0 3 0 4 0 0 0 0\n \
            259 2 nvme0n12 1 0 6 0 3 0 8 0 0 0 0\n garbage\n";
        let mut devices = Devices::default();
        let mut values = Vec::new();
        devices.read_disks(text.as_bytes(), &mut values);
        assert_eq!(
            resources(&values),
            [
                ("vda".to_owned(), "read", 12_718_570 * 512),
                ("vda".to_owned(), "write", 46_891_456 * 512),
                ("nvme0n1".to_owned(), "read", 1024),
                ("nvme0n1".to_owned(), "write", 2048),
                ("nvme0n12".to_owned(), "read", 3072),
                ("nvme0n12".to_owned(), "write", 4096),
            ]
        );
    }

    #[test]
    fn devices_go_by_their_names_and_by_numbers_where_none_is_known() {
        let mut devices = Devices::default();
        devices.read_disks(b"8 0 sda 1 0 2 0 3 0 4 0 0 0 0\n", &mut Vec::new());
        let values = [
            (devices.read_field((8, 0)), Cell::int(1)),
            (devices.write_field((9, 9)), Cell::int(2)),
        ];
        let named = resources(&values);
        assert_eq!(named, [("sda".to_owned(), "read", 1), ("9:9".to_owned(), "write", 2)]);
        // The number was given to another disk meanwhile.
        devices.read_disks(b"8 0 sdb 1 0 2 0 3 0 4 0 0 0 0\n", &mut Vec::new());
        assert_eq!(resources(&[(devices.read_field((8, 0)), Cell::int(1))])[0].0, "sdb");
    }
}
