//! Changes inputs, so that most remain nearly what they were.
//!
//! Text is changed token by token, for a byte that is flipped anywhere mostly makes JSON that every
//! parser refuses in the same way; bytes are changed all the same, now and then, and that is all that
//! happens to frames.

use std::ops::Range;

use crate::random::Random;

/// Inputs do not grow past this.
pub const MOST_BYTES: usize = 64 << 10;
/// Changes to one input.
const MOST_CHANGES: usize = 6;

/// Texts that parsers have tripped over.
const ODD: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1",
    b"-0",
    b"0.1",
    b"1e308",
    b"1e-400",
    b"-1e400",
    b"NaN",
    b"+Inf",
    b"-Inf",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9007199254740993",
    b"4294967296",
    b"65536",
    b"00",
    b"1.",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\\\\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xc3\xa4",
    b"\xff",
    b"\xf0\x9f\x98\x80",
    b"/",
    b"//",
    b"..",
    b",",
    b":",
    b"=",
    b" ",
    b"%00",
    b"%2F",
    b"::",
    b"[::1]",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:60.999999999+23:59",
    b"1970-01-01T00:00:00Z",
    b"2024-02-30T00:00:00Z",
];
const ODD_BYTES: &[u8] =
    &[0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'{', b'}', b'[', b']', b',', b'\n', b'0'];

/// A token of text: a string, a word or number, or a single other byte.
pub(crate) fn tokens(input: &[u8]) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let length = match input[at] {
            b'"' => string(&input[at..]),
            byte if is_word(byte) => input[at..].iter().take_while(|byte| is_word(**byte)).count(),
            _ => 1,
        };
        tokens.push(at..at + length);
        at += length;
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_') || byte >= 0x80
}

fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Makes an input of one, with words and parts of all of them.
pub(crate) fn mutate(
    input: &[u8],
    others: &[Vec<u8>],
    words: &[Vec<u8>],
    random: &mut Random,
) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..=random.below(MOST_CHANGES) {
        match random.below(16) {
            0 => flip(&mut changed, random),
            1 => odd_byte(&mut changed, random),
            2 => cut(&mut changed, random),
            3 => splice(&mut changed, others, random),
            4 => repeat_bytes(&mut changed, random),
            5 => number(&mut changed, random),
            _ => token(&mut changed, words, random),
        }
    }
    changed.truncate(MOST_BYTES);
    changed
}

fn flip(input: &mut [u8], random: &mut Random) {
    let at = random.below(input.len());
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn odd_byte(input: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(input.len() + 1);
    let byte = random.pick(ODD_BYTES).copied().unwrap_or_default();
    match input.get_mut(at) {
        Some(place) if random.below(2) == 0 => *place = byte,
        _ => input.insert(at, byte),
    }
}

fn cut(input: &mut Vec<u8>, random: &mut Random) {
    let range = some_range(input.len(), random);
    if random.below(4) == 0 {
        input.truncate(range.start);
    } else {
        input.drain(range);
    }
}

fn splice(input: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let Some(other) = random.pick(others) else { return };
    let from = other[some_range(other.len(), random)].to_vec();
    let range = some_range(input.len(), random);
    input.splice(range, from);
}

fn repeat_bytes(input: &mut Vec<u8>, random: &mut Random) {
    let range = some_range(input.len().min(256), random);
    let piece = input[range.clone()].to_vec();
    let times = 1 + random.below(40);
    if input.len() + piece.len() * times <= MOST_BYTES {
        input.splice(range.end..range.end, piece.repeat(times));
    }
}

/// Writes a number of some width over the bytes, as lengths and ids are written in frames.
fn number(input: &mut [u8], random: &mut Random) {
    let value = match random.below(4) {
        0 => u64::MAX,
        1 => 1 << random.below(64),
        _ => random.below(300) as u64,
    };
    let bytes = value.to_le_bytes();
    let width = [1, 2, 4, 8][random.below(4)];
    let at = random.below(input.len().saturating_sub(width) + 1);
    for (place, byte) in input[at..].iter_mut().zip(&bytes[..width]) {
        *place = *byte;
    }
}

fn token(input: &mut Vec<u8>, words: &[Vec<u8>], random: &mut Random) {
    let found = tokens(input);
    let Some(range) = random.pick(&found).cloned() else { return };
    let word = random.pick(words).cloned().unwrap_or_default();
    let odd = random.pick(ODD).map(|odd| odd.to_vec()).unwrap_or_default();
    match random.below(8) {
        0 | 1 => drop(input.splice(range, word)),
        2 | 3 => drop(input.splice(range, odd)),
        4 => drop(input.splice(range.start..range.start, word)),
        5 => drop(input.drain(range)),
        6 => {
            let whole = balanced(input, range.start);
            let piece = input[whole.clone()].to_vec();
            if input.len() + piece.len() <= MOST_BYTES {
                input.splice(whole.end..whole.end, piece);
            }
        }
        _ => {
            let other = random.pick(&found).cloned().unwrap_or(range.clone());
            let piece = input[other].to_vec();
            input.splice(range, piece);
        }
    }
}

/// From an opening bracket to the one that closes it; elsewhere a single byte.
fn balanced(input: &[u8], start: usize) -> Range<usize> {
    let mut depth = 0_usize;
    for (at, byte) in input.iter().enumerate().skip(start) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return start..at + 1;
        }
    }
    start..input.len()
}

fn some_range(length: usize, random: &mut Random) -> Range<usize> {
    let start = random.below(length + 1);
    let most = if random.below(3) == 0 { length } else { 16 };
    start..(start + random.below(most + 1)).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_falls_into_tokens() {
        let text = br#"{"a\"b": -1.5e3,["x"}"#;
        let found: Vec<&[u8]> = tokens(text).into_iter().map(|range| &text[range]).collect();
        let expected: [&[u8]; 9] =
            [b"{", br#""a\"b""#, b":", b" ", b"-1.5e3", b",", b"[", br#""x""#, b"}"];
        assert_eq!(found, expected);
        assert_eq!(balanced(b"a{b[c]}d", 1), 1..7);
    }

    /// The same seed gives the same inputs, which is what a printed seed is for; and they differ.
    #[test]
    fn a_seed_tells_the_inputs() {
        let inputs = |seed| {
            let mut random = Random::new(seed);
            let start = br#"[{"name":"a","ip":"10.0.0.1"}]"#;
            let others = [start.to_vec()];
            let made = (0..200).map(|_| mutate(start, &others, &[b"b".to_vec()], &mut random));
            made.collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        assert!(inputs(7).iter().all(|input| input.len() <= MOST_BYTES));
    }
}
