//! Where the control groups of a machine are: which trees to walk, and which values each has.
//!
//! - **v1**: a tree for each controller, or for several at once (`cpu,cpuacct`).
//! - **v2**: one tree for all.
//! - **hybrid**: v1 trees, and a v2 tree beside them (`unified`) that has no controllers of its
//!   own, or few. Its `cpu.stat` still counts, and systemd makes a group there for units for which
//!   it makes none in the v1 trees, so it is the fallback for what these lack.
//!
//! The mount table says which is the case. A root below which nothing is mounted is judged by its
//! directories: a bind mount of a part of the tree, or a copy of one.

use std::path::Path;

use super::mounts::{Mount, mounts};

/// The generation of the kernel's interface that a tree speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    /// Controllers apart.
    V1,
    /// One unified tree.
    V2,
}

/// What to read in a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reads {
    /// CPU time.
    pub(super) cpu: bool,
    /// Memory.
    pub(super) memory: bool,
    /// Disk I/O.
    pub(super) io: bool,
}

const ALL: Reads = Reads { cpu: true, memory: true, io: true };

/// One tree of control groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tree {
    /// Its mount point, without a `/` at the end.
    pub(super) base: String,
    /// How its files are named.
    pub(super) version: Version,
    /// What its files are read for.
    pub(super) reads: Reads,
}

/// The trees of a machine; for each value the first tree that has it counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Hierarchies {
    /// At most four: CPU, memory, disks, unified.
    pub(super) trees: Vec<Tree>,
    /// Whether only a part of the machine's trees can be seen, as inside a container.
    pub(super) partial: bool,
}

/// The v1 controllers that have values for us.
const CONTROLLERS: [(&str, Reads); 3] = [
    ("cpuacct", Reads { cpu: true, memory: false, io: false }),
    ("memory", Reads { cpu: false, memory: true, io: false }),
    ("blkio", Reads { cpu: false, memory: false, io: true }),
];

impl Hierarchies {
    /// Looks below `root`: first for mounts, then for directories. Where `anywhere` is set, mounts
    /// elsewhere are taken when `root` has nothing.
    pub(super) fn find(root: &Path, mount_table: &[u8], anywhere: bool) -> Self {
        let below =
            Self::from_mounts(mount_table, |mount| Path::new(&*mount.point).starts_with(root));
        if !below.trees.is_empty() {
            return below;
        }
        let by_directories = Self::from_directories(root);
        if !by_directories.trees.is_empty() || !anywhere {
            return by_directories;
        }
        Self::from_mounts(mount_table, |_| true)
    }

