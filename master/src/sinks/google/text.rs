//! Names and values as Google takes them.

use std::io::Write as _;

/// The longest label key and value, and the longest metric type.
const KEY_CHARS: usize = 100;
const VALUE_BYTES: usize = 1024;
const TYPE_CHARS: usize = 200;

/// Appends a text in quotes.
pub(super) fn quoted(text: &str, out: &mut Vec<u8>) {
    // Neither a text nor a vector can fail here.
    let _ = serde_json::to_writer(out, text);
}

/// Appends `"key":"value"` with a comma in front where there is something before it.
pub(super) fn pair(key: &str, value: &str, out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"{") {
        out.push(b',');
    }
    quoted(key, out);
    out.push(b':');
    quoted(cut(value, VALUE_BYTES), out);
}

/// A label's name as a key: it begins with a letter, and has letters, digits and underscores.
pub(super) fn key(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let mut key: String = plain.take(KEY_CHARS).collect();
    if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
        key.insert_str(0, "label_");
        key.truncate(KEY_CHARS);
    }
    key
}

/// The type of a custom metric.
pub(super) fn custom_type(metric: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    let plain = metric.chars().map(|c| if legal(c) { c } else { '_' });
    "custom.googleapis.com/kubernetes.io/".chars().chain(plain).take(TYPE_CHARS).collect()
}

/// The beginning of a text, of whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A time in milliseconds since 1970 as RFC 3339.
pub(super) fn time(unix_ms: i64, out: &mut Vec<u8>) {
    out.clear();
    if let Ok(time) = jiff::Timestamp::from_millisecond(unix_ms) {
        let _ = write!(out, "{time}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_made_legal() {
        assert_eq!(key("app.kubernetes.io/name"), "app_kubernetes_io_name");
        assert_eq!(key("9lives"), "label_9lives");
        assert_eq!(key("größe"), "gr__e");
        assert_eq!(key(&"a".repeat(300)).len(), KEY_CHARS);
        assert_eq!(
            custom_type("custom/queue:length"),
            "custom.googleapis.com/kubernetes.io/custom/queue_length"
        );
        assert_eq!(custom_type(&"x".repeat(500)).len(), TYPE_CHARS);
        assert_eq!(cut("größe", 3), "gr");
    }

    #[test]
    fn times_are_rfc_3339() {
        let mut out = b"before".to_vec();
        time(1_795_345_201_234, &mut out);
        assert_eq!(out, b"2026-11-22T11:00:01.234Z");
    }

    proptest! {
        /// Whatever stands in a label, an independent reader reads the same.
        #[test]
        fn pairs_read_back(name in ".{0,12}", value in "[\\PC\"\\\\\n\u{0}\u{e4}]{0,20}") {
            let mut out = b"{".to_vec();
            pair(&key(&name), &value, &mut out);
            out.push(b'}');
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read[key(&name)].as_str(), Some(value.as_str()));
        }
    }
}
