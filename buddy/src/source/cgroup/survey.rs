//! What a look round the machine finds, in a sentence for the start of a program.

use std::{collections::BTreeMap, fmt};

use super::{
    hierarchy::Hierarchies,
    recognise::{Kind, recognise},
    walk::walk,
};

/// Numbers of control groups by what they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Survey {
    /// `v1`, `v2` or `hybrid`; `None` where the machine shows no control groups.
    layout: Option<&'static str>,
    /// Whether only a part of the machine's groups can be seen.
    partial: bool,
    groups: usize,
    /// In the order in which they are told.
    by_kind: BTreeMap<(u8, &'static str), usize>,
}

impl Survey {
    /// Counts the groups, reading no more than their names.
    pub(super) fn take(hierarchies: &Hierarchies, max_depth: usize) -> Self {
        let mut survey =
            Self { layout: hierarchies.layout(), partial: hierarchies.partial, ..Self::default() };
        walk(&hierarchies.trees, max_depth, &mut |found| {
            survey.groups += 1;
            *survey.by_kind.entry(word(recognise(found.path).kind)).or_default() += 1;
        });
        survey
    }
}

/// The word for a kind, and its place in the sentence.
fn word(kind: Kind<'_>) -> (u8, &'static str) {
    match kind {
        Kind::Container { runtime: Some(runtime), .. } => (0, runtime.name()),
        Kind::Container { runtime: None, .. } => (1, "containers of other runtimes"),
        Kind::Pod => (2, "pods"),
        Kind::Unit("service") => (3, "systemd services"),
        Kind::Unit("slice") => (4, "systemd slices"),
        Kind::Unit("scope") => (5, "systemd scopes"),
        Kind::Unit(_) => (6, "other systemd units"),
        Kind::Other => (7, "others"),
    }
}

impl fmt::Display for Survey {
    /// `cgroup v1, 23 cgroups: 2 docker, 5 systemd services, 16 others`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(layout) = self.layout else {
            return f.write_str("no cgroups found, only the machine as a whole");
        };
        write!(f, "cgroup {layout}, {} cgroups", self.groups)?;
        for (index, ((_, word), count)) in self.by_kind.iter().enumerate() {
            write!(f, "{} {count} {word}", if index == 0 { ":" } else { "," })?;
        }
        if self.partial {
            f.write_str(
                "; only a part of the machine's cgroups is mounted here: \
                 mount the host's and name the place with root=PATH",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_counts_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let none = Hierarchies::find(directory.path(), b"", false);
        assert!(Survey::take(&none, 32).to_string().starts_with("no cgroups found"));

        std::fs::write(directory.path().join("cgroup.controllers"), "").unwrap();
        let id = "0123456789abcdef".repeat(4);
        for path in [&format!("docker/{id}"), "system.slice/a.service", "system.slice/b.service"] {
            std::fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        let mut found = Hierarchies::find(directory.path(), b"", false);
        let survey = Survey::take(&found, 32).to_string();
        assert_eq!(
            survey,
            "cgroup v2, 5 cgroups: 1 docker, 2 systemd services, 1 systemd slices, 1 others"
        );
        found.partial = true;
        assert!(Survey::take(&found, 32).to_string().contains("root=PATH"));
    }
}
