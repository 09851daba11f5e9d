//! The rules: who somebody is by what he shows, and what he may do. Pure but for the time, which
//! certificates are held against.

use std::sync::Arc;

use heapster_shared::{
    access::{Access, Credential, Credentials, Role},
    tls::ClientTrust,
};
use rustls::pki_types::UnixTime;

use super::Shown;

/// What the options and files say. With nothing in it everybody is let in.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Who is known; nothing where no file was given.
    pub credentials: Option<Credentials>,
    /// Whose certificates are believed.
    pub clients: Option<ClientTrust>,
    /// Names in certificates that may do everything by HTTP.
    pub allowed_users: Vec<String>,
}

/// Somebody who was recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// A part of this process.
    Within,
    /// Whoever: nobody is asked.
    Anyone,
    /// A certificate of this name; there is no file that says more of it.
    Certificate(String),
    /// An entry of the credentials file, and the name in the certificate where it is known by one.
    Known(Arc<Credential>, Option<String>),
}

/// Why a buddy is turned away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BuddyDenied {
    /// The credential does not name the cluster.
    Cluster(String),
    /// The credential does not have a role.
    Role(String),
}

impl Rules {
    /// Whether nobody is asked who he is.
    #[must_use]
    pub const fn let_everybody_in(&self) -> bool {
        self.credentials.is_none() && self.clients.is_none()
    }

    /// Who shows this.
    ///
    /// # Errors
    /// Why he is not let in, and what to do: a sentence without secrets.
    pub fn recognise(&self, shown: &Shown) -> Result<Who, String> {
        if shown.is_within {
            return Ok(Who::Within);
        }
        if self.let_everybody_in() {
            return Ok(Who::Anyone);
        }
        match (&shown.token, &self.credentials) {
            // What is shown has to be right, even if something else would do.
            (Some(token), Some(credentials)) => {
                let hash = token.as_ref().map_err(|wrong| (*wrong).to_owned())?;
                let known = credentials.of_token(hash).ok_or(
                    "the token is not in the master's credentials: it was revoked, or made for another master; make one with `heapster token new`",
                )?;
                return Ok(Who::Known(Arc::clone(known), None));
            }
            (Some(_), None) => {
                return Err("this master knows no tokens: show a client certificate, or have it started with --credentials FILE".to_owned());
            }
            (None, _) => {}
        }
        match (shown.chain.as_deref(), &self.clients) {
            (Some(chain), Some(clients)) => {
                let name = clients.name(chain, UnixTime::now());
                let name = name.map_err(|why| {
                    format!("the client certificate is not accepted: {why}; `heapster cert buddy` makes one")
                })?;
                self.named(name)
            }
            _ => Err(self.nothing_shown()),
        }
    }

    fn named(&self, name: String) -> Result<Who, String> {
        let Some(credentials) = &self.credentials else { return Ok(Who::Certificate(name)) };
        match credentials.of_certificate(&name) {
            Some(known) => Ok(Who::Known(Arc::clone(known), Some(name))),
            None if self.allowed_users.contains(&name) => Ok(Who::Certificate(name)),
            None => Err(format!(
                "the client certificate is that of {name:?}, which no entry of the master's credentials names: add one with `certificate = {name:?}`"
            )),
        }
    }

    fn nothing_shown(&self) -> String {
        let token = "a token (`heapster token new` makes one; a buddy sends it with --token-file FILE, HTTP as `authorization: Bearer TOKEN`)";
        let certificate = "a client certificate (`heapster cert buddy` makes one; a buddy shows it with --cert FILE --key FILE)";
        let wanted = match (&self.credentials, &self.clients) {
            (Some(_), Some(_)) => format!("{token}, or {certificate}"),
            (Some(_), None) => token.to_owned(),
            (None, _) => certificate.to_owned(),
        };
        format!("this master wants to know who connects: show {wanted}")
    }

    /// Whether somebody may be a buddy of this cluster in these roles; what it is called.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn buddy(&self, who: &Who, cluster: &str, roles: &[Role]) -> Result<(), BuddyDenied> {
        let credential = match who {
            Who::Within | Who::Anyone => return Ok(()),
            // Without a file each certificate may speak for each cluster.
            Who::Certificate(_) if self.credentials.is_none() => return Ok(()),
            Who::Certificate(name) => return Err(BuddyDenied::Cluster(not_for_buddies(name))),
            Who::Known(credential, _) => credential,
        };
        let name = &credential.name;
        if credential.clusters.is_empty() {
            return Err(BuddyDenied::Cluster(not_for_buddies(name)));
        }
        if !credential.names_cluster(cluster) {
            return Err(BuddyDenied::Cluster(format!(
                "the credential {name:?} does not name the cluster {cluster:?}: give the buddy one that does, or add the cluster to the entry's `clusters` in the master's credentials"
            )));
        }
        match roles.iter().find(|role| !credential.roles.contains(role)) {
            None => Ok(()),
            Some(role) => Err(BuddyDenied::Role(format!(
                "the credential {name:?} does not have the role {}: start the buddy without it, or add it to the entry's `roles` in the master's credentials",
                role.name()
            ))),
        }
    }

    /// What somebody may do by HTTP; nothing for one that is not for that.
    #[must_use]
    pub fn access(&self, who: &Who) -> Option<Access> {
        match who {
            Who::Within | Who::Anyone => Some(Access::Admin),
            Who::Known(_, Some(name)) | Who::Certificate(name)
                if self.allowed_users.contains(name) =>
            {
                Some(Access::Admin)
            }
            Who::Known(credential, _) => credential.access,
            // Those who are named have it to themselves, as in the ancestor.
            Who::Certificate(_) if self.allowed_users.is_empty() => Some(Access::Read),
            Who::Certificate(_) => None,
        }
    }
}

