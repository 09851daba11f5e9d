//! Prometheus' text format, line by line and without copies.
//!
//! A kubelet's answers are megabytes of which little is wanted, so a line is cut off and its name
//! compared with that of the line before, and nothing else is looked at until somebody asks.
//! Comments and empty lines are passed over; the types that comments tell are not needed.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::{memchr, memchr2, memrchr};

/// Of a line that is no sample no more is shown than this.
const SHOWN_CHARS: usize = 120;

/// The samples of a text, not looked at yet.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    rest: &'a str,
    number: usize,
    name: &'a str,
}

/// A line that ought to be a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// The metric's name; empty where the line begins with none.
    pub(super) name: &'a str,
    /// It is that of the line before.
    pub(super) is_same_name: bool,
    /// What follows the name.
    rest: &'a str,
    /// The line's place in the text, from 1.
    number: usize,
}

/// What a line says.
#[derive(Clone, Debug)]
pub(super) struct Sample<'a> {
    /// Its labels.
    pub(super) labels: Labels<'a>,
    /// Its value; may be NaN or infinite.
    pub(super) value: f64,
    /// When it was taken, in milliseconds since 1970.
    pub(super) time_ms: Option<i64>,
}

/// The labels of a line, not looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a> {
    rest: &'a str,
}

/// A label; its value as it is written, escapes and all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    pub(super) raw: &'a str,
}

/// The line is no sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed;

/// The samples of a text.
pub(super) const fn lines(text: &str) -> Lines<'_> {
    Lines { rest: text, number: 0, name: "" }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len());
            let line = skip_blanks(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            self.number += 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let same = line.strip_prefix(self.name).filter(|rest| ends_name(rest));
            let is_same_name = same.is_some() && !self.name.is_empty();
            let rest = match same {
                Some(rest) if is_same_name => rest,
                _ => {
                    let end = line.bytes().position(is_name_end).unwrap_or(line.len());
                    self.name = &line[..end];
                    &line[end..]
                }
            };
            return Some(Line { name: self.name, is_same_name, rest, number: self.number });
        }
        None
    }
}

impl<'a> Line<'a> {
    /// What the line says; its labels are looked at when they are asked for.
    ///
    /// # Errors
    /// When it has no value, or more than a value and a time.
    pub(super) fn sample(&self) -> Result<Sample<'a>, Malformed> {
        let (labels, rest) = self.parts()?;
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        let value = number(words.next().ok_or(Malformed)?)?;
        let time = words.next().map(str::parse::<i64>).transpose();
        if self.name.is_empty() || words.next().is_some() {
            return Err(Malformed);
        }
        Ok(Sample { labels, value, time_ms: time.map_err(|_| Malformed)? })
    }

    /// What is between the braces, and what follows them. No number has a brace, so the last one of
    /// the line closes the labels, whatever their values have.
    fn parts(&self) -> Result<(Labels<'a>, &'a str), Malformed> {
        let rest = skip_blanks(self.rest);
        let Some(inner) = rest.strip_prefix('{') else {
            return Ok((Labels { rest: "" }, rest));
        };
        let close = memrchr(b'}', inner.as_bytes()).ok_or(Malformed)?;
        Ok((Labels { rest: &inner[..close] }, &inner[close + 1..]))
    }

    /// Where and what it is, for an error.
    pub(super) fn describe(&self) -> String {
        let text: String = format!("{}{}", self.name, self.rest);
        let shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
        format!("line {}: {shown}", self.number)
    }
}

impl<'a> Labels<'a> {
    /// The next label; none at the end.
    ///
    /// # Errors
    /// When something else than a label comes next.
    #[allow(clippy::should_implement_trait)]
    pub(super) fn next(&mut self) -> Result<Option<Label<'a>>, Malformed> {
        let rest = skip_blanks(self.rest);
        if rest.is_empty() {
            return Ok(None);
        }
        let (name, rest) = rest.split_once('=').ok_or(Malformed)?;
        let name = name.trim_end_matches(BLANKS);
        let rest = skip_blanks(rest).strip_prefix('"').ok_or(Malformed)?;
        let end = closing_quote(rest).ok_or(Malformed)?;
        let behind = skip_blanks(&rest[end + 1..]);
        if !is_label_name(name) {
            return Err(Malformed);
        }
        self.rest = match behind.strip_prefix(',') {
            Some(behind) => behind,
            None if behind.is_empty() => behind,
            None => return Err(Malformed),
        };
        Ok(Some(Label { name, raw: &rest[..end] }))
    }
}

/// The value of a label without escapes. Only three are known; a backslash in front of anything
/// else stands for itself.
pub(super) fn unescaped(raw: &str) -> Cow<'_, str> {
    if memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        let escaped = characters.as_str().chars().next().filter(|_| character == '\\');
        let meant = match escaped {
            Some('n') => '\n',
            Some(itself @ ('\\' | '"')) => itself,
            _ => {
                text.push(character);
                continue;
            }
        };
        characters.next();
        text.push(meant);
    }
    Cow::Owned(text)
}

const BLANKS: [char; 2] = [' ', '\t'];

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}

const fn is_name_end(byte: u8) -> bool {
    matches!(byte, b'{' | b' ' | b'\t')
}

fn ends_name(rest: &str) -> bool {
    rest.bytes().next().is_none_or(is_name_end)
}

fn is_label_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(legal)
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Whole numbers, which most are, are read without rounding anything.
#[allow(clippy::cast_precision_loss)]
fn number(text: &str) -> Result<f64, Malformed> {
    let whole = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole {
        return Ok(text.bytes().fold(0_u64, |n, digit| n * 10 + u64::from(digit - b'0')) as f64);
    }
    text.parse().map_err(|_| Malformed)
}
