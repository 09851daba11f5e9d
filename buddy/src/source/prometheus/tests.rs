//! Tests of the text format, most of them against a slow parser that reads character by character.

use proptest::prelude::*;

use super::*;

/// Name, labels, value as bits, and time; `None` for what is no sample.
type Plain = Option<(String, Vec<(String, String)>, u64, Option<i64>)>;

fn quick(text: &str) -> Vec<Plain> {
    let plain = |line: Line<'_>| {
        let Sample { mut labels, value, time_ms } = line.sample().ok()?;
        let mut all = Vec::new();
        while let Some(label) = labels.next().ok()? {
            all.push((label.name.to_owned(), unescaped(label.raw).into_owned()));
        }
        Some((line.name.to_owned(), all, value.to_bits(), time_ms))
    };
    lines(text).map(plain).collect()
}

/// Reads what is written in the format's description, as plainly as can be.
fn slow(text: &str) -> Vec<Plain> {
    let lines = text.split('\n').map(|line| line.trim_start_matches([' ', '\t']));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(slow_line).collect()
}

fn slow_line(line: &str) -> Plain {
    let mut left: Vec<char> = line.chars().rev().collect();
    let mut name = String::new();
    while left.last().is_some_and(|c| !"{ \t".contains(*c)) {
        name.push(left.pop()?);
    }
    let blanks = |left: &mut Vec<char>| {
        while left.last().is_some_and(|c| " \t".contains(*c)) {
            left.pop();
        }
    };
    blanks(&mut left);
    let mut labels = Vec::new();
    if left.last() == Some(&'{') {
        left.pop();
        loop {
            blanks(&mut left);
            if left.last() == Some(&'}') {
                left.pop();
                break;
            }
            let mut label = String::new();
            while left.last().is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
                label.push(left.pop()?);
            }
            blanks(&mut left);
            if label.is_empty() || left.pop()? != '=' {
                return None;
            }
            blanks(&mut left);
            if left.pop()? != '"' {
                return None;
            }
            let mut value = String::new();
            loop {
                match left.pop()? {
                    '"' => break,
                    '\\' => match left.pop()? {
                        'n' => value.push('\n'),
                        c @ ('"' | '\\') => value.push(c),
                        c => value.extend(['\\', c]),
                    },
                    c => value.push(c),
                }
            }
            labels.push((label, value));
            blanks(&mut left);
            match left.last() {
                Some(',') => drop(left.pop()),
                Some('}') => {}
                _ => return None,
            }
        }
    }
    let rest: String = left.into_iter().rev().collect();
    let words: Vec<&str> = rest.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let (value, time) = match words[..] {
        [value] => (value, None),
        [value, time] => (value, Some(time.parse().ok()?)),
        _ => return None,
    };
    let value: f64 = value.parse().ok()?;
    (!name.is_empty()).then_some((name, labels, value.to_bits(), time))
}

#[test]
fn what_lines_say() {
    let text = "# HELP a b\n# TYPE a counter\n\na{x=\"1\",y=\"}\\\"\\\\\\n,\"} 1.5e+3 1700000000000\n\
                a 7\n  b { z = \"é\" , } NaN\nb{} +Inf -5";
    let all = quick(text);
    let said = all[0].as_ref().unwrap();
    assert_eq!(said.1[1], ("y".to_owned(), "}\"\\\n,".to_owned()));
    assert_eq!((f64::from_bits(said.2), said.3), (1500.0, Some(1_700_000_000_000)));
    assert_eq!(all[1].as_ref().unwrap().1, []);
    assert!(f64::from_bits(all[2].as_ref().unwrap().2).is_nan());
    assert_eq!(all[3].as_ref().unwrap().3, Some(-5));
    let same: Vec<bool> = lines(text).map(|line| line.is_same_name).collect();
    assert_eq!(same, [false, true, false, true]);
}

#[test]
fn what_is_no_sample_is_told_with_its_place() {
    let wrong = [
        "a",
        "a{",
        "a{x=\"1\"",
        "a{x=1} 1",
        "a{x=\"1\\\"} 1",
        "a{=\"1\"} 1",
        "a{x=\"1\" y=\"2\"} 1",
        "a{,} 1",
        "a one",
        "a 1 1.5",
        "a 1 1 1",
        "a 1 99999999999999999999",
        "{x=\"1\"} 1",
        "a{x=\"1\"} 1 }",
        "<html>",
    ];
    for text in wrong {
        assert_eq!(quick(text), [None], "{text}");
    }
    let line = lines("a 1\n\nb\u{7}{").nth(1).unwrap();
    assert_eq!(line.describe(), "line 3: b{");
}

/// A name that begins like the one before is another one.
#[test]
fn names_are_told_apart() {
    let names: Vec<_> =
        lines("a 1\nab 1\na{} 1\na\n").map(|line| (line.name, line.is_same_name)).collect();
    assert_eq!(names, [("a", false), ("ab", false), ("a", false), ("a", true)]);
}

proptest! {
    /// Anything that is near the format is read as the slow parser reads it, and nothing panics.
    #[test]
    fn agrees_with_the_slow_parser(
        text in "([ab]\\{?(x ?= ?\"[}\"\\\\n,é ]{0,4}\",?){0,2}[}\\\\ ]?[ \t]?[0-9.e+NaIinf-]{0,4}[ \n#}]){0,4}"
    ) {
        prop_assert_eq!(quick(&text), slow(&text));
    }

    #[test]
    fn reads_any_value(value in any::<f64>(), time in any::<i64>()) {
        let said = quick(&format!("a{{x=\"1\"}} {value} {time}"));
        let (_, _, bits, time_ms) = said[0].clone().unwrap();
        prop_assert!(bits == value.to_bits() || value.is_nan());
        prop_assert_eq!(time_ms, Some(time));
    }

    /// As no other text is.
    #[test]
    fn survives_anything(text in ".{0,200}") {
        prop_assert_eq!(quick(&text).len(), slow(&text).len());
    }
}