impl Who {
    /// What pages and logs call it; empty where nobody is asked.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Within | Self::Anyone => "",
            Self::Certificate(name) => name,
            Self::Known(credential, _) => &credential.name,
        }
    }
}

fn not_for_buddies(name: &str) -> String {
    format!(
        "the credential {name:?} is not for buddies: make one with `heapster token new NAME --cluster CLUSTER`"
    )
}

#[cfg(test)]
mod tests {
    use heapster_shared::access::Token;

    use super::*;

    fn rules() -> Rules {
        let hash = |token: &str| Token::new(token).unwrap().hash();
        let text = format!(
            "[[credential]]\nname = 'lab'\ntoken = '{}'\nclusters = ['lab-*']\nroles = ['polls']\n\
             [[credential]]\nname = 'alice'\ntoken = '{}'\naccess = 'read'\n",
            hash("one"),
            hash("two")
        );
        let credentials = Credentials::parse(&text, "file").unwrap();
        Rules { credentials: Some(credentials), ..Rules::default() }
    }

    fn token(text: &str) -> Shown {
        let token = Some(Ok(Token::new(text).unwrap().hash()));
        Shown { token, ..Shown::default() }
    }

    #[test]
    fn a_credential_is_for_its_clusters_and_roles() {
        let rules = rules();
        let lab = rules.recognise(&token("one")).unwrap();
        assert_eq!((lab.name(), rules.access(&lab)), ("lab", None));
        assert_eq!(rules.buddy(&lab, "lab-1", &[Role::Polls]), Ok(()));
        let Err(BuddyDenied::Cluster(why)) = rules.buddy(&lab, "prod", &[Role::Polls]) else {
            panic!("prod is not lab-*")
        };
        assert!(why.contains("\"lab\" does not name the cluster \"prod\""), "{why}");
        let both = [Role::Polls, Role::Discovers];
        let Err(BuddyDenied::Role(why)) = rules.buddy(&lab, "lab-1", &both) else {
            panic!("it only polls")
        };
        assert!(why.contains("the role discovers"), "{why}");

        let alice = rules.recognise(&token("two")).unwrap();
        assert_eq!(rules.access(&alice), Some(Access::Read));
        let denied = rules.buddy(&alice, "lab-1", &[Role::Polls]);
        assert!(
            matches!(denied, Err(BuddyDenied::Cluster(why)) if why.contains("not for buddies"))
        );
    }

    #[test]
    fn who_shows_nothing_or_the_wrong_thing_is_told_what_to_do() {
        let rules = rules();
        let error = |shown: &Shown| rules.recognise(shown).unwrap_err();
        assert!(error(&token("three")).contains("it was revoked, or made for another master"));
        assert!(error(&Shown::default()).contains("--token-file FILE"));
        let broken = Shown { token: Some(Err("the header")), ..Shown::default() };
        assert_eq!(error(&broken), "the header");
    }

    /// Without any rule nobody is asked; a part of this process never is.
    #[test]
    fn an_open_door_is_open() {
        let open = Rules::default();
        let anyone = open.recognise(&token("whatever")).unwrap();
        assert_eq!(anyone, Who::Anyone);
        assert_eq!(open.buddy(&anyone, "prod", &Role::ALL), Ok(()));
        assert_eq!(open.access(&anyone), Some(Access::Admin));
        let within = Shown { is_within: true, ..Shown::default() };
        assert_eq!(rules().recognise(&within), Ok(Who::Within));
        assert_eq!(rules().buddy(&Who::Within, "prod", &Role::ALL), Ok(()));
    }

    #[test]
    fn certificates_without_a_file_may_speak_for_any_cluster() {
        let rules = Rules::default();
        let (bob, eve) = (Who::Certificate("bob".into()), Who::Certificate("eve".into()));
        assert_eq!(rules.buddy(&bob, "prod", &Role::ALL), Ok(()));
        assert_eq!(rules.access(&bob), Some(Access::Read));
        let named = Rules { allowed_users: vec!["bob".into()], ..rules };
        assert_eq!(named.access(&bob), Some(Access::Admin));
        assert_eq!(named.access(&eve), None);
    }
}
