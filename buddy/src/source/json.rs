//! Decoding of JSON answers, with errors that say where.

mod alike;
mod pull;
mod scan;
mod text;
mod time;

use serde::Deserialize;

pub(super) use self::{
    alike::Alike,
    pull::{general, list, once, text},
    scan::Scan,
    text::{Entries, Text},
    time::Timestamp,
};
use super::fetch::FetchError;

/// Longer paths are cut in the middle of nowhere; names of control groups can be very long.
const PATH_CHARS: usize = 200;

/// The document as a value that borrows from it.
///
/// # Errors
/// When it has another form; with line, column and the path to the place.
pub(super) fn decode<'a, T: Deserialize<'a>>(url: &str, text: &'a str) -> Result<T, FetchError> {
    serde_json::from_str(text).map_err(|error| {
        let path = path_at(text, offset(text, error.line(), error.column()));
        FetchError::failed(url, format!("the answer is not as expected: {error}, at {path}"))
    })
}

/// Where a line and column as `serde_json` counts them (from 1, in bytes) are in the text.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column).min(text.len())
}

enum Step<'a> {
    Key(&'a [u8]),
    Index(usize),
}

/// The keys and indices that lead to the value at this offset, such as `$./docker.stats[0].cpu`.
fn path_at(text: &str, offset: usize) -> String {
    let bytes = &text.as_bytes()[..offset];
    let mut steps = Vec::new();
    let mut key_is_next = false;
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], steps.last_mut()) {
            (b'{', _) => {
                steps.push(Step::Key(b""));
                key_is_next = true;
            }
            (b'[', _) => steps.push(Step::Index(0)),
            (b'}' | b']', _) => drop(steps.pop()),
            (b',', Some(Step::Index(index))) => *index += 1,
            (b',', Some(Step::Key(_))) => key_is_next = true,
            (b':', _) => key_is_next = false,
            (b'"', last) => {
                let end = string_end(bytes, at);
                if let (true, Some(Step::Key(key))) = (key_is_next, last) {
                    *key = &bytes[at + 1..end];
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    write_path(&steps)
}

/// Offset of the quote that ends the string which starts at `start`, or of the end of the text.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

fn write_path(steps: &[Step<'_>]) -> String {
    let mut path = "$".to_owned();
    for step in steps {
        match step {
            Step::Key(key) => {
                path.push('.');
                path.push_str(&String::from_utf8_lossy(key));
            }
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path.chars().take(PATH_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    struct Item {
        #[allow(dead_code)]
        count: u32,
    }

    /// The path names the field whose value is wrong, past strings that look like structure.
    #[test]
    fn an_error_says_where() {
        let text = "[{\"x\":\"]},:\\\"\",\"count\":1},\n {\"count\":-7}]";
        let error = decode::<Vec<Item>>("http://h/", text).unwrap_err().to_string();
        assert!(error.contains("line 2 column 12"), "{error}");
        assert!(error.ends_with("at $[1].count"), "{error}");
    }

    #[test]
    fn text_that_is_cut_or_no_json_has_a_place_too() {
        for text in ["", "[{\"cou", "[{\"a\\", "<html>", "{\"a\":[1,2", "}}}"] {
            let error = decode::<Vec<Item>>("http://h/", text).unwrap_err().to_string();
            assert!(error.contains("line") && error.contains("at $"), "{error}");
        }
    }
}
