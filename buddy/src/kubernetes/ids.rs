//! Ids that each pod and each container has, in few bytes.
//!
//! Nearly all of them are lowercase hex digits, and kept as the bytes that these stand for: a
//! container's takes 40 bytes so and none on the heap, where its text would take more than twice as
//! many. What a runtime or server makes of its own is kept as the text that it is.

use std::fmt;

use serde::{Serialize, Serializer};

/// Id of a container in its runtime: mostly 64 hex digits.
pub type ContainerId<T = Box<str>> = HexId<32, false, T>;

/// Uid of a pod in the API server: mostly a UUID.
pub type PodUid<T = Box<str>> = HexId<16, true, T>;

/// A text. Two lowercase hex digits for each of the bytes, with the dashes of a UUID or without any,
/// take these bytes; any other text is held by a `T`. There is one way to keep a text, so equal ids
/// are equal texts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HexId<const BYTES: usize, const DASHED: bool, T = Box<str>>(Kept<BYTES, T>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kept<const BYTES: usize, T> {
    Digits([u8; BYTES]),
    Text(T),
}

/// The bytes of a UUID that have a dash before them.
const DASH_BEFORE: [usize; 4] = [4, 6, 8, 10];
/// Characters of the longest text that is kept as bytes.
const LONGEST: usize = 64;

impl<const BYTES: usize, const DASHED: bool> HexId<BYTES, DASHED> {
    /// The same id without a copy of its text, for a key that is looked up by text.
    #[must_use]
    pub fn borrowed(&self) -> HexId<BYTES, DASHED, &str> {
        HexId(match &self.0 {
            Kept::Digits(bytes) => Kept::Digits(*bytes),
            Kept::Text(text) => Kept::Text(text),
        })
    }
}

impl<const BYTES: usize, const DASHED: bool, T: AsRef<str>> HexId<BYTES, DASHED, T> {
    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Kept::Text(text) if text.as_ref().is_empty())
    }

    /// Shows its text to somebody; that takes no memory of the heap.
    pub fn with_text<R>(&self, look: impl FnOnce(&str) -> R) -> R {
        match &self.0 {
            Kept::Digits(bytes) => look(written::<BYTES, DASHED>(bytes, &mut [0; LONGEST])),
            Kept::Text(text) => look(text.as_ref()),
        }
    }
}

impl<'t, const BYTES: usize, const DASHED: bool, T: From<&'t str>> From<&'t str>
    for HexId<BYTES, DASHED, T>
{
    fn from(text: &'t str) -> Self {
        let bytes = read::<BYTES, DASHED>(text.as_bytes());
        Self(bytes.map_or_else(|| Kept::Text(text.into()), Kept::Digits))
    }
}

impl<const BYTES: usize, const DASHED: bool> Default for HexId<BYTES, DASHED> {
    fn default() -> Self {
        Self::from("")
    }
}

impl<const BYTES: usize, const DASHED: bool, T: AsRef<str>> PartialEq<str>
    for HexId<BYTES, DASHED, T>
{
    fn eq(&self, text: &str) -> bool {
        match &self.0 {
            Kept::Digits(bytes) => read::<BYTES, DASHED>(text.as_bytes()).as_ref() == Some(bytes),
            Kept::Text(own) => own.as_ref() == text,
        }
    }
}

impl<const BYTES: usize, const DASHED: bool, T: AsRef<str>> PartialEq<&str>
    for HexId<BYTES, DASHED, T>
{
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl<const BYTES: usize, const DASHED: bool, T: AsRef<str>> fmt::Display
    for HexId<BYTES, DASHED, T>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl<const BYTES: usize, const DASHED: bool, T: AsRef<str>> fmt::Debug for HexId<BYTES, DASHED, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| fmt::Debug::fmt(text, f))
    }
}

impl<const BYTES: usize, const DASHED: bool, T: AsRef<str>> Serialize for HexId<BYTES, DASHED, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

