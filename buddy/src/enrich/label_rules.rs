//! Which labels of pods and nodes go out, and how.

use compact_str::{CompactString, format_compact};
use heapster_shared::{Set, tag};

/// Labels of pods and nodes go out in one, `labels`: `key:value`, sorted and joined. Some may be left
/// out of it, and some may go out by themselves too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelRules {
    separator: String,
    ignored: Set<CompactString>,
    /// Key in the cluster manager, and the name under which it goes out.
    stored: Vec<(CompactString, CompactString)>,
}

impl Default for LabelRules {
    fn default() -> Self {
        Self { separator: Self::SEPARATOR.to_owned(), ignored: Set::default(), stored: Vec::new() }
    }
}

impl LabelRules {
    /// What stands between labels that are joined, unless something else is wanted.
    pub const SEPARATOR: &str = ",";

    /// Rules as users write them: `ignored` has keys, `stored` has keys and `NAME=KEY`, both maybe
    /// several joined by commas.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn new(separator: &str, ignored: &[String], stored: &[String]) -> Result<Self, String> {
        let ignored = items(ignored).map(CompactString::from).collect();
        let stored = items(stored).map(stored_as).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { separator: separator.to_owned(), ignored, stored })
    }

    /// The label that joins all others; empty where there is none to show.
    pub(super) fn joined<'l>(&self, labels: impl Iterator<Item = (&'l str, &'l str)>) -> String {
        let shown = labels.filter(|(key, _)| !self.ignored.contains(*key));
        let mut shown: Vec<CompactString> =
            shown.map(|(key, value)| format_compact!("{key}:{value}")).collect();
        // By key and value together, as the ancestor had it: `a-b:1` goes before `a:2`.
        shown.sort_unstable();
        shown.join(&self.separator)
    }

    /// The labels that go out by themselves.
    pub(super) fn stored<'l>(
        &'l self,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
    ) -> impl Iterator<Item = (&'l str, &'l str)> {
        labels.flat_map(|(key, value)| {
            let names = self.stored.iter().filter(move |(stored, _)| stored == key);
            names.map(move |(_, name)| (name.as_str(), value))
        })
    }
}

fn items(lists: &[String]) -> impl Iterator<Item = &str> {
    let items = lists.iter().flat_map(|list| list.split(','));
    items.map(str::trim).filter(|item| !item.is_empty())
}

/// Key and name of `KEY` or `NAME=KEY`.
fn stored_as(text: &str) -> Result<(CompactString, CompactString), String> {
    let (name, key) = text.split_once('=').unwrap_or((text, text));
    if name.is_empty() || key.is_empty() {
        return Err(format!("`{text}`: write KEY, or NAME=KEY to store it under another name"));
    }
    if tag::is_own(name) {
        return Err(format!(
            "`{name}` is a label of Heapster's own; store it under another name, as in other={key}"
        ));
    }
    Ok((key.into(), name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [(&str, &str); 4] = [("a", "2"), ("a-b", "1"), ("hash", "x"), ("zone", "z")];

    fn rules(separator: &str, ignored: &[&str], stored: &[&str]) -> Result<LabelRules, String> {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        LabelRules::new(separator, &owned(ignored), &owned(stored))
    }

    #[test]
    fn labels_are_joined_as_the_ancestor_joined_them() {
        assert_eq!(LabelRules::default().joined(LABELS.into_iter()), "a-b:1,a:2,hash:x,zone:z");
        let rules = rules("|", &["hash, a", "none"], &[]).unwrap();
        assert_eq!(rules.joined(LABELS.into_iter()), "a-b:1|zone:z");
        assert_eq!(rules.joined(LABELS[..1].iter().copied()), "");
    }

    /// What goes out by itself stays among the others too, unless it is ignored; it may have two
    /// names.
    #[test]
    fn labels_are_stored_under_names() {
        let rules = rules(",", &["zone"], &["zone", "where=zone,hash"]).unwrap();
        let stored: Vec<_> = rules.stored(LABELS.into_iter()).collect();
        assert_eq!(stored, [("hash", "x"), ("zone", "z"), ("where", "z")]);
        assert_eq!(rules.joined(LABELS.into_iter()), "a-b:1,a:2,hash:x");
    }

    #[test]
    fn names_with_a_meaning_are_refused() {
        for text in ["pod_name=app", "owner_kind", "cluster_name=c"] {
            assert!(rules(",", &[], &[text]).unwrap_err().contains("Heapster's own"), "{text}");
        }
        for text in ["=a", "a="] {
            assert!(rules(",", &[], &[text]).unwrap_err().contains("NAME=KEY"), "{text}");
        }
    }
}
