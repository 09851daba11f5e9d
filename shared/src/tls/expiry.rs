//! Until when a certificate is valid.
//!
//! `validity = SEQUENCE { not before, not after }`, each of them a text: `YYMMDDhhmmssZ` for the years
//! 1950 to 2049, `YYYYMMDDhhmmssZ` for any.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rustls::pki_types::CertificateDer;

use super::der::{self, SEQUENCE, expect, value};

const SHORT_TIME: u8 = 0x17;
const LONG_TIME: u8 = 0x18;
/// Years below it are those of this century where only two digits are written.
const TURN: i16 = 50;

/// The last second, since 1970, in which all certificates of a chain are valid; `None` where one of
/// them cannot be read, or there is none.
#[must_use]
pub fn expiry(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let ends = chain.iter().map(|certificate| not_after(certificate));
    ends.min_by_key(|end| end.map_or(i64::MIN, Timestamp::as_second))?.map(Timestamp::as_second)
}

fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (validity, _) = expect(der::validity(certificate)?, SEQUENCE)?;
    let (tag, text, _) = value(value(validity)?.2)?;
    let (year, rest) = match tag {
        SHORT_TIME => {
            let (year, rest) = digits(text, 2)?;
            (year + if year < TURN { 2000 } else { 1900 }, rest)
        }
        LONG_TIME => digits(text, 4)?,
        _ => return None,
    };
    let mut rest = rest;
    let mut parts = [0_i8; 5];
    for part in &mut parts {
        let (number, after) = digits(rest, 2)?;
        *part = i8::try_from(number).ok()?;
        rest = after;
    }
    let [month, day, hour, minute, second] = parts;
    if rest != b"Z" {
        return None;
    }
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// A number of so many digits, and what comes after it.
fn digits(text: &[u8], count: usize) -> Option<(i16, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["host".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 28);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    /// Both forms of a time are read, and the certificate that ends first counts.
    #[test]
    fn a_chain_ends_with_its_first() {
        let seconds = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        let (soon, late) = (until(2049), until(2050));
        assert_eq!(expiry(from_ref(&soon)), Some(seconds("2049-02-28T00:00:00Z")));
        assert_eq!(expiry(from_ref(&late)), Some(seconds("2050-02-28T00:00:00Z")));
        assert_eq!(expiry(&[late.clone(), soon]), Some(seconds("2049-02-28T00:00:00Z")));
        assert_eq!(expiry(&[late, CertificateDer::from(vec![0x30])]), None);
        assert_eq!(expiry(&[]), None);
    }

    proptest! {
        /// Whatever was cut off or changed, the answer is a time or none, and no panic.
        #[test]
        fn broken_certificates_break_nothing(cut in 0_usize..400, at in 0_usize..400, byte: u8) {
            let mut whole = until(2030).to_vec();
            let at = at % whole.len();
            whole[at] = byte;
            whole.truncate(cut);
            let _ = expiry(&[CertificateDer::from(whole)]);
        }
    }
}
