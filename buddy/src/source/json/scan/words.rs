//! Looks at eight bytes of text at once.
//!
//! Each word holds eight bytes, the first of them lowest. What is found is the first byte of a kind:
//! the marks behind it may be wrong, since a borrow or carry runs towards the later bytes only.

/// Bytes in a word.
const BYTES: usize = 8;
/// Each byte 1.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Number of bytes in front of the first quote, backslash or control character; of all bytes where
/// there is none.
#[inline]
pub(super) fn plain(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word(text, at) {
        let quote = zeros(word ^ (ONES * b'"' as u64));
        let backslash = zeros(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = quote | backslash | control;
        if special != 0 {
            return at + first(special);
        }
        at += BYTES;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + text[at..].iter().position(special).unwrap_or(text.len() - at)
}

/// Bytes of a line break and the spaces behind it, up to 16, or less at the end of the text.
#[inline]
pub(super) fn line_break(text: &[u8]) -> usize {
    const INDENTED: u128 = u128::from_le_bytes(*b"\n               ");
    let Some(bytes) = text.first_chunk() else { return 0 };
    let others = u128::from_le_bytes(*bytes) ^ INDENTED;
    (others.trailing_zeros() / 8) as usize
}

/// The digits at the beginning: how many, and the number that they make, wrapped where there are
/// more than 19.
#[inline]
pub(super) fn digits(text: &[u8]) -> (usize, u64) {
    let (mut at, mut value) = (0, 0_u64);
    while let Some(word) = word(text, at) {
        let digits = word ^ (ONES * b'0' as u64);
        let others = (digits.wrapping_add(ONES * 0x76) | digits) & HIGHS;
        if others != 0 {
            let count = first(others);
            if count == 0 {
                return (at, value);
            }
            let aligned = digits << (8 * (BYTES - count));
            return (at + count, value.wrapping_mul(POWERS[count]).wrapping_add(number(aligned)));
        }
        value = value.wrapping_mul(POWERS[BYTES]).wrapping_add(number(digits));
        at += BYTES;
    }
    for digit in text[at..].iter().map(|byte| byte.wrapping_sub(b'0')) {
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (at, value)
}

const POWERS: [u64; BYTES + 1] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that eight digits make, each a byte of 0 to 9: neighbours are joined to pairs, pairs
/// to fours, fours to eight.
#[inline]
const fn number(digits: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The highest bit of the first byte that is zero, at least.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Index of the first byte that has a bit set.
#[inline]
const fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Eight at once is the same as one after the other.
        #[test]
        fn words_are_bytes(text in "[ -~\\n\"\\\\é0-9]{0,40}") {
            let bytes = text.as_bytes();
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let count = bytes.iter().position(special).unwrap_or(bytes.len());
            prop_assert_eq!(plain(bytes), count);
        }

        #[test]
        fn numbers_are_read_whatever_follows(number: u64, after in "(|[^0-9].{0,12})") {
            let text = format!("{number}{after}");
            prop_assert_eq!(digits(text.as_bytes()), (number.to_string().len(), number));
        }

        /// Never more than there is, and all of what fits.
        #[test]
        fn line_breaks_are_measured(count in 0_usize..30, after in "[^ ][ a\\n]{0,30}") {
            let text = format!("\n{}{after}", " ".repeat(count));
            let expected = if text.len() < 16 { 0 } else { 16.min(count + 1) };
            prop_assert_eq!(line_break(text.as_bytes()), expected);
            prop_assert_eq!(line_break(format!(" {text}").as_bytes()), 0);
        }
    }

    #[test]
    fn any_byte_is_no_digit_but_ten() {
        for byte in 0..=u8::MAX {
            let text = [byte, b'1', byte, b'2', b'3', b'4', b'5', b'6', b'7'];
            let count = if byte.is_ascii_digit() { 9 } else { 0 };
            assert_eq!(digits(&text).0, count, "{byte}");
            let text = [b'1', byte, b'2', b'2', b'3', b'4', b'5', b'6', b'7'];
            let count = if byte.is_ascii_digit() { 9 } else { 1 };
            assert_eq!(digits(&text).0, count, "{byte}");
        }
    }
}
