//! Words and numbers for people: escaped text, sizes, ages.

/// Text as HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `1.5 GiB`.
pub(super) fn size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// `0.25 cores`, `4 cores`, `1,165 cores`.
pub(super) fn cores(millicores: f64) -> String {
    let cores = millicores / 1000.0;
    if cores >= 100.0 {
        format!("{} cores", thousands(cores.round() as u64))
    } else if cores >= 1.0 && cores.fract() == 0.0 {
        format!("{cores:.0} core{}", if cores == 1.0 { "" } else { "s" })
    } else {
        format!("{cores:.2} cores")
    }
}

/// `3 s ago`, `never` for 0.
pub(super) fn ago(now_ms: i64, unix_ms: i64) -> String {
    if unix_ms == 0 {
        return "never".to_owned();
    }
    let seconds = now_ms.saturating_sub(unix_ms) / 1000;
    if seconds < 0 { format!("{} ahead", span(-seconds)) } else { format!("{} ago", span(seconds)) }
}

/// `3 s`, `5 min`, `2 h 5 min`.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `12,345`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 host`, `2 hosts`.
pub(super) fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{} {}", thousands(number as u64), plural(thing)),
    }
}

fn plural(thing: &str) -> String {
    match thing.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!((size(1536.0), size(12.0)), ("1.5 KiB".into(), "12 B".into()));
        let written = [250.0, 1_000.0, 4_000.0, 4_010.0, 1_165_660.0].map(cores);
        assert_eq!(written, ["0.25 cores", "1 core", "4 cores", "4.01 cores", "1,166 cores"]);
        assert_eq!(ago(100_000, 97_000), "3 s ago");
        assert_eq!((ago(1, 0), ago(0, 5_000)), ("never".into(), "5 s ahead".into()));
        assert_eq!(span(7_500), "2 h 5 min");
        let grouped = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            (count(1, "buddy"), count(2, "entity")),
            ("1 buddy".into(), "2 entities".into())
        );
    }
}
