//! Names and values as the line protocol writes them.
//!
//! ```text
//! measurement,key=value,key=value field=1i,field=2.5 1700000000000
//! ```
//! A comma or space in a measurement, and those or an equals sign in a key or tag value, get a
//! backslash. What the protocol cannot say at all is changed: a control character, a line break
//! among them, becomes a space; backslashes at the very end, where they would take the meaning
//! from the comma or space that follows, are left out.

/// Appends a measurement.
pub(super) fn measurement(text: &str, out: &mut Vec<u8>) {
    escape(text, b", ", out);
}

/// Appends a tag key, tag value or field key.
pub(super) fn key(text: &str, out: &mut Vec<u8>) {
    escape(text, b", =", out);
}

/// What is left of a text to write; empty when it cannot be written.
pub(super) fn writable(text: &str) -> &str {
    text.trim_end_matches('\\')
}

fn escape(text: &str, special: &[u8], out: &mut Vec<u8>) {
    for byte in writable(text).bytes() {
        let byte = if byte.is_ascii_control() { b' ' } else { byte };
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, write: fn(&str, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_place_has_its_special_characters() {
        assert_eq!(written("a b,c=d", measurement), "a\\ b\\,c=d");
        assert_eq!(written("a b,c=d", key), "a\\ b\\,c\\=d");
        assert_eq!(written("C:\\dir\\", key), "C:\\dir");
        assert_eq!(written("two\nlines", key), "two\\ lines");
        assert_eq!(written("größe", key), "größe");
        assert_eq!(writable("\\\\"), "");
    }
}
