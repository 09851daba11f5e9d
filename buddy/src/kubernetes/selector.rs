//! Label selectors as `kubectl -l` takes them: `app=web,tier in (a, b),!legacy`.

use compact_str::CompactString;
use heapster_shared::entity::Labels;

/// What labels have to satisfy; without requirements everything does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Requirement {
    key: CompactString,
    test: Test,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    Exists,
    Absent,
    In(Vec<CompactString>),
    NotIn(Vec<CompactString>),
}

impl LabelSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// A sentence that quotes the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text)?.into_iter().map(str::trim);
        parts.filter(|part| !part.is_empty()).map(requirement).collect::<Result<_, _>>().map(Self)
    }

    /// Whether labels satisfy every requirement. As in Kubernetes, `!=` and `notin` are satisfied
    /// by labels without the key.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let value = labels.get(key);
            match test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
            }
        })
    }
}

/// The parts between commas that stand outside of parentheses.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, false);
    for (index, character) in text.char_indices() {
        match character {
            '(' | ')' if open == (character == '(') => {
                return Err(format!("`{text}` has a parenthesis too many"));
            }
            '(' | ')' => open = !open,
            ',' if !open => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err(format!("`{text}` has no closing parenthesis"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let (key, test) = if let Some(key) = part.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Test::NotIn(vec![checked_value(value, part)?]))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Test::In(vec![checked_value(value, part)?]))
    } else if let Some((head, list)) = part.split_once('(') {
        set_test(part, head, list)?
    } else {
        (part, Test::Exists)
    };
    let key = key.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if key.is_empty() || !key.chars().all(legal) {
        return Err(format!("`{key}` in `{part}` is no name of a label"));
    }
    Ok(Requirement { key: key.into(), test })
}

fn set_test<'t>(part: &str, head: &'t str, list: &str) -> Result<(&'t str, Test), String> {
    let list = list.trim_end().strip_suffix(')');
    let list = list.ok_or_else(|| format!("`{part}` goes on after its parenthesis"))?;
    let values: Result<_, _> = list.split(',').map(|value| checked_value(value, part)).collect();
    match head.trim().rsplit_once(char::is_whitespace) {
        Some((key, "in")) => Ok((key, Test::In(values?))),
        Some((key, "notin")) => Ok((key, Test::NotIn(values?))),
        _ => Err(format!("`{part}` is neither `KEY in (..)` nor `KEY notin (..)`")),
    }
}

fn checked_value(value: &str, part: &str) -> Result<CompactString, String> {
    let value = value.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if value.chars().all(legal) {
        Ok(value.into())
    } else {
        Err(format!("`{value}` in `{part}` is no value of a label"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select_as_in_kubernetes() {
        let labels = Labels::from_iter([("app", "web"), ("tier", "front"), ("a.b/c", "")]);
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app == web, tier=front", true),
            ("app=db", false),
            ("app!=db", true),
            ("none!=x", true),
            ("app!=web", false),
            ("app in (db, web)", true),
            ("app in (db),tier=front", false),
            ("app notin (db, cache),tier in (front)", true),
            ("none notin (x)", true),
            ("none in (x)", false),
            ("tier", true),
            ("none", false),
            ("!none", true),
            ("!tier", false),
            ("a.b/c=", true),
        ] {
            assert_eq!(
                LabelSelector::parse(selector).unwrap().matches(&labels),
                expected,
                "{selector}"
            );
        }
    }

    #[test]
    fn a_wrong_selector_says_what_is_wrong() {
        for (selector, expected) in [
            ("app in (a", "no closing parenthesis"),
            ("app in a)", "a parenthesis too many"),
            ("app on (a)", "neither `KEY in (..)`"),
            ("app in (a) b", "goes on after"),
            ("=web", "no name of a label"),
            ("app=a b", "no value of a label"),
            ("a b", "no name of a label"),
        ] {
            let error = LabelSelector::parse(selector).unwrap_err();
            assert!(error.contains(expected), "{selector}: {error}");
        }
    }
}
