//! The filesystems of the machine's own disks.
//!
//! Only filesystems that are on a block device of this machine are asked: a network filesystem or
//! one that a program serves may hang, and the poll with it. Images that are always full (snaps,
//! CDs) are left out. Each device is asked once, at its shortest mount point, and is named by it:
//! `/dev/sda1`.

use std::{borrow::Cow, sync::Arc};

use heapster_shared::{
    Map,
    entity::Labels,
    row::Cell,
    schema::{Field, MetricId, table},
    tag,
};

use crate::source::cgroup::{
    devices::bytes,
    mounts::{Mount, mounts},
};

const IMAGES: [&str; 5] = ["squashfs", "iso9660", "udf", "erofs", "cramfs"];
/// Filesystems whose source need not be a path below `/dev`.
const POOLS: [&str; 2] = ["zfs", "bcachefs"];

/// A filesystem to ask.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Filesystem<'a> {
    device: Cow<'a, str>,
    mount_point: Cow<'a, str>,
}

/// The filesystems of a mount table that are on disks of this machine, each once, by device.
pub(super) fn local(table: &[u8]) -> Vec<Filesystem<'_>> {
    let mut shortest: Map<(u32, u32), Mount<'_>> = Map::default();
    for mount in mounts(table).filter(is_local) {
        match shortest.get_mut(&mount.device) {
            Some(known) if known.point.len() <= mount.point.len() => {}
            Some(known) => *known = mount,
            None => drop(shortest.insert(mount.device, mount)),
        }
    }
    let mut found: Vec<Filesystem<'_>> = shortest
        .into_values()
        .map(|Mount { source, point, .. }| Filesystem { device: source, mount_point: point })
        .collect();
    found.sort_by(|a, b| a.device.cmp(&b.device));
    found.dedup_by(|later, earlier| later.device == earlier.device);
    found
}

fn is_local(mount: &Mount<'_>) -> bool {
    let on_device = mount.source.starts_with("/dev/") && mount.source != "/dev/fuse";
    let served = mount.kind.starts_with("fuse");
    (on_device && !served && !IMAGES.contains(&mount.kind) && mount.kind != "devtmpfs")
        || POOLS.contains(&mount.kind)
}

/// Adds what the kernel says of a filesystem; nothing where it does not answer or has no blocks.
pub(super) fn measure(filesystem: &Filesystem<'_>, rootfs: &str, values: &mut Vec<(Field, Cell)>) {
    let path = format!("{rootfs}{}", filesystem.mount_point);
    let Ok(answer) = rustix::fs::statvfs(&path) else { return };
    if answer.f_blocks == 0 {
        return;
    }
    let labels = Labels::from_iter([(tag::RESOURCE_ID, &*filesystem.device)]);
    let labels = Arc::new(labels);
    let mut push = |metric: MetricId, value: u64| {
        let field = Field { metric: metric.def().into(), labels: Some(Arc::clone(&labels)) };
        values.push((field, bytes(value)));
    };
    let in_bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
    push(table::FILESYSTEM_USAGE, in_bytes(answer.f_blocks.saturating_sub(answer.f_bfree)));
    push(table::FILESYSTEM_LIMIT, in_bytes(answer.f_blocks));
    push(table::FILESYSTEM_AVAILABLE, in_bytes(answer.f_bavail));
    // Filesystems that make inodes as they need them say 0.
    if answer.f_files > 0 {
        push(table::FILESYSTEM_INODES, answer.f_files);
        push(table::FILESYSTEM_INODES_FREE, answer.f_ffree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Network and served filesystems are never asked, whatever device they name.
    #[test]
    fn only_local_devices_once_each() {
        let table = b"1 0 254:1 /lib/docker /var/lib/docker/x rw - ext4 /dev/vda1 rw\n\
            2 0 254:1 / / rw - ext4 /dev/vda1 rw\n\
            3 0 254:1 /etc/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n\
            4 0 0:50 / /mnt/nfs rw - nfs4 server:/export rw\n\
            5 0 7:3 / /snap/core/1 ro - squashfs /dev/loop3 ro\n\
            6 0 0:5 / /dev rw - devtmpfs udev rw\n\
            7 0 0:60 / /var/lib/docker/overlay2/x rw - overlay overlay rw\n\
            8 0 0:61 / /mnt/usb rw - fuseblk /dev/sdc1 rw\n\
            9 0 0:62 / /tank rw - zfs tank rw\n\
            10 0 0:63 /@ /data rw - btrfs /dev/mapper/data rw\n\
            11 0 0:63 /@home /data/home rw - btrfs /dev/mapper/data rw\n\
            12 0 0:64 / /run rw - tmpfs tmpfs rw\n";
        let found = local(table);
        let names: Vec<(&str, &str)> =
            found.iter().map(|found| (&*found.device, &*found.mount_point)).collect();
        assert_eq!(names, [("/dev/mapper/data", "/data"), ("/dev/vda1", "/"), ("tank", "/tank")]);
    }

    /// The root of the machine that runs the test, against what `statvfs` says of it.
    #[test]
    fn a_real_filesystem_is_measured() {
        let root = Filesystem { device: "/dev/x".into(), mount_point: "/".into() };
        let mut values = Vec::new();
        measure(&root, "", &mut values);
        let get = |name: &str| {
            let found = values.iter().find(|(field, _)| field.metric.name() == name);
            found.map(|(_, cell)| cell.as_int().unwrap())
        };
        let answer = rustix::fs::statvfs("/").unwrap();
        let limit = i64::try_from(answer.f_blocks * answer.f_frsize).unwrap();
        assert_eq!(get("filesystem/limit"), Some(limit));
        assert!(get("filesystem/usage").unwrap() > 0);
        assert!(get("filesystem/usage").unwrap() + get("filesystem/available").unwrap() <= limit);
        assert_eq!(values[0].0.labels.as_ref().unwrap().get("resource_id"), Some("/dev/x"));

        let gone = Filesystem { device: "/dev/x".into(), mount_point: "/no/such/place".into() };
        values.clear();
        measure(&gone, "", &mut values);
        assert!(values.is_empty());
    }
}
