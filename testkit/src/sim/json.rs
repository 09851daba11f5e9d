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

/// Appends `digits / 10^scale` as Go's Prometheus libraries write it: the shortest form, with an
/// exponent from a million on.
pub(super) fn go_decimal(out: &mut Out, digits: u64, scale: usize) {
    let mut buffer = itoa::Buffer::new();
    let all = buffer.format(digits);
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return text(out, "0");
    }
    // The value is 0.SIGNIFICANT times ten to the power of `point`.
    let point = i32::try_from(all.len()).unwrap_or(0) - i32::try_from(scale).unwrap_or(0);
    let exponent = point - 1;
    if !(-4..6).contains(&exponent) {
        text(out, &significant[..1]);
        if significant.len() > 1 {
            text(out, ".");
            text(out, &significant[1..]);
        }
        text(out, if exponent < 0 { "e-" } else { "e+" });
        text(out, if exponent.abs() < 10 { "0" } else { "" });
        return text(out, itoa::Buffer::new().format(exponent.abs()));
    }
    let whole = usize::try_from(point).unwrap_or(0);
    if whole == 0 {
        text(out, "0.");
        (0..-point).for_each(|_| text(out, "0"));
        return text(out, significant);
    }
    text(out, &all[..whole]);
    if significant.len() > whole {
        text(out, ".");
        text(out, &significant[whole..]);
    }
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
    out.extend_from_slice(&clock(unix_ms));
}

/// Appends text, then a time in quotes, to the second, as Kubernetes writes them.
pub(super) fn second(out: &mut Out, before: &str, unix_ms: i64) {
    text(out, before);
    Second::new(unix_ms).write(out);
}

/// A time in quotes, to the second, for what has the same time many times over.
#[derive(Clone, Copy)]
pub(super) struct Second([u8; 22]);

impl Second {
    pub(super) fn new(unix_ms: i64) -> Self {
        let mut second = [0; 22];
        second[..20].copy_from_slice(&clock(unix_ms)[..20]);
        second[20..].copy_from_slice(b"Z\"");
        Self(second)
    }

    pub(super) fn write(self, out: &mut Out) {
        out.extend_from_slice(&self.0);
    }
}

/// A time in quotes, to the millisecond.
fn clock(unix_ms: i64) -> [u8; 26] {
    let (year, month, day) = civil(unix_ms.div_euclid(86_400_000));
    // Less than a day, so that it fits; 32 bits divide faster, and this is done for every sample.
    let rest = u32::try_from(unix_ms.rem_euclid(86_400_000)).unwrap_or(0);
    let pair = |value: u32| {
        let tens = value / 10 % 10;
        [b'0' + tens as u8, b'0' + (value % 10) as u8]
    };
    let (century, year) = (pair(year / 100), pair(year % 100));
    let (month, day) = (pair(month), pair(day));
    let (hour, minute, second) =
        (pair(rest / 3_600_000), pair(rest / 60_000 % 60), pair(rest / 1000 % 60));
    let (tenths, thousandth) = (pair(rest % 1000 / 10), pair(rest % 10)[1]);
    [
        b'"', century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0],
        day[1], b'T', hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1],
        b'.', tenths[0], tenths[1], thousandth, b'Z', b'"',
    ]
}

/// Appends the lowest so many hexadecimal digits of a number.
pub(super) fn hexadecimal(out: &mut String, value: u64, digits: u32) {
    for position in (0..digits).rev() {
        let digit = (value >> (4 * position)) & 0xf;
        out.push(char::from(b"0123456789abcdef"[digit as usize]));
    }
}

/// The date of a day since 1970, by counting in eras of 400 years that begin in March.
fn civil(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + shifted.div_euclid(146_097) * 400 + i64::from(month <= 2);
    let small = |value: i64| u32::try_from(value).unwrap_or(0);
    (small(year), small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in recorded answers.
    #[test]
    fn decimals_are_written_as_go_does() {
        for (digits, scale, expected) in [
            (0, 9, "0"),
            (4_057_018_431_124, 9, "4057.018431124"),
            (2_777_088, 0, "2.777088e+06"),
            (946_176, 0, "946176"),
            (1_000_000, 0, "1e+06"),
            (100_000, 0, "100000"),
            (25_276_502_016, 0, "2.5276502016e+10"),
            (97_544, 9, "9.7544e-05"),
            (11_368_440, 9, "0.01136844"),
            (1_795_345_559_000, 3, "1.795345559e+09"),
            (20_000_000_000, 9, "20"),
        ] {
            let mut out = Out::new();
            go_decimal(&mut out, digits, scale);
            assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }

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
            let mut short = Out::new();
            second(&mut short, "", unix_ms);
            let short = std::str::from_utf8(&short).unwrap().trim_matches('"').to_owned();
            assert_eq!(short, format!("{}Z", &written[..19]));
            unix_ms += 7_654_321_987;
        }
    }
}
