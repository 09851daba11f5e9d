//! Forms of JSON that the derived decoders would copy, keep without need, or could not read.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};

use super::{Filesystem, Stats};

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
