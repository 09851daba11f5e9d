//! Finds every control group, in all trees at once: a group is one path, in whichever trees it is.
//!
//! Directories of control groups have as many links as sub-directories and two more, so one without
//! children is not listed; that leaves one `stat` a group and tree.

use std::{fs, os::unix::fs::MetadataExt};

use super::hierarchy::Tree;

/// A set of trees by their place in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TreeSet(u8);

impl TreeSet {
    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    /// Whether the tree at this place is in the set.
    pub(super) const fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    /// The trees of the set.
    pub(super) fn of(self, trees: &[Tree]) -> impl Iterator<Item = &Tree> {
        trees
            .iter()
            .enumerate()
            .filter(move |(index, _)| self.contains(*index))
            .map(|(_, tree)| tree)
    }
}

/// A control group that is there.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Its path within the trees, with the leading `/`.
    pub(super) path: &'a str,
    /// The trees that have it.
    pub(super) trees: TreeSet,
    /// Tells it from an earlier group of the same path: the kernel does not use these again soon.
    pub(super) inode: u64,
    /// The earliest time that its directories carry, in milliseconds since 1970.
    pub(super) directory_time_ms: i64,
}

/// Calls `visit` for every group but the root, parents before their children. Groups that go away
/// meanwhile are left out, as are those whose names are no UTF-8.
pub(super) fn walk(trees: &[Tree], max_depth: usize, visit: &mut dyn FnMut(&Found<'_>)) {
    let mut everywhere = TreeSet::default();
    (0..trees.len()).for_each(|index| everywhere.insert(index));
    let mut walk = Walk { trees, visit, path: String::new(), full_path: String::new() };
    walk.descend(everywhere, max_depth);
}

struct Walk<'a, 'v> {
    trees: &'a [Tree],
    visit: &'v mut dyn FnMut(&Found<'_>),
    path: String,
    full_path: String,
}

impl Walk<'_, '_> {
    fn descend(&mut self, listed: TreeSet, depth_left: usize) {
        if depth_left == 0 {
            return;
        }
        let length = self.path.len();
        for (name, present) in self.children(listed) {
            self.path.push('/');
            self.path.push_str(&name);
            let with_children = self.enter(present);
            if with_children != TreeSet::default() {
                self.descend(with_children, depth_left - 1);
            }
            self.path.truncate(length);
        }
    }

    /// Visits the group at the current path and tells in which trees it may have children.
    fn enter(&mut self, listed: TreeSet) -> TreeSet {
        let mut with_children = TreeSet::default();
        let mut present = TreeSet::default();
        let mut inode = 0;
        let mut directory_time_ms = i64::MAX;
        for (index, tree) in self.trees.iter().enumerate() {
            if !listed.contains(index) {
                continue;
            }
            set_path(&mut self.full_path, tree, &self.path);
            let Ok(metadata) = fs::symlink_metadata(&self.full_path) else { continue };
            if present == TreeSet::default() {
                inode = metadata.ino();
            }
            present.insert(index);
            let time_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
            directory_time_ms = directory_time_ms.min(time_ms);
            if metadata.nlink() != 2 {
                with_children.insert(index);
            }
        }
        if present != TreeSet::default() {
            let path = &self.path;
            (self.visit)(&Found { path, trees: present, inode, directory_time_ms });
        }
        with_children
    }

    /// Names of the sub-directories of the current path, each with the trees that have it.
    fn children(&mut self, listed: TreeSet) -> Vec<(String, TreeSet)> {
        let mut children: Vec<(String, TreeSet)> = Vec::new();
        for (index, tree) in self.trees.iter().enumerate() {
            if !listed.contains(index) {
                continue;
            }
            set_path(&mut self.full_path, tree, &self.path);
            let Ok(entries) = fs::read_dir(&self.full_path) else { continue };
            let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|t| t.is_dir());
            for entry in entries.flatten().filter(is_directory) {
                if let Ok(name) = entry.file_name().into_string() {
                    let mut trees = TreeSet::default();
                    trees.insert(index);
                    children.push((name, trees));
                }
            }
        }
        children.sort_by(|a, b| a.0.cmp(&b.0));
        children.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1.0 |= later.1.0;
            }
            same
        });
        children
    }
}

fn set_path(full_path: &mut String, tree: &Tree, path: &str) {
    full_path.clear();
    full_path.push_str(&tree.base);
    full_path.push_str(path);
    if full_path.is_empty() {
        full_path.push('/');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cgroup::hierarchy::{Hierarchies, Version};

    fn found(trees: &[Tree], max_depth: usize) -> Vec<(String, Vec<usize>)> {
        let mut found = Vec::new();
        walk(trees, max_depth, &mut |group| {
            assert!(group.inode != 0 && group.directory_time_ms < i64::MAX);
            let places = (0..trees.len()).filter(|index| group.trees.contains(*index)).collect();
            found.push((group.path.to_owned(), places));
        });
        found
    }

    /// A group that is in one tree only is found as well as one that is in all.
    #[test]
    fn paths_of_all_trees_are_joined() {
        let directory = tempfile::tempdir().unwrap();
        let make = |path: &str| std::fs::create_dir_all(directory.path().join(path)).unwrap();
        make("cpuacct/system.slice/ssh.service");
        make("cpuacct/docker");
        make("memory/system.slice/cron.service");
        make("blkio");
        std::fs::write(directory.path().join("memory/tasks"), "1\n").unwrap();
        let trees = Hierarchies::find(directory.path(), b"", false).trees;
        assert!(trees.iter().all(|tree| tree.version == Version::V1) && trees.len() == 3);

        let all = |path: &str, places: &[usize]| (path.to_owned(), places.to_vec());
        let everything = [
            all("/docker", &[0]),
            all("/system.slice", &[0, 1]),
            all("/system.slice/cron.service", &[1]),
            all("/system.slice/ssh.service", &[0]),
        ];
        assert_eq!(found(&trees, 32), everything);
        assert_eq!(found(&trees, 1), everything[..2]);
        assert_eq!(found(&[], 32), []);
    }
}
