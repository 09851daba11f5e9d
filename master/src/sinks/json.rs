//! Pieces of JSON, appended to bytes.

use heapster_shared::{row::Cell, schema::ValueType};

/// Appends a text with its quotes.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    // Neither texts nor memory make it fail.
    let _ = serde_json::to_writer(&mut *out, text);
}

/// Appends a name and its colon.
pub(super) fn key(name: &str, out: &mut Vec<u8>) {
    text(name, out);
    out.push(b':');
}

/// Appends `"name":"value"`.
pub(super) fn pair(name: &str, value: &str, out: &mut Vec<u8>) {
    key(name, out);
    text(value, out);
}

/// Appends a number; false, and nothing, for one that JSON does not have: absent or infinite. A
/// double has a fraction even where it is whole, so that readers keep it a double.
pub(super) fn number(cell: Cell, value_type: ValueType, out: &mut Vec<u8>) -> bool {
    match value_type {
        ValueType::Int64 => cell.as_int().is_some_and(|value| {
            integer(value, out);
            true
        }),
        ValueType::Double => {
            cell.as_real().filter(|value| value.is_finite()).is_some_and(|value| {
                out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
                true
            })
        }
    }
}

/// Appends a whole number.
pub(super) fn integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        let written = |cell, value_type| {
            let mut out = Vec::new();
            let written = number(cell, value_type, &mut out);
            (written, String::from_utf8(out).unwrap())
        };
        assert_eq!(written(Cell::int(-5), ValueType::Int64), (true, "-5".into()));
        assert_eq!(written(Cell::real(3.0), ValueType::Double), (true, "3.0".into()));
        assert_eq!(written(Cell::real(1e300), ValueType::Double), (true, "1e300".into()));
        for cell in [Cell::ABSENT, Cell::real(f64::INFINITY)] {
            assert_eq!(written(cell, ValueType::Double), (false, String::new()));
        }
    }
}
