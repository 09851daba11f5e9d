//! Reading the credentials file.

use std::{fs, io::Read as _, ops::Range, path::Path, sync::Arc};

use serde::Deserialize;
use toml::Spanned;

use super::{Access, Credential, Glob, Proof, Role, Token, TokenHash};

/// The largest file that is read: some ten thousand entries.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// The entries of a credentials file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    entries: Vec<Arc<Credential>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    credential: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    token: Option<String>,
    certificate: Option<String>,
    #[serde(default)]
    clusters: Vec<String>,
    roles: Option<Vec<Role>>,
    access: Option<Access>,
}

impl Credentials {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence with the file, the line and what to do.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let failed = |error| format!("cannot read {name}: {error}");
        let mut text = String::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("{name} is larger than {MAX_FILE_BYTES} bytes"));
        }
        Self::parse(&text, &name.to_string())
    }

    /// Reads a file's text; `name` is what messages call it. No entries are no error: whoever was
    /// named in it before is so no more.
    ///
    /// # Errors
    /// A sentence with the file, the line and what to do; never with a token in it.
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        let at = |span: Option<Range<usize>>| {
            let start = span.map_or(0, |span| span.start).min(text.len());
            let before = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n');
            format!("{name}:{}", before.count() + 1)
        };
        let document: Document = toml::from_str(text).map_err(|error: toml::de::Error| {
            let place = at(error.span());
            format!("{place}: {}; an entry is a [[credential]] with name, token or certificate, and clusters or access", error.message())
        })?;
        let mut known = Self::default();
        for entry in document.credential {
            let place = at(Some(entry.span()));
            let entry = entry.into_inner();
            check_name(&entry.name).map_err(|what| format!("{place}: {what}"))?;
            let wrong = |what: String| format!("{place}: credential `{}`: {what}", entry.name);
            let credential = credential(&entry).map_err(wrong)?;
            known.check_new(&credential).map_err(wrong)?;
            known.entries.push(Arc::new(credential));
        }
        Ok(known)
    }

    /// Whether an entry may stand beside those that are there.
    ///
    /// # Errors
    /// What it has in common with one of them.
    pub fn check_new(&self, new: &Credential) -> Result<(), String> {
        for entry in &self.entries {
            if entry.name == new.name {
                return Err("another entry has this name: give each its own".to_owned());
            }
            if entry.proof == new.proof {
                return Err(format!(
                    "the entry `{}` has the same token or certificate: give each its own",
                    entry.name
                ));
            }
        }
        Ok(())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry with this token's hash. Takes as long for each token that there is.
    #[must_use]
    pub fn of_token(&self, hash: &TokenHash) -> Option<&Arc<Credential>> {
        let mut found = None;
        for entry in &self.entries {
            if matches!(&entry.proof, Proof::Token(known) if known == hash) {
                found = Some(entry);
            }
        }
        found
    }

    /// The entry of the certificates with this name.
    #[must_use]
    pub fn of_certificate(&self, name: &str) -> Option<&Arc<Credential>> {
        let is_it = |proof: &Proof| matches!(proof, Proof::Certificate(known) if known == name);
        self.entries.iter().find(|entry| is_it(&entry.proof))
    }
}

fn credential(entry: &Entry) -> Result<Credential, String> {
    let proof = match (&entry.token, &entry.certificate) {
        (Some(token), None) => Proof::Token(token.parse::<TokenHash>()?),
        (None, Some(name)) if !name.is_empty() => Proof::Certificate(name.clone()),
        (None, Some(_)) => return Err("`certificate` is the name in one: it is empty".to_owned()),
        _ => return Err("it needs either `token` or `certificate`".to_owned()),
    };
    let clusters: Result<Vec<Glob>, _> = entry.clusters.iter().map(|it| Glob::new(it)).collect();
    let clusters = clusters?;
    if clusters.is_empty() && entry.access.is_none() {
        return Err("it allows nothing: give it `clusters` for a buddy, such as clusters = [\"prod\"], or `access` for people, \"read\" or \"admin\"".to_owned());
    }
    if clusters.is_empty() && entry.roles.is_some() {
        return Err("`roles` are those of a buddy: give it `clusters` too".to_owned());
    }
    let roles = entry.roles.clone().unwrap_or_else(|| Role::ALL.to_vec());
    if roles.is_empty() {
        return Err("`roles` is empty: leave it out for all of them".to_owned());
    }
    Ok(Credential { name: entry.name.clone(), proof, clusters, roles, access: entry.access })
}

