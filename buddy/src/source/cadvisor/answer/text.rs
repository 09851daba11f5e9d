//! Forms of JSON that the derived decoders would copy, keep without need, or could not read.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use serde::{Deserialize, Deserializer, de};

use super::{Filesystem, Stats};

/// Text that is borrowed unless it has escapes. (A bare `Cow` in an option or a key is copied.)
#[derive(Deserialize, Default, PartialEq, Eq, Hash, Debug)]
#[serde(transparent)]
pub(in super::super) struct Text<'a>(#[serde(borrow)] pub(in super::super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The entries of an object, in its order; none for `null`.
#[derive(PartialEq, Debug)]
pub(in super::super) struct Entries<'a, T>(pub(in super::super) Vec<(Text<'a>, T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<'a, T>(PhantomData<(&'a (), T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> de::Visitor<'de> for EntriesVisitor<'a, T> {
    type Value = Entries<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Entries(Vec::new()))
    }
}

/// The newest sample of a list; none for `null` or an empty list. The others are not kept, and a
/// list of one (which is the rule) takes no allocation.
#[derive(Default, PartialEq, Debug)]
pub(in super::super) struct Newest<'a>(pub(in super::super) Option<Stats<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Newest<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NewestVisitor(PhantomData))
    }
}

struct NewestVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> de::Visitor<'de> for NewestVisitor<'a> {
    type Value = Newest<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of samples")
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let mut newest: Option<Stats<'a>> = None;
        while let Some(stats) = list.next_element::<Stats<'a>>()? {
            if newest.as_ref().is_none_or(|known| known.timestamp <= stats.timestamp) {
                newest = Some(stats);
            }
        }
        Ok(Newest(newest))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Newest(None))
    }
}

/// The filesystems of a container: a list by device, or in v2.1 for all but the machine one sum.
#[derive(PartialEq, Debug)]
pub(in super::super) enum Filesystems<'a> {
    /// By device.
    List(Vec<Filesystem<'a>>),
    /// Over all devices.
    Total {
        /// Bytes in use.
        usage: Option<u64>,
    },
}

#[derive(Deserialize)]
struct Total {
    #[serde(rename = "totalUsageBytes")]
    usage: Option<u64>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Filesystems<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilesystemsVisitor(PhantomData))
    }
}

struct FilesystemsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> de::Visitor<'de> for FilesystemsVisitor<'a> {
    type Value = Filesystems<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of filesystems or their sum")
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, list: S) -> Result<Self::Value, S::Error> {
        let list = de::value::SeqAccessDeserializer::new(list);
        Vec::deserialize(list).map(Filesystems::List)
    }

    fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        let total = Total::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Filesystems::Total { usage: total.usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of each name and value would cost an allocation each, thousands a poll.
    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let json = r#"{"plain":"a","esc\"aped":"b\n"}"#;
        let entries: Entries<'_, Option<Text<'_>>> = serde_json::from_str(json).unwrap();
        let borrowed = |text: &Text<'_>| matches!(text.0, Cow::Borrowed(_));
        assert!(borrowed(&entries.0[0].0) && entries.0[0].1.as_ref().is_some_and(borrowed));
        assert_eq!(&*entries.0[1].0, "esc\"aped");
        assert_eq!(entries.0[1].1.as_deref(), Some("b\n"));
        assert!(serde_json::from_str::<Entries<'_, u32>>("null").unwrap().0.is_empty());
    }
}
