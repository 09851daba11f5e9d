//! Label and field selectors.

use std::borrow::Cow;

use super::resources::Resource;

/// Which objects are wanted.
#[derive(Clone, Default, Debug)]
pub(super) struct Selector {
    labels: Vec<LabelRule>,
    fields: Vec<FieldRule>,
}

#[derive(Clone, Debug)]
struct LabelRule {
    name: String,
    test: LabelTest,
}

#[derive(Clone, Debug)]
enum LabelTest {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

#[derive(Clone, Debug)]
struct FieldRule {
    path: String,
    value: String,
    equal: bool,
}

/// What selectors ask of an object.
pub(super) trait Selected {
    /// The value of a label.
    fn labels(&self) -> Vec<(Cow<'static, str>, String)>;
    /// The value of a field such as `spec.nodeName`; empty where it is missing.
    fn field(&self, path: &str) -> String;
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(super) fn parse(labels: &str, fields: &str, of: &Resource) -> Result<Self, String> {
        Ok(Self {
            labels: split(labels).into_iter().map(label_rule).collect::<Result<_, _>>()?,
            fields: split(fields)
                .into_iter()
                .map(|rule| field_rule(rule, of))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &dyn Selected) -> bool {
        let field = |rule: &FieldRule| (object.field(&rule.path) == rule.value) == rule.equal;
        if !self.fields.iter().all(field) {
            return false;
        }
        if self.labels.is_empty() {
            return true;
        }
        let labels = object.labels();
        self.labels.iter().all(|rule| {
            let found = labels.iter().find(|(name, _)| *name == rule.name);
            rule.test.passes(found.map(|(_, value)| value))
        })
    }
}

impl LabelTest {
    fn passes(&self, value: Option<&String>) -> bool {
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => value.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
        }
    }
}

/// The rules of a selector: split at commas, but not at those in parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    let rules = selector.split(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    rules.map(str::trim).filter(|rule| !rule.is_empty()).collect()
}

fn label_rule(rule: &str) -> Result<LabelRule, String> {
    let made = |name: &str, test| Ok(LabelRule { name: name.trim().to_owned(), test });
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((name, value)) = rule.split_once("!=") {
        return made(name, LabelTest::NotIn(one(value)));
    }
    if let Some((name, value)) = rule.split_once("==").or_else(|| rule.split_once('=')) {
        return made(name, LabelTest::In(one(value)));
    }
    let set = |values: &str| {
        values
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .flat_map(one)
            .collect()
    };
    if let Some((name, values)) = rule.split_once(" notin ") {
        return made(name, LabelTest::NotIn(set(values)));
    }
    if let Some((name, values)) = rule.split_once(" in ") {
        return made(name, LabelTest::In(set(values)));
    }
    if rule.contains(' ') {
        return Err(format!("unable to parse requirement: {rule}"));
    }
    match rule.strip_prefix('!') {
        Some(name) => made(name, LabelTest::Absent),
        None => made(rule, LabelTest::Exists),
    }
}

/// Fields that each kind can be selected by, beside name and namespace.
fn has_field(of: &Resource, path: &str) -> bool {
    match (of.plural, path) {
        (_, "metadata.name" | "metadata.namespace") => true,
        ("pods", path) => [
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ]
        .contains(&path),
        ("nodes", "spec.unschedulable") | ("namespaces", "status.phase") => true,
        ("events", "reason" | "type" | "reportingComponent" | "source") => true,
        ("events", path) => path.starts_with("involvedObject."),
        _ => false,
    }
}

fn field_rule(rule: &str, of: &Resource) -> Result<FieldRule, String> {
    let (equal, parts) = match rule.split_once("!=") {
        Some(parts) => (false, Some(parts)),
        None => (true, rule.split_once("==").or_else(|| rule.split_once('='))),
    };
    let Some((path, value)) = parts else {
        return Err(format!("invalid selector: '{rule}'; can't understand '{rule}'"));
    };
    if !has_field(of, path) {
        return Err(format!("field label not supported: {path}"));
    }
    Ok(FieldRule { path: path.to_owned(), value: value.to_owned(), equal })
}

#[cfg(test)]
mod tests {
    use super::{super::resources::by_plural, *};

    struct Thing;

    impl Selected for Thing {
        fn labels(&self) -> Vec<(Cow<'static, str>, String)> {
            vec![("app".into(), "shop".into()), ("tier".into(), "web".into())]
        }

        fn field(&self, path: &str) -> String {
            if path == "spec.nodeName" { "node-a".into() } else { String::new() }
        }
    }

    #[test]
    fn selectors_choose() {
        let pods = by_plural("pods").unwrap();
        for (labels, fields, chosen) in [
            ("", "", true),
            ("app=shop,tier==web", "", true),
            ("app!=shop", "", false),
            ("app in (bank, shop),tier", "", true),
            ("app notin (bank,shop)", "", false),
            ("!owner", "spec.nodeName=node-a", true),
            ("owner", "", false),
            ("", "spec.nodeName!=node-a", false),
            ("", "spec.nodeName=node-a,metadata.name=x", false),
        ] {
            let selector = Selector::parse(labels, fields, pods).unwrap();
            assert_eq!(selector.matches(&Thing), chosen, "{labels} {fields}");
        }
        assert!(Selector::parse("", "spec.containers=x", pods).is_err());
        assert!(Selector::parse("app is shop", "", pods).is_err());
    }
}
