//! Quantities of Kubernetes, such as `250m`, `1.5Gi` or `1e3`, as whole numbers.
//!
//! Read exactly, in integers. What is not whole in the unit that is asked for is rounded up, away
//! from zero, as Kubernetes itself does; what is too large is the largest number there is.

/// Thousandths: millicores of a quantity of CPU.
pub(super) fn millis(text: &str) -> Option<i64> {
    scaled(text, 3)
}

/// Whole units: bytes of a quantity of memory or storage.
pub(super) fn units(text: &str) -> Option<i64> {
    scaled(text, 0)
}

/// The quantity times 10 to the power of `decimals`; none where the text is no quantity.
fn scaled(text: &str, decimals: i32) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // A second point is no digit, and ends here.
    let mantissa = [whole, fraction].concat().parse::<i128>().ok()?;
    let (ten, two) = exponents(suffix)?;
    let fraction = i32::try_from(fraction.len()).ok()?;
    let magnitude = magnitude(mantissa, ten + decimals - fraction, two);
    Some(if negative { -magnitude } else { magnitude })
}

/// `mantissa · 10^ten · 2^two`, rounded up.
fn magnitude(mantissa: i128, ten: i32, two: u32) -> i64 {
    if mantissa == 0 {
        return 0;
    }
    let power = 10_i128.checked_pow(ten.unsigned_abs());
    let binary = mantissa.checked_mul(1_i128 << two);
    let value = match (binary, power) {
        (Some(value), Some(power)) if ten >= 0 => value.checked_mul(power),
        (Some(value), Some(power)) => Some(value / power + i128::from(value % power != 0)),
        // Less than one part of an unimaginable number.
        (Some(_), None) if ten < 0 => Some(1),
        _ => None,
    };
    value.and_then(|value| i64::try_from(value).ok()).unwrap_or(i64::MAX)
}

/// The powers of ten and of two that a suffix stands for.
fn exponents(suffix: &str) -> Option<(i32, u32)> {
    Some(match suffix {
        "n" => (-9, 0),
        "u" | "µ" => (-6, 0),
        "m" => (-3, 0),
        "" => (0, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            (exponent.clamp(-1_000, 1_000), 0)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every suffix, exponents, fractions; a value that a float would miss by a few bytes.
    #[test]
    fn every_form_is_read_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("128974848", 128_974_848),
            ("129e6", 129_000_000),
            ("129E6", 129_000_000),
            ("1e-3", 1),
            ("129M", 129_000_000),
            ("123Mi", 128_974_848),
            ("1.5Gi", 1_610_612_736),
            (".5Ki", 512),
            ("5.", 5),
            ("1k", 1_000),
            ("2G", 2_000_000_000),
            ("3T", 3_000_000_000_000),
            ("4P", 4_000_000_000_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("1Ki", 1 << 10),
            ("1Ti", 1 << 40),
            ("1Pi", 1 << 50),
            ("7Ei", 7 << 60),
            ("9007199254740993", 9_007_199_254_740_993),
            ("24684084Ki", 25_276_502_016),
            ("+1", 1),
            ("-1", -1),
            // Thousandths of a byte, as some controllers write them.
            ("128974848000m", 128_974_848),
            ("1100m", 2),
            ("1n", 1),
            ("-1500m", -2),
            ("8Ei", i64::MAX),
            ("1e400", i64::MAX),
            ("1e-400", 1),
            ("0e400", 0),
        ] {
            assert_eq!(units(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn cpu_is_thousandths_of_a_core() {
        for (text, expected) in [
            ("2", 2_000),
            ("250m", 250),
            ("0.1", 100),
            ("1.0005", 1_001),
            ("100u", 1),
            ("1500000u", 1_500),
            ("12345678n", 13),
            ("1k", 1_000_000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_quantity() {
        for text in ["", " ", "-", ".", "Gi", "1.2.3", "1 Gi", "1KiB", "1K", "0x10", "1e", "1ee3"] {
            assert_eq!(units(text), None, "{text}");
        }
    }
}