/// The bytes for which a text stands, if it is exactly what [`written`] makes of them.
fn read<const BYTES: usize, const DASHED: bool>(text: &[u8]) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let mut rest = text;
    for (place, byte) in bytes.iter_mut().enumerate() {
        if DASHED && DASH_BEFORE.contains(&place) {
            rest = rest.strip_prefix(b"-")?;
        }
        let ([high, low], after) = rest.split_first_chunk::<2>()?;
        *byte = value(*high)? << 4 | value(*low)?;
        rest = after;
    }
    rest.is_empty().then_some(bytes)
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The text of these bytes.
fn written<'b, const BYTES: usize, const DASHED: bool>(
    bytes: &[u8; BYTES],
    buffer: &'b mut [u8; LONGEST],
) -> &'b str {
    const { assert!(BYTES * 2 + if DASHED { DASH_BEFORE.len() } else { 0 } <= LONGEST) };
    let mut length = 0;
    let mut push = |character| {
        buffer[length] = character;
        length += 1;
    };
    for (place, byte) in bytes.iter().enumerate() {
        if DASHED && DASH_BEFORE.contains(&place) {
            push(b'-');
        }
        for digit in [byte >> 4, byte & 15] {
            push(b"0123456789abcdef"[usize::from(digit)]);
        }
    }
    str::from_utf8(&buffer[..length]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use proptest::prelude::*;

    use super::*;

    const ID: &str = "00ff8c1e3f0e4a5c9d7e0b4b8c1e3f0e4a5c9d7e0b4b8c1e3f0e4a5c9d7e0abc";
    const UID: &str = "ed87ce48-1a23-4f9d-b7dc-000f00abcdef";

    /// What is usual takes no heap; what is nearly so is kept as it is, to the letter.
    #[test]
    fn only_what_is_usual_is_kept_as_bytes() {
        assert_eq!((size_of::<ContainerId>(), size_of::<PodUid>()), (40, 24));
        assert!(matches!(ContainerId::<Box<str>>::from(ID).0, Kept::Digits(_)));
        assert!(matches!(PodUid::<Box<str>>::from(UID).0, Kept::Digits(_)));
        let id_and_more = format!("{ID}0");
        let others = ["", "abc", UID, &ID.to_uppercase(), &ID[1..], &id_and_more];
        for other in others {
            let id: ContainerId = other.into();
            assert!(matches!(&id.0, Kept::Text(text) if **text == *other), "{id:?}");
        }
        let uid_and_more = format!("{UID}-");
        let misplaced = UID.replacen("8-1", "-81", 1);
        for other in ["", "hash", ID, &UID.to_uppercase(), &UID[1..], &uid_and_more, &misplaced] {
            let uid: PodUid = other.into();
            assert!(matches!(&uid.0, Kept::Text(text) if **text == *other), "{uid:?}");
        }
        assert!(ContainerId::<Box<str>>::default().is_empty());
        assert!(!ContainerId::<&str>::from(ID).is_empty());
    }

    /// Texts that are ids, texts that are not, and texts that are but for one character.
    fn texts() -> impl Strategy<Value = String> {
        const A_UUID: &str = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
        let usual = || prop_oneof!["[0-9a-f]{64}", A_UUID];
        let with_another = |(text, place, other): (String, usize, char)| {
            let place = place % text.len();
            let with_other = |(at, own)| if at == place { other } else { own };
            text.chars().enumerate().map(with_other).collect()
        };
        let others = prop_oneof![any::<char>(), proptest::char::range('A', 'g'), Just('-')];
        prop_oneof![
            usual(),
            (usual(), any::<usize>(), others).prop_map(with_another),
            "[0-9a-f]{0,70}",
            "[0-9a-fA-F]{64}",
            "[0-9a-f-]{36}",
            any::<String>(),
        ]
    }

    fn check<const BYTES: usize, const DASHED: bool>(text: &str, other: &str) {
        let id: HexId<BYTES, DASHED> = text.into();
        let other_id: HexId<BYTES, DASHED> = other.into();
        let hasher = RandomState::new();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_value(&id).unwrap(), text);
        assert_eq!(format!("{id:?}"), format!("{text:?}"));
        assert!(id == text && id.is_empty() == text.is_empty());
        assert_eq!((id == other, id == other_id), (text == other, text == other));
        let looked_up = HexId::<BYTES, DASHED, &str>::from(text);
        assert!(
            looked_up == id.borrowed() && (looked_up == other_id.borrowed()) == (text == other)
        );
        assert_eq!(hasher.hash_one(looked_up), hasher.hash_one(id.borrowed()));
    }

    proptest! {
        /// An id is its text, in whatever way it is kept.
        #[test]
        fn an_id_is_its_text(text in texts(), other in texts()) {
            for other in [&other, &text] {
                check::<32, false>(&text, other);
                check::<16, true>(&text, other);
            }
        }
    }
}
