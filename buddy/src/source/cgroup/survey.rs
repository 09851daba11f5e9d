//! What a look round the machine finds, in a sentence for the start of a program.

use std::{collections::BTreeMap, fmt};

use super::{
    hierarchy::Hierarchies,
    recognise::{Kind, recognise},
    walk::walk,
};

/// A place in the sentence, and what one and several of a kind are called.
type Word = (u8, &'static str, &'static str);

/// Numbers of control groups by what they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Survey {
    /// `v1`, `v2` or `hybrid`; `None` where the machine shows no control groups.
    layout: Option<&'static str>,
    /// Whether only a part of the machine's groups can be seen.
    partial: bool,
    groups: usize,
    /// In the order in which they are told.
    by_kind: BTreeMap<Word, usize>,
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

fn word(kind: Kind<'_>) -> Word {
    match kind {
        Kind::Container { runtime: Some(runtime), .. } => (0, runtime.name(), runtime.name()),
        Kind::Container { runtime: None, .. } => (1, "other container", "other containers"),
        Kind::Pod => (2, "pod", "pods"),
        Kind::Unit("service") => (3, "systemd service", "systemd services"),
        Kind::Unit("slice") => (4, "systemd slice", "systemd slices"),
        Kind::Unit("scope") => (5, "systemd scope", "systemd scopes"),
        Kind::Unit(_) => (6, "other systemd unit", "other systemd units"),
        Kind::Other => (7, "other", "others"),
    }
}

impl fmt::Display for Survey {
    /// `cgroup v1, 23 cgroups: 2 docker, 5 systemd services, 16 others`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(layout) = self.layout else {
            return f.write_str("no cgroups found, only the machine as a whole");
        };
        let noun = if self.groups == 1 { "cgroup" } else { "cgroups" };
        write!(f, "cgroup {layout}, {} {noun}", self.groups)?;
        for (index, ((_, one, several), count)) in self.by_kind.iter().enumerate() {
            let separator = if index == 0 { ":" } else { "," };
            write!(f, "{separator} {count} {}", if *count == 1 { one } else { several })?;
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
            "cgroup v2, 5 cgroups: 1 docker, 2 systemd services, 1 systemd slice, 1 other"
        );
        found.partial = true;
        assert!(Survey::take(&found, 32).to_string().contains("root=PATH"));
    }
}
