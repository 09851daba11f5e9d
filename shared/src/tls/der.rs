//! Just enough of DER to read a certificate, which is a tree of such values:
//!
//! ```text
//! SEQUENCE { SEQUENCE { [0] version?, serial, algorithm, issuer, validity, subject, ... }, ... }
//! ```
//!
//! Only certificates are read whose signature was verified, and yet nothing in them is relied on.

pub(super) const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// A certificate from its validity on.
pub(super) fn validity(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _) = expect(outer, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = value(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = value(rest)?.2;
    }
    Some(rest)
}

/// The content of a value of this tag, and what comes after it.
pub(super) fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = value(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The tag of a value, its content, and what comes after it.
pub(super) fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
