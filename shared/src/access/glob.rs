//! Names of clusters with `*` for any part of them.

use crate::glob;

/// Longest pattern, as long as the longest name of a cluster.
const MAX_BYTES: usize = 253;

/// A name in which `*` stands for anything, also for nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob(glob::Glob);

impl Glob {
    /// Checks a pattern.
    ///
    /// # Errors
    /// A sentence, when no cluster could have such a name.
    pub fn new(text: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
        if text.is_empty() || text.len() > MAX_BYTES || !text.chars().all(legal) {
            return Err(format!(
                "`{text}` names no cluster: write letters, digits, `.`, `_`, `-`, and `*` for any part, such as prod or eu-*"
            ));
        }
        Ok(Self(glob::Glob::new(text)))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

impl std::str::FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let matches = |glob: &str, name: &str| Glob::new(glob).unwrap().matches(name);
        assert!(matches("prod", "prod") && !matches("prod", "prod2") && !matches("prod", "Prod"));
        assert!(
            matches("eu-*", "eu-west") && matches("eu-*", "eu-") && !matches("eu-*", "us-eu-1")
        );
        assert!(matches("*", "anything") && matches("**", ""));
        assert!(matches("a*b*c", "abc") && matches("a*b*c", "axxbxbc") && !matches("a*b*c", "acb"));
        // Both ends want the same letter.
        assert!(!matches("ab*ba", "aba") && matches("ab*ba", "abba"));
        assert!(Glob::new("").is_err() && Glob::new("a b").is_err() && Glob::new("a/b").is_err());
    }

    /// What is meant, written without regard for time.
    fn means(glob: &[u8], name: &[u8]) -> bool {
        match (glob.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| means(rest, &name[skip..])),
            (Some((wanted, glob)), Some((found, name))) => wanted == found && means(glob, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn no_name_is_let_in_that_is_not_meant(glob in "[ab*]{1,7}", name in "[ab]{0,8}") {
            let meant = means(glob.as_bytes(), name.as_bytes());
            prop_assert_eq!(Glob::new(&glob).unwrap().matches(&name), meant);
        }
    }
}
