//! Sorted name-value pairs, in one piece of text that clones share.
//!
//! ```text
//! labels = nothing, or count pair...       sorted by name
//! pair   = name value
//! name   = place in tag::COMMON            or tag::COMMON's length, length, text
//! value  = length, text
//! ```
//!
//! Numbers are digits of six bits, the lowest first, 64 added where more follow: as text each is a
//! character below 128, so that the whole is legal UTF-8 and takes no room for pointers. There are
//! two labels an entity and 100,000 entities in a large cluster.

use std::{fmt, sync::Arc};

use compact_str::CompactString;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::tag;

/// Labels sorted by name, each name once. A clone is the same memory.
///
/// The text lies a step away, so that this is one pointer: there are far more who have labels than
/// there are different ones.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Option<Arc<Box<str>>>);

impl Labels {
    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The pairs in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let mut rest = Rest(self.text());
        let count = if rest.0.is_empty() { 0 } else { rest.number() };
        (0..count).map(move |_| rest.pair())
    }

    fn text(&self) -> &str {
        self.0.as_ref().map_or("", |text| text)
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The labels as one string, `key:value` joined by `separator`: the ancestor's label `labels`.
    #[must_use]
    pub fn joined(&self, separator: &str) -> String {
        let pairs: Vec<String> = self.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        pairs.join(separator)
    }

    /// Memory that the labels take beyond the value itself, in bytes: all of it, however many
    /// clones share it.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let Some(text) = &self.0 else { return 0 };
        // An `Arc` counts who shares it in two numbers before what it holds.
        let counts = 2 * size_of::<usize>();
        counts + size_of::<Box<str>>() + text.len().next_multiple_of(size_of::<usize>())
    }

    /// How many clones share the memory, this one included.
    #[must_use]
    pub fn shared_by(&self) -> usize {
        self.0.as_ref().map_or(1, Arc::strong_count)
    }
}

/// Of two pairs with the same name the later one stays.
impl<N: Into<CompactString>, V: Into<CompactString>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(CompactString, CompactString)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if pairs.is_empty() {
            return Self::default();
        }
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut text = String::with_capacity(8 + 48 * pairs.len());
        put_number(&mut text, pairs.len());
        for (name, value) in &pairs {
            put_name(&mut text, name);
            put_text(&mut text, value);
        }
        Self(Some(Arc::new(text.into_boxed_str())))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn put_number(text: &mut String, mut number: usize) {
    while number >= 64 {
        text.push(char::from(64 | (number % 64) as u8));
        number /= 64;
    }
    text.push(char::from(number as u8));
}

fn put_text(text: &mut String, part: &str) {
    put_number(text, part.len());
    text.push_str(part);
}

fn put_name(text: &mut String, name: &str) {
    let place = tag::COMMON.iter().position(|common| *common == name);
    put_number(text, place.unwrap_or(tag::COMMON.len()));
    if place.is_none() {
        put_text(text, name);
    }
}

/// What of the text is still to be read. The text is always this module's own.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        for (index, byte) in self.0.bytes().enumerate() {
            number |= usize::from(byte & 63) << shift;
            shift += 6;
            if byte < 64 {
                self.0 = &self.0[index + 1..];
                break;
            }
        }
        number
    }

    fn text(&mut self) -> &'a str {
        let length = self.number();
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        text
    }

    fn pair(&mut self) -> (&'a str, &'a str) {
        let place = self.number();
        let name = tag::COMMON.get(place).copied().unwrap_or_else(|| self.text());
        (name, self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_the_later_pair_wins() {
        let labels = Labels::from_iter([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(labels.joined(","), "a:2,b:3");
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels, Labels::from_iter([("a", "2"), ("b", "3")]));
        assert_eq!(format!("{labels:?}"), r#"{"a": "2", "b": "3"}"#);
    }

    /// Whatever the text and its length, known names and unknown ones, what is put in comes out.
    #[test]
    fn any_text_comes_back() {
        let long = "é\0漢".repeat(2_000);
        let values = ["", "x", &"y".repeat(63), &"y".repeat(64), &"y".repeat(4_096), &long];
        for value in values {
            let pairs = [("", value), (tag::LABELS, value), (tag::POD_ID, "1"), (value, "2")];
            let labels = Labels::from_iter(pairs);
            for (name, _) in pairs {
                let last = pairs.iter().rfind(|pair| pair.0 == name);
                assert_eq!(labels.get(name), last.map(|pair| pair.1));
            }
            assert_eq!(labels.iter().len(), labels.iter().count());
            assert!(labels.iter().is_sorted());
        }
        assert_eq!(Labels::default().iter().count(), 0);
        assert_eq!(Labels::default(), Labels::from_iter(Vec::<(String, String)>::new()));
    }

    /// The price of a container's label is its text and three bytes, and once for all who have it
    /// two counters and where the text lies.
    #[test]
    fn a_known_name_takes_one_byte() {
        let labels = Labels::from_iter([(tag::CONTAINER_BASE_IMAGE, "busybox:1.36.1")]);
        assert_eq!(labels.heap_bytes(), 32 + (3 + 14_usize).next_multiple_of(8));
        assert_eq!(labels.clone().shared_by(), 2);
        assert_eq!(size_of_val(&labels), size_of::<usize>());
    }
}
