//! Lists of patterns as options have them.

use heapster_shared::{entity::Level, glob::Glob};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Names with `*` for any part, separated by commas.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Globs(Vec<Glob>);

impl Globs {
    /// Whether it has none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them means this name.
    pub(super) fn mean(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(name))
    }
}

/// Levels by their names in the label `type`, separated by commas.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Levels(Vec<Level>);

impl Levels {
    /// Whether it has none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, level: Level) -> bool {
        self.0.contains(&level)
    }
}

/// `NAME:GLOB` of labels, separated by commas. The same name may come several times.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelGlobs(Vec<LabelGlob>);

/// What is said of one label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LabelGlob {
    /// Its name.
    pub(super) name: String,
    /// Any of these.
    pub(super) values: Globs,
}

impl LabelGlobs {
    /// What is said of each label, each once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &LabelGlob> {
        self.0.iter()
    }
}

const LEVELS: [Level; 6] = [
    Level::Cluster,
    Level::Namespace,
    Level::Node,
    Level::Pod,
    Level::PodContainer,
    Level::SysContainer,
];

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl From<&str> for Globs {
    fn from(list: &str) -> Self {
        Self(parts(list).map(Glob::new).collect())
    }
}

impl TryFrom<&str> for Levels {
    type Error = String;

    fn try_from(list: &str) -> Result<Self, String> {
        let level = |name: &str| {
            LEVELS.into_iter().find(|level| level.label() == name).ok_or_else(|| {
                let known: Vec<&str> = LEVELS.iter().map(|level| level.label()).collect();
                format!("`{name}` is no level; the levels are {}", known.join(", "))
            })
        };
        parts(list).map(level).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<&str> for LabelGlobs {
    type Error = String;

    fn try_from(list: &str) -> Result<Self, String> {
        let mut labels: Vec<LabelGlob> = Vec::new();
        for part in parts(list) {
            let pair = part.split_once(':').filter(|(name, _)| !name.is_empty());
            let (name, value) = pair.ok_or_else(|| {
                format!("`{part}` says nothing of a label: write NAME:VALUE, as app:web*")
            })?;
            let value = Glob::new(value);
            match labels.iter_mut().find(|label| label.name == name) {
                Some(label) => label.values.0.push(value),
                None => {
                    let values = Globs(vec![value]);
                    labels.push(LabelGlob { name: name.to_owned(), values });
                }
            }
        }
        Ok(Self(labels))
    }
}

impl<'de> Deserialize<'de> for Globs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|list| list.as_str().into())
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.as_str().try_into().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for LabelGlobs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.as_str().try_into().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_leniently_and_wrong_words_named() {
        let globs = Globs::from(" cpu/*, ,uptime");
        assert!(globs.mean("cpu/usage") && globs.mean("uptime") && !globs.mean("memory/usage"));
        let levels = Levels::try_from("node,ns").unwrap();
        assert!(levels.has(Level::Namespace) && !levels.has(Level::Pod));
        let error = Levels::try_from("node,namespace").unwrap_err();
        assert!(error.contains("`namespace`") && error.contains("pod_container"), "{error}");
        let error = LabelGlobs::try_from("app:web,tier").unwrap_err();
        assert!(error.contains("`tier`"), "{error}");
    }

    /// A value may have colons: the first one ends the name.
    #[test]
    fn a_label_named_twice_may_have_either_value() {
        let labels = LabelGlobs::try_from("app:web*,image:h:5000/x,app:api").unwrap();
        let all: Vec<_> = labels.iter().collect();
        assert_eq!((all.len(), all[0].name.as_str(), all[1].name.as_str()), (2, "app", "image"));
        assert!(all[0].values.mean("web-1") && all[0].values.mean("api"));
        assert!(all[1].values.mean("h:5000/x"));
    }
}
