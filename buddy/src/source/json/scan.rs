//! Reads JSON token by token, the way machines write it: compact, or indented.
//!
//! A value is read from its first byte on; the white space in front of it is behind whoever reads
//! what contains it. `None` stands for whatever is not expected: another form, a text that is no JSON, or a rare form
//! that is not worth code here. Nothing is accepted that `serde_json` would refuse.

mod words;

/// Deeper than this nothing is skipped.
const MOST_DEPTH: u32 = 64;
/// Digits that fit into 64 bits whatever they are.
const SAFE_DIGITS: usize = 19;

/// Where reading has come to.
#[derive(Clone)]
pub(in crate::source) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// At the beginning of a text.
    pub(in crate::source) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The rest of the text.
    pub(in crate::source) fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Goes on behind so many bytes.
    pub(in crate::source) fn advance(&mut self, bytes: usize) -> Option<()> {
        self.at = self.at.checked_add(bytes).filter(|at| *at <= self.text.len())?;
        Some(())
    }

    /// Nothing but white space is left.
    pub(in crate::source) fn end(&self) -> Option<()> {
        let mut scan = self.clone();
        scan.white();
        scan.rest().is_empty().then_some(())
    }

    /// The byte that comes next.
    pub(in crate::source) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes on behind white space.
    #[inline]
    pub(in crate::source) fn white(&mut self) {
        if matches!(self.peek(), Some(..=b' ')) {
            self.at += words::line_break(self.rest());
            self.more_white();
        }
    }

    /// What white space is left behind a line break and its indentation: most often none.
    #[inline]
    fn more_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    /// These bytes.
    #[inline]
    pub(in crate::source) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest().starts_with(literal).then(|| self.at += literal.len())
    }

    /// A string without escapes.
    pub(in crate::source) fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let end = start + words::plain(self.rest());
        self.at = end;
        self.expect(b'"')?;
        self.text.get(start..end)
    }

    /// An unsigned integer without sign, fraction and exponent.
    pub(in crate::source) fn number(&mut self) -> Option<u64> {
        let rest = self.rest();
        let (digits, value) = words::digits(rest);
        let leading_zero = digits > 1 && rest[0] == b'0';
        let goes_on = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        if digits == 0 || digits > SAFE_DIGITS || leading_zero || goes_on {
            return None;
        }
        self.at += digits;
        Some(value)
    }

    /// `true` or `false`.
    pub(in crate::source) fn boolean(&mut self) -> Option<bool> {
        let value = self.peek()? == b't';
        self.literal(if value { b"true" } else { b"false" })?;
        Some(value)
    }

    /// An object; `member` is given each key and reads its value.
    #[inline]
    pub(in crate::source) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        self.white();
        if self.peek()? == b'}' {
            return self.advance(1);
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            self.white();
            match self.take()? {
                b',' => self.white(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A key, and what stands between it and its value.
    #[inline]
    pub(in crate::source) fn key(&mut self) -> Option<&'a str> {
        let key = self.string()?;
        self.colon()?;
        Some(key)
    }

    /// What stands between a key and its value.
    #[inline]
    fn colon(&mut self) -> Option<()> {
        self.white();
        self.expect(b':')?;
        self.more_white();
        Some(())
    }

    /// A list; `item` reads each value.
    #[inline]
    pub(in crate::source) fn list(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'[')?;
        self.white();
        if self.peek()? == b']' {
            return self.advance(1);
        }
        loop {
            item(self)?;
            self.white();
            match self.take()? {
                b',' => self.white(),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Any value, as it is written.
    pub(in crate::source) fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.skip()?;
        self.text.get(start..self.at)
    }

    /// Goes on behind any value.
    pub(in crate::source) fn skip(&mut self) -> Option<()> {
        self.skip_within(MOST_DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' => {
                let depth = depth.checked_sub(1)?;
                self.skip_items(b'}', |scan| {
                    scan.skip_string()?;
                    scan.colon()?;
                    scan.skip_within(depth)
                })
            }
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.skip_items(b']', |scan| scan.skip_within(depth))
            }
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.skip_number(),
        }
    }

    fn skip_items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.advance(1)?;
        self.white();
        if self.peek()? == close {
            return self.advance(1);
        }
        loop {
            item(self)?;
            self.white();
            match self.take()? {
                b',' => self.white(),
                byte => return (byte == close).then_some(()),
            }
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.at += words::plain(self.rest());
            match self.take()? {
                b'"' => return Some(()),
                b'\\' => self.skip_escape()?,
                _ => return None,
            }
        }
    }

    fn skip_escape(&mut self) -> Option<()> {
        match self.take()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.rest().get(..4)?;
                digits.iter().all(u8::is_ascii_hexdigit).then(|| self.at += 4)
            }
            _ => None,
        }
    }

    fn skip_number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek()?;
        let digits = self.skip_digits();
        if digits == 0 || first == b'0' && digits > 1 {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            (self.skip_digits() > 0).then_some(())?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            (self.skip_digits() > 0).then_some(())?;
        }
        Some(())
    }

    fn skip_digits(&mut self) -> usize {
        let digits = words::digits(self.rest()).0;
        self.at += digits;
        digits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn skipped(text: &str) -> bool {
        let mut scan = Scan::new(text);
        scan.skip().and_then(|()| scan.end()).is_some()
    }

    /// What is skipped is JSON, and what is JSON is skipped.
    #[test]
    fn what_is_skipped_is_json() {
        let good = [
            "0",
            "-0",
            "10.25e+3",
            "1E9",
            "\"a\\u00e9\\n\\\"\"",
            "[]",
            "{}",
            "[1,[2,{}],null]",
            "{\"a\":true,\"\\u0041\":[false]} \n",
            "\"é\"",
            "{\n \"a\": [\n  1,\n  \"b\"\n ],\r\n\t\"c\" : { }\n}",
            "[ ]",
        ];
        let bad = [
            "",
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "+1",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\u{1}\"",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "nul",
            "tru",
            "[}",
            "{]",
            "1x",
            "[1]]",
            "NaN",
            "[1,\u{b}2]",
            "{\"a\"\u{0}:1}",
        ];
        for text in good {
            assert!(skipped(text) && serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text}");
        }
        for text in bad {
            assert!(!skipped(text) && serde_json::from_str::<IgnoredAny>(text).is_err(), "{text}");
        }
        assert!(!skipped(&"[".repeat(100_000)));
    }

    #[test]
    fn numbers_that_are_no_u64_are_refused() {
        let read = |text: &str| {
            let mut scan = Scan::new(text);
            scan.number().filter(|_| scan.end().is_some())
        };
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("9999999999999999999"), Some(9_999_999_999_999_999_999));
        for text in ["", "-1", "01", "1.0", "1e3", "18446744073709551616", "a"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        /// On anything near JSON: what is accepted, `serde_json` accepts.
        #[test]
        fn accepts_nothing_that_serde_refuses(text in "[\\[\\]{}:,\"\\\\u0-9a.eE+ \\n-]{0,12}") {
            if skipped(&text) {
                prop_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }
    }
}
