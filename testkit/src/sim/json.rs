//! Appending to an answer. All text that the simulation writes is its own plain ASCII, so nothing
//! is escaped.

/// The answer under construction.
pub(super) type Out = Vec<u8>;

/// Appends text as it is.
pub(super) fn text(out: &mut Out, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends text, then a number.
pub(super) fn number(out: &mut Out, before: &str, value: u64) {
    text(out, before);
    text(out, itoa::Buffer::new().format(value));
}

/// Appends text, then a string in quotes.
pub(super) fn string(out: &mut Out, before: &str, value: &str) {
    text(out, before);
    out.push(b'"');
    text(out, value);
    out.push(b'"');
}

/// Appends text, then a time in quotes: RFC 3339 in UTC, to the millisecond.
pub(super) fn time(out: &mut Out, before: &str, unix_ms: i64) {
    text(out, before);
    let days = unix_ms.div_euclid(86_400_000);
    let rest = unix_ms.rem_euclid(86_400_000);
    let (year, month, day) = civil(days);
    out.push(b'"');
    digits(out, year, 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
    out.push(b'T');
    digits(out, rest / 3_600_000, 2);
    out.push(b':');
    digits(out, rest / 60_000 % 60, 2);
    out.push(b':');
    digits(out, rest / 1000 % 60, 2);
    out.push(b'.');
    digits(out, rest % 1000, 3);
    text(out, "Z\"");
}

fn digits(out: &mut Out, value: i64, width: u32) {
    for position in (0..width).rev() {
        let digit = value / 10_i64.pow(position) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// The date of a day since 1970, by counting in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + shifted.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calendar is worked out by hand, for speed; jiff knows it well.
    #[test]
    fn times_agree_with_the_calendar() {
        let mut unix_ms = -62_000_000_000;
        while unix_ms < 4_200_000_000_000 {
            let mut out = Out::new();
            time(&mut out, "", unix_ms);
            let written = std::str::from_utf8(&out).unwrap().trim_matches('"');
            let read: jiff::Timestamp = written.parse().unwrap();
            assert_eq!(read.as_millisecond(), unix_ms, "{written}");
            unix_ms += 7_654_321_987;
        }
    }
}
