//! `KIND[:LOCATION][?OPTIONS]`: how sinks, sources and discoveries are named on the command line,
//! in the environment and in a file.

use std::{fmt, str::FromStr};

use serde::de::DeserializeOwned;

/// A kind of plugin, where it goes to, and its options, in the order in which they were written.
#[derive(Clone, PartialEq, Eq)]
pub struct Spec {
    /// `influxdb`, `cadvisor`, `static`, ...
    pub kind: String,
    /// A URL, a path, or empty.
    pub location: String,
    /// Names and values, decoded; a name may come more than once.
    pub options: Vec<(String, String)>,
}

/// What is wrong with a [`Spec`], as a sentence for its author.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub String);

impl Spec {
    /// The options as a value of `T`, whose `deny_unknown_fields` names the known ones.
    ///
    /// # Errors
    /// When an option is unknown, missing, or has a value of the wrong form.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        let encoded = encode(&self.options);
        serde_html_form::from_str(&encoded).map_err(|error| {
            let message = error.to_string().replace("unknown field", "unknown option");
            let message = message.replace("missing field", "missing option");
            SpecError(format!("{}: {message}", self.kind))
        })
    }

    /// Takes the options with these names out of the spec: for those that every plugin has.
    #[must_use]
    pub fn split_off(&mut self, names: &[&str]) -> Self {
        let options = std::mem::take(&mut self.options);
        let (taken, kept) =
            options.into_iter().partition(|(name, _)| names.contains(&name.as_str()));
        self.options = kept;
        Self { kind: self.kind.clone(), location: self.location.clone(), options: taken }
    }

    /// `kind:location` without options and without a password, for logs and pages.
    #[must_use]
    pub fn name(&self) -> String {
        if self.location.is_empty() {
            return self.kind.clone();
        }
        format!("{}:{}", self.kind, without_userinfo(&self.location))
    }

    /// The error for a kind that nobody knows.
    #[must_use]
    pub fn unknown_kind(&self, what: &str, known: &[&str]) -> SpecError {
        SpecError(format!(
            "unknown {what} `{}`; the known ones are {}",
            self.kind,
            known.join(", ")
        ))
    }
}

fn encode(options: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(options).finish()
}

/// The location with nothing between `://` and an `@` of the same authority, in each address of a
/// list. It goes by the text alone: a location that is no good URL is shown too, in the error that
/// says so.
fn without_userinfo(location: &str) -> String {
    let mut shown = String::with_capacity(location.len());
    let mut rest = location;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let authority = behind.find(['/', '?', '#', '\\']).unwrap_or(behind.len());
        let user_end = behind[..authority].rfind('@').map_or(0, |at| at + 1);
        rest = &behind[user_end..];
    }
    shown + rest
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (head, query) = text.split_once('?').unwrap_or((text, ""));
        let (kind, location) = head.split_once(':').unwrap_or((head, ""));
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        if kind.is_empty() || !kind.chars().all(legal) {
            return Err(SpecError(format!(
                "`{kind}` is no kind: write KIND[:LOCATION][?OPTIONS], such as log or influxdb:http://127.0.0.1:8086?db=k8s"
            )));
        }
        let options = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { kind: kind.to_owned(), location: location.to_owned(), options })
    }
}

impl fmt::Display for Spec {
    /// The text that [`Spec::from_str`] reads, secrets included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.location.is_empty() {
            write!(f, ":{}", self.location)?;
        }
        if !self.options.is_empty() {
            write!(f, "?{}", encode(&self.options))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Spec {
    /// Without option values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.options.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Spec").field("name", &self.name()).field("options", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Options {
        #[serde(default)]
        db: String,
        #[serde(default)]
        concurrency: Option<u32>,
        #[serde(default, deserialize_with = "crate::units::flag")]
        secure: bool,
    }

    #[test]
    fn kind_location_and_options_are_told_apart() {
        let spec: Spec =
            "influxdb:http://u:p@h:8086/x?db=a%20b&concurrency=2&secure=1".parse().unwrap();
        assert_eq!(
            (spec.kind.as_str(), spec.location.as_str()),
            ("influxdb", "http://u:p@h:8086/x")
        );
        let options: Options = spec.options().unwrap();
        assert_eq!(options, Options { db: "a b".into(), concurrency: Some(2), secure: true });
        assert_eq!(spec.name(), "influxdb:http://h:8086/x");
        assert!(!format!("{spec:?}").contains("u:p"));

        let inline: Spec = "static:?hosts=a=10.0.0.1:4194".parse().unwrap();
        assert_eq!(inline.location, "");
        assert_eq!(inline.options, [("hosts".to_owned(), "a=10.0.0.1:4194".to_owned())]);
        assert_eq!("log".parse::<Spec>().unwrap().to_string(), "log");
    }

    /// Also of what no URL is, and of each address of a list.
    #[test]
    fn a_name_has_no_password() {
        let name = |text: &str| text.parse::<Spec>().unwrap().name();
        assert_eq!(name("influxdb:http://u:p@h x:99999"), "influxdb:http://h x:99999");
        assert_eq!(
            name("consul:https://u:p@c1,https://v:q@c2/x@y"),
            "consul:https://c1,https://c2/x@y"
        );
        assert_eq!(name("influxdb:http://u:p@@h"), "influxdb:http://h");
        assert_eq!(name("static:a@b.json"), "static:a@b.json");
    }

    #[test]
    fn written_out_it_reads_back_the_same() {
        let text = "static:a/b.json?hosts=a%3D%5B%3A%3A1%5D%3A80&x=%26%3D";
        let spec: Spec = text.parse().unwrap();
        assert_eq!(spec.to_string().parse::<Spec>().unwrap(), spec);
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        let spec: Spec = "influxdb:http://h?dbx=1".parse().unwrap();
        let error = spec.options::<Options>().unwrap_err().to_string();
        assert_eq!(
            error,
            "influxdb: unknown option `dbx`, expected one of `db`, `concurrency`, `secure`"
        );
        let spec: Spec = "influxdb:http://h?concurrency=two".parse().unwrap();
        assert!(spec.options::<Options>().unwrap_err().to_string().contains("invalid digit"));
        assert!("?db=1".parse::<Spec>().unwrap_err().to_string().contains("KIND[:LOCATION]"));
        assert_eq!(
            spec.unknown_kind("sink", &["log", "influxdb"]).to_string(),
            "unknown sink `influxdb`; the known ones are log, influxdb"
        );
    }
}