/// Whether pages and logs can show a name.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 253 || name.chars().any(char::is_control) {
        return Err("a name has 1 to 253 bytes and no control characters".to_owned());
    }
    // It would be shown to everybody.
    if name.starts_with("heapster_") && Token::new(name).is_ok() && name.len() > 40 {
        return Err(
            "`name` looks like a token: give the entry a name that others may see".to_owned()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(text: &str) -> Result<Credentials, String> {
        Credentials::parse(&text.replace("HASH", HASH), "file")
    }

    #[test]
    fn entries_say_who_may_do_what() {
        let text = "[[credential]]\nname = 'lab'\ntoken = 'HASH'\nclusters = ['lab', 'eu-*']\n\
                    roles = ['polls']\n[[credential]]\nname = 'alice'\ncertificate = 'alice@x'\n\
                    access = 'admin'\n";
        let credentials = parse(text).unwrap();
        let lab = credentials.of_token(&Token::new("abc").unwrap().hash()).unwrap();
        assert!(lab.names_cluster("eu-1") && !lab.names_cluster("prod"));
        assert_eq!((lab.roles.as_slice(), lab.access), (&[Role::Polls][..], None));
        let alice = credentials.of_certificate("alice@x").unwrap();
        assert_eq!((alice.access, alice.clusters.len()), (Some(Access::Admin), 0));
        assert!(credentials.of_token(&Token::new("abd").unwrap().hash()).is_none());
        assert!(credentials.of_certificate("alice").is_none());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn written_out_an_entry_reads_back_the_same() {
        let credential = Credential {
            name: "a \"b\" 'c'\\".to_owned(),
            proof: Proof::Token(HASH.parse().unwrap()),
            clusters: vec![Glob::new("eu-*").unwrap()],
            roles: vec![Role::Polls, Role::ObservesEvents],
            access: Some(Access::Read),
        };
        let certificate = Credential {
            name: "x".to_owned(),
            proof: Proof::Certificate("cn".to_owned()),
            roles: Role::ALL.to_vec(),
            ..credential.clone()
        };
        let text = credential.to_toml() + &certificate.to_toml();
        let read = parse(&text).unwrap();
        let entries: Vec<Credential> = read.entries.iter().map(|it| (**it).clone()).collect();
        assert_eq!(entries, [credential, certificate], "{text}");
    }

    /// Each with the line, and what to do about it.
    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let head = "[[credential]]\nname = 'a'\n";
        let cases = [
            ("token = 'HASH'\n", "file:1: credential `a`: it allows nothing"),
            ("clusters = ['x']\n", "file:1: credential `a`: it needs either `token` or"),
            ("token = 'HASH'\ncertificate = 'b'\naccess = 'read'\n", "either `token` or"),
            ("token = 'abc'\naccess = 'read'\n", "`heapster token new` writes it"),
            ("token = 'HASH'\nclusters = ['a b']\n", "`a b` names no cluster"),
            ("token = 'HASH'\nclusters = ['a']\nroles = []\n", "`roles` is empty"),
            ("token = 'HASH'\naccess = 'read'\nroles = ['polls']\n", "give it `clusters` too"),
            ("token = 'HASH'\naccess = 'write'\n", "file:4: unknown variant `write`"),
            ("token = 'HASH'\naccess = 'read'\ncluster = 'x'\n", "file:5: unknown field `cluster`"),
            ("certificate = ''\naccess = 'read'\n", "it is empty"),
            ("token = \n", "file:3: "),
            (
                "token = 'HASH'\naccess = 'read'\n[[credential]]\nname = 'a'\ncertificate = 'b'\naccess = 'read'\n",
                "file:5: credential `a`: another entry has this name",
            ),
            (
                "token = 'HASH'\naccess = 'read'\n[[credential]]\nname = 'b'\ntoken = 'HASH'\naccess = 'read'\n",
                "the entry `a` has the same token",
            ),
        ];
        for (rest, wanted) in cases {
            let error = parse(&format!("{head}{rest}")).unwrap_err();
            assert!(error.contains(wanted), "{rest}\n{error}");
        }
        assert!(parse("[[credentials]]\n").unwrap_err().contains("file:1: unknown field"));
        let missing = Credentials::read(Path::new("no/such/file")).unwrap_err();
        assert!(missing.starts_with("cannot read no/such/file: "), "{missing}");
    }

    /// A token that was put where its hash belongs is not repeated in logs.
    #[test]
    fn errors_do_not_repeat_tokens() {
        let token = Token::generate().unwrap();
        let digits = &token.expose()[20..];
        for text in [
            format!("[[credential]]\nname = 'a'\ntoken = '{}'\naccess = 'read'\n", token.expose()),
            format!("[[credential]]\nname = 'a'\ntoken = '{} \n", token.expose()),
            format!("[[credential]]\nname = '{}'\naccess = 'read'\n", token.expose()),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(!error.contains(digits), "{error}");
        }
    }
}
