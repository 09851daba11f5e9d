//! The API server's objects as far as they are read.
//!
//! A pod of the API server is 5 to 20 KB of JSON, most of which nobody here asks for: whole objects
//! are never built, and what is not named in these types is skipped while the text is read. Nothing
//! in them is required, so that what an old or strange server leaves out costs no list.

mod event;
mod node;
mod pod;

use std::fmt;

use compact_str::CompactString;
use heapster_shared::entity::Labels;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};

use super::{model::Amounts, quantity};

pub(super) use self::{event::EventObject, node::NodeObject, pod::PodObject};

/// A kind of object, as the watch needs to know it.
pub(super) trait Object: DeserializeOwned + Clone + Send + Sync + 'static {
    /// The path of the collection over all namespaces.
    const PATH: &'static str;
    /// The resource's name: the last part of the path.
    const RESOURCE: &'static str;
    /// The field that names the node of an object, for what belongs to one.
    const NODE_FIELD: Option<&'static str> = None;

    /// What every object has.
    fn metadata(&self) -> &Metadata;
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound = "T: Object")]
pub(super) struct Page<T> {
    #[serde(default)]
    pub(super) metadata: PageMetadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) items: Vec<T>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PageMetadata {
    pub(super) resource_version: String,
    /// Names the next page; empty at the last one.
    #[serde(rename = "continue")]
    pub(super) next: String,
}

/// What every object has.
#[derive(Deserialize, Clone, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: CompactString,
    pub(super) namespace: CompactString,
    pub(super) uid: CompactString,
    pub(super) resource_version: CompactString,
    pub(super) labels: LabelPairs,
    pub(super) annotations: Annotations,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<OwnerReference>,
    pub(super) creation_timestamp: UnixMs,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub(super) struct OwnerReference {
    pub(super) kind: CompactString,
    pub(super) name: CompactString,
    pub(super) controller: bool,
}

/// A namespace.
#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub(super) struct NamespaceObject {
    pub(super) metadata: Metadata,
}

impl Object for NamespaceObject {
    const PATH: &'static str = "/api/v1/namespaces";
    const RESOURCE: &'static str = "namespaces";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// `null` as what is not there.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A time, in milliseconds since 1970; 0 for none.
#[derive(Clone, Copy, Default)]
pub(super) struct UnixMs(pub(super) i64);

impl<'de> Deserialize<'de> for UnixMs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let time = text.0.parse::<jiff::Timestamp>();
        Ok(Self(time.map_or(0, jiff::Timestamp::as_millisecond)))
    }
}

/// A string, a number as one, or nothing.
#[derive(Default)]
struct Text(CompactString);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(compact_str::format_compact!("{number}")))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(compact_str::format_compact!("{number}")))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(compact_str::format_compact!("{number}")))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }
}

/// Reads an object's members one by one into a value, for maps of which little is kept.
macro_rules! read_members {
    ($type:ty, |$value:ident, $map:ident, $key:ident| $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> Visitor<'de> for Members {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<M: MapAccess<'de>>(self, mut $map: M) -> Result<$type, M::Error> {
                        let mut $value = <$type>::default();
                        while let Some($key) = $map.next_key::<CompactString>()? {
                            $read;
                        }
                        Ok($value)
                    }

                    fn visit_unit<E>(self) -> Result<$type, E> {
                        Ok(<$type>::default())
                    }
                }
                deserializer.deserialize_any(Members)
            }
        }
    };
}

/// Labels in the order in which they come.
#[derive(Clone, Default)]
pub(super) struct LabelPairs(Vec<(CompactString, CompactString)>);

read_members!(LabelPairs, |pairs, map, key| pairs.0.push((key, map.next_value::<Text>()?.0)));

impl LabelPairs {
    /// Sorted.
    pub(super) fn into_labels(self) -> Labels {
        self.0.into_iter().collect()
    }
}

/// The only annotation that is read.
#[derive(Clone, Default)]
pub(super) struct Annotations {
    /// Of mirrors of static pods: the uid that the kubelet gave to the pod itself.
    pub(super) config_mirror: Option<Box<str>>,
}

read_members!(Annotations, |annotations, map, key| match key.as_str() {
    "kubernetes.io/config.mirror" => {
        annotations.config_mirror = Some(map.next_value::<Text>()?.0.as_str().into());
    }
    _ => drop(map.next_value::<IgnoredAny>()?),
});

read_members!(Amounts, |amounts, map, key| match key.as_str() {
    "cpu" => amounts.cpu_millicores = quantity::millis(&map.next_value::<Text>()?.0),
    "memory" => amounts.memory_bytes = quantity::units(&map.next_value::<Text>()?.0),
    "ephemeral-storage" => {
        amounts.ephemeral_storage_bytes = quantity::units(&map.next_value::<Text>()?.0);
    }
    _ => drop(map.next_value::<IgnoredAny>()?),
});
