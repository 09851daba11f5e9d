//! Who may connect to a master, and as what: the credentials file.
//!
//! ```toml
//! [[credential]]
//! name = "lab"
//! token = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! clusters = ["lab", "eu-*"]
//! roles = ["discovers", "polls"]
//!
//! [[credential]]
//! name = "alice"
//! certificate = "alice@example.org"
//! access = "admin"
//! ```
//!
//! A token is 256 random bits, so that its plain hash cannot be turned back, and needs no salt. An
//! entry with `clusters` is for buddies, in all roles unless `roles` names some; one with `access`
//! is for people and programs that ask by HTTP.

mod file;
mod glob;
mod token;

use std::fmt;

use serde::Deserialize;

pub use file::{Credentials, MAX_FILE_BYTES};
pub use glob::Glob;
pub use token::{Token, TokenHash};

/// What a buddy does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Finds hosts.
    Discovers,
    /// Polls hosts and sends rows.
    Polls,
    /// Sends events.
    ObservesEvents,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Discovers, Self::Polls, Self::ObservesEvents];

    /// The role as pages and files name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovers => "discovers",
            Self::Polls => "polls",
            Self::ObservesEvents => "observes_events",
        }
    }
}

/// What somebody may do by HTTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Look at what is measured, and how the master is.
    Read,
    /// Everything: what changes something, and the insides.
    Admin,
}

impl Access {
    /// The word as files name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// By what somebody is known.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A token of this hash.
    Token(TokenHash),
    /// A certificate whose common name is this, signed by an authority that the master knows.
    Certificate(String),
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(***)"),
            Self::Certificate(name) => f.debug_tuple("Certificate").field(name).finish(),
        }
    }
}

/// An entry of the credentials file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// What pages and logs call it.
    pub name: String,
    /// By what it is known.
    pub proof: Proof,
    /// The clusters that a buddy may speak for; none where it is not for buddies.
    pub clusters: Vec<Glob>,
    /// What such a buddy may do.
    pub roles: Vec<Role>,
    /// What may be done by HTTP.
    pub access: Option<Access>,
}

impl Credential {
    /// Whether a buddy may speak for this cluster.
    #[must_use]
    pub fn names_cluster(&self, cluster: &str) -> bool {
        self.clusters.iter().any(|glob| glob.matches(cluster))
    }

    /// The entry as it is written in the file, with an empty line before it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let list = |texts: Vec<&str>| {
            let texts: Vec<String> = texts.into_iter().map(quoted).collect();
            format!("[{}]", texts.join(", "))
        };
        let mut lines = vec![String::new(), "[[credential]]".to_owned()];
        lines.push(format!("name = {}", quoted(&self.name)));
        lines.push(match &self.proof {
            Proof::Token(hash) => format!("token = {}", quoted(&hash.to_string())),
            Proof::Certificate(name) => format!("certificate = {}", quoted(name)),
        });
        if !self.clusters.is_empty() {
            lines.push(format!(
                "clusters = {}",
                list(self.clusters.iter().map(Glob::text).collect())
            ));
        }
        if self.roles.len() < Role::ALL.len() {
            lines.push(format!(
                "roles = {}",
                list(self.roles.iter().map(|role| role.name()).collect())
            ));
        }
        lines.extend(self.access.map(|access| format!("access = {}", quoted(access.name()))));
        lines.join("\n") + "\n"
    }
}
