//! Text and objects of JSON without copies.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use serde::{Deserialize, Deserializer, de};

/// Text that is borrowed unless it has escapes. (A bare `Cow` in an option or a key is copied.)
#[derive(Deserialize, Default, PartialEq, Eq, Hash, Debug)]
#[serde(transparent)]
pub(in crate::source) struct Text<'a>(#[serde(borrow)] pub(in crate::source) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The entries of an object, in its order; none for `null`.
#[derive(PartialEq, Debug)]
pub(in crate::source) struct Entries<'a, T>(pub(in crate::source) Vec<(Text<'a>, T)>);

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
