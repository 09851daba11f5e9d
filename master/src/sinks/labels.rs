//! Which labels a sink writes, and under which names: options that every sink has, and that every
//! sink asks when it writes a label.

use heapster_shared::{Map, entity::Entity, glob::Glob, tag};

/// The tag that names the cluster of a row, as in the ancestor.
pub(super) const CLUSTER_NAME: &str = "cluster_name";

/// What `drop_labels` and `rename_labels` say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelRules {
    dropped: Vec<Glob>,
    renamed: Map<String, String>,
}

impl LabelRules {
    /// Reads `GLOB,GLOB` of what is to be left out, and `FROM:TO,FROM:TO` of what is to be called
    /// otherwise.
    ///
    /// # Errors
    /// A sentence with the part that is wrong.
    pub fn new(dropped: &str, renamed: &str) -> Result<Self, String> {
        let dropped = parts(dropped).map(Glob::new).collect();
        let mut names: Map<String, String> = Map::default();
        for pair in parts(renamed) {
            let (from, to) = pair
                .split_once(':')
                .filter(|(from, to)| !from.is_empty() && !to.is_empty())
                .ok_or_else(|| {
                    format!("rename_labels: `{pair}` is not like namespace_name:namespace")
                })?;
            if names.insert(from.to_owned(), to.to_owned()).is_some() {
                return Err(format!("rename_labels has `{from}` twice"));
            }
        }
        Ok(Self { dropped, renamed: names })
    }

    /// What a label is to be called; `None` when it is to be left out.
    #[must_use]
    pub fn name<'a>(&'a self, label: &'a str) -> Option<&'a str> {
        if self.dropped.iter().any(|glob| glob.matches(label)) {
            return None;
        }
        Some(self.renamed.get(label).map_or(label, String::as_str))
    }

    /// Calls `visit` with each tag that a row of this entity is to have: the cluster's name, then as
    /// [`tag::visit`], less what is dropped, under the names that are wanted.
    pub fn visit<'a>(
        &'a self,
        cluster: &'a str,
        entity: &'a Entity,
        mut visit: impl FnMut(&'a str, &'a str),
    ) {
        let mut named = |label, value| {
            if let Some(name) = self.name(label) {
                visit(name, value);
            }
        };
        if !cluster.is_empty() {
            named(CLUSTER_NAME, cluster);
        }
        tag::visit(entity, named);
    }
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use heapster_shared::entity::{Definition, EntityTable, Labels, Level};

    use super::*;

    fn pod() -> std::sync::Arc<Entity> {
        let labels = [(tag::NAMESPACE_NAME, "default"), (tag::LABELS, "app:web")];
        EntityTable::default().intern(Definition {
            parent: None,
            level: Level::Pod,
            name: "web-1".into(),
            uid: "uid-1".into(),
            start_time_ms: 0,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    }

    fn visited(dropped: &str, renamed: &str) -> Vec<String> {
        let rules = LabelRules::new(dropped, renamed).unwrap();
        let mut tags = Vec::new();
        rules.visit("lab", &pod(), |name, value| tags.push(format!("{name}={value}")));
        tags.sort();
        tags
    }

    #[test]
    fn labels_are_left_out_and_called_otherwise() {
        let all = [
            "cluster_name=lab",
            "labels=app:web",
            "namespace_name=default",
            "pod_id=uid-1",
            "pod_name=web-1",
            "type=pod",
        ];
        assert_eq!(visited("", ""), all);
        let some = ["cluster=lab", "ns=default", "pod_name=web-1", "type=pod"];
        assert_eq!(visited("*_id, labels", "cluster_name:cluster,namespace_name:ns"), some);
    }

    #[test]
    fn rules_that_say_nothing_are_refused() {
        for (dropped, renamed, expected) in [
            ("", "a", "`a` is not like"),
            ("", "a:", "`a:` is not like"),
            ("", "a:b,a:c", "`a` twice"),
        ] {
            let error = LabelRules::new(dropped, renamed).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