    /// `v1`, `v2`, `hybrid`, or nothing where there are no trees.
    pub(super) fn layout(&self) -> Option<&'static str> {
        let has = |version| self.trees.iter().any(|tree| tree.version == version);
        match (has(Version::V1), has(Version::V2)) {
            (true, true) => Some("hybrid"),
            (true, false) => Some("v1"),
            (false, true) => Some("v2"),
            (false, false) => None,
        }
    }

    fn from_mounts(table: &[u8], wanted: impl Fn(&Mount<'_>) -> bool) -> Self {
        let mut found = Self::default();
        let mut unified = None;
        for mount in mounts(table).filter(|mount| wanted(mount)) {
            match mount.kind {
                "cgroup" => {
                    let has = |name: &str| mount.super_options.split(',').any(|word| word == name);
                    for (_, reads) in CONTROLLERS.iter().filter(|(name, _)| has(name)) {
                        found.add_v1(&mount.point, *reads, &*mount.root != "/");
                    }
                }
                "cgroup2" if unified.is_none() => {
                    unified = Some((mount.point.into_owned(), &*mount.root != "/"));
                }
                _ => {}
            }
        }
        if let Some((point, partial)) = unified {
            found.add(&point, Version::V2, ALL);
            found.partial |= partial;
        }
        found
    }

    fn from_directories(root: &Path) -> Self {
        let mut found = Self::default();
        if root.join("cgroup.controllers").is_file() {
            found.add(&root.to_string_lossy(), Version::V2, ALL);
            return found;
        }
        let places = [
            (&["cpuacct", "cpu,cpuacct", "cpuacct,cpu"][..], CONTROLLERS[0].1),
            (&["memory"][..], CONTROLLERS[1].1),
            (&["blkio"][..], CONTROLLERS[2].1),
        ];
        for (names, reads) in places {
            let directory = names.iter().map(|name| root.join(name)).find(|path| path.is_dir());
            if let Some(directory) = directory {
                found.add_v1(&directory.to_string_lossy(), reads, false);
            }
        }
        let unified = root.join("unified");
        if unified.join("cgroup.controllers").is_file() {
            found.add(&unified.to_string_lossy(), Version::V2, ALL);
        }
        found
    }

    /// Adds a v1 tree unless what it is read for is known from another mount already.
    fn add_v1(&mut self, base: &str, reads: Reads, partial: bool) {
        let known = |tree: &Tree| {
            (tree.reads.cpu && reads.cpu)
                || (tree.reads.memory && reads.memory)
                || (tree.reads.io && reads.io)
        };
        if self.trees.iter().any(known) {
            return;
        }
        self.partial |= partial;
        self.add(base, Version::V1, reads);
    }

    fn add(&mut self, base: &str, version: Version, reads: Reads) {
        let base = base.trim_end_matches('/');
        if let Some(tree) = self.trees.iter_mut().find(|tree| tree.base == base) {
            tree.reads.cpu |= reads.cpu;
            tree.reads.memory |= reads.memory;
            tree.reads.io |= reads.io;
            return;
        }
        self.trees.push(Tree { base: base.to_owned(), version, reads });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mount table of a machine with v1 controllers mounted apart, and unified beside them.
    const HYBRID: &[u8] = include_bytes!("../../../testdata/cgroup/mountinfo-hybrid");

    fn bases(found: &Hierarchies) -> Vec<&str> {
        found.trees.iter().map(|tree| tree.base.as_str()).collect()
    }

    #[test]
    fn mounts_below_the_root_decide() {
        let found = Hierarchies::find(Path::new("/sys/fs/cgroup"), HYBRID, true);
        assert_eq!(found.layout(), Some("hybrid"));
        assert_eq!(
            bases(&found),
            [
                "/sys/fs/cgroup/cpuacct",
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup/blkio",
                "/sys/fs/cgroup/unified"
            ]
        );
        assert_eq!(found.trees[1].reads, CONTROLLERS[1].1);
        assert!(!found.partial);
    }

    /// The host's trees that a container has under another path go before its own.
    #[test]
    fn a_root_elsewhere_is_told_from_the_usual_one() {
        let table = b"1 0 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
            2 0 0:29 / /host/sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::find(Path::new("/host/sys/fs/cgroup"), table, false);
        assert_eq!((bases(&found), found.layout()), (vec!["/host/sys/fs/cgroup"], Some("v2")));
        let none = Hierarchies::find(Path::new("/elsewhere"), table, false);
        assert_eq!(none.layout(), None);
        let any = Hierarchies::find(Path::new("/elsewhere"), table, true);
        assert_eq!(bases(&any), ["/sys/fs/cgroup"]);
    }

    /// Controllers that share a mount are one tree; inside a container only a part is seen.
    #[test]
    fn shared_mounts_are_one_tree() {
        let table = b"1 0 0:29 /docker/ab /cg/all rw - cgroup cgroup rw,cpu,cpuacct,memory,blkio\n";
        let found = Hierarchies::find(Path::new("/cg"), table, false);
        assert_eq!(
            found.trees,
            [Tree { base: "/cg/all".into(), version: Version::V1, reads: ALL }]
        );
        assert!(found.partial);
    }

    #[test]
    fn directories_decide_where_nothing_is_mounted() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert_eq!(Hierarchies::find(root, b"", false).layout(), None);
        std::fs::create_dir_all(root.join("cpu,cpuacct")).unwrap();
        std::fs::create_dir_all(root.join("memory")).unwrap();
        let v1 = Hierarchies::find(root, b"", false);
        assert_eq!((v1.trees.len(), v1.layout()), (2, Some("v1")));
        std::fs::create_dir_all(root.join("unified")).unwrap();
        std::fs::write(root.join("unified/cgroup.controllers"), "").unwrap();
        assert_eq!(Hierarchies::find(root, b"", false).layout(), Some("hybrid"));
        std::fs::write(root.join("cgroup.controllers"), "cpu memory io").unwrap();
        assert_eq!(Hierarchies::find(root, b"", false).layout(), Some("v2"));
    }
}
