//! As whom to appear to Google: a token, fetched with the credentials that there are, kept, and
//! fetched anew before it runs out.

mod assertion;
mod exchange;
mod file;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use heapster_shared::secret::Secret;
use reqwest::{Method, RequestBuilder};
use tokio::{sync::Mutex, time::Instant};

use self::file::Form;
use super::options::Options;
use crate::sinks::{
    SinkError,
    peer::{Credentials, HttpPeer, PeerOptions},
};

/// Where tokens come from, and the newest one.
#[derive(Debug)]
pub(super) struct TokenSource {
    origin: Origin,
    peer: PeerOptions,
    metadata: HttpPeer,
    newest: Mutex<Option<Token>>,
}

/// Where tokens come from.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Origin {
    /// None is needed.
    Nobody,
    /// The option `token` or `token_file`.
    Given,
    /// A file that Google's tools write; read whenever a token is fetched, so that it can be changed.
    File(PathBuf),
    /// The machine's metadata server.
    Machine,
}

/// A token and its life.
#[derive(Clone, Debug)]
struct Token {
    secret: Secret,
    /// The project that requests are charged to, where the credentials say so.
    charged: Option<String>,
    fetch_at: Instant,
    ends: Instant,
}

/// How long before its end a token is fetched anew.
const AHEAD: Duration = Duration::from_secs(240);
/// What tokens are for.
const SCOPES: &str = "https://www.googleapis.com/auth/monitoring.write https://www.googleapis.com/auth/logging.write";

impl TokenSource {
    pub(super) fn new(options: &Options, peer: &PeerOptions) -> Result<Self, String> {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let origin = origin(options, peer, environment, Path::is_file);
        let host = match options.metadata_host.as_str() {
            "" => environment("GCE_METADATA_HOST").unwrap_or("metadata.google.internal".into()),
            host => host.to_owned(),
        };
        let metadata = HttpPeer::new("the metadata server", &host, PeerOptions::default())?;
        Ok(Self { origin, peer: peer.clone(), metadata, newest: Mutex::default() })
    }

    /// The request with a token.
    ///
    /// # Errors
    /// When none is to be had now; the credentials can be put right while samples wait.
    pub(super) async fn authorize(
        &self,
        request: RequestBuilder,
    ) -> Result<RequestBuilder, SinkError> {
        match &self.origin {
            Origin::Nobody => return Ok(request),
            Origin::Given => {
                let given = self.peer.credentials().map_err(failed)?;
                let Credentials::Token(token) = given else { return Ok(request) };
                return Ok(request.bearer_auth(token.expose()));
            }
            Origin::File(_) | Origin::Machine => {}
        }
        let token = self.token().await?;
        let request = request.bearer_auth(token.secret.expose());
        Ok(match &token.charged {
            Some(project) => request.header("x-goog-user-project", project),
            None => request,
        })
    }

    /// The newest token, a new one when it is about to run out. Whoever asks meanwhile waits.
    async fn token(&self) -> Result<Token, SinkError> {
        let mut newest = self.newest.lock().await;
        let now = Instant::now();
        if let Some(token) = newest.as_ref().filter(|token| now < token.fetch_at) {
            return Ok(token.clone());
        }
        match self.fetch().await {
            Ok(token) => Ok(newest.insert(token).clone()),
            Err(error) => match newest.as_ref().filter(|token| now < token.ends) {
                Some(token) => {
                    tracing::debug!(%error, "no new token yet; the one there is will do for now");
                    Ok(token.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn fetch(&self) -> Result<Token, SinkError> {
        let Origin::File(path) = &self.origin else {
            let path = format!(
                "instance/service-accounts/default/token?scopes={}",
                SCOPES.replace(' ', ",")
            );
            let text = self.metadata(&path).await?;
            return exchange::token(text.as_bytes(), None);
        };
        match Form::read(path).map_err(failed)? {
            Form::ServiceAccount(account) => {
                exchange::service_account(&account, &self.peer, jiff::Timestamp::now()).await
            }
            Form::AuthorizedUser(user) => exchange::user(&user, &self.peer).await,
            Form::ExternalAccount(account) => exchange::federated(&account, &self.peer).await,
        }
    }

    /// Forgets a token that is no good.
    pub(super) async fn forget(&self) {
        *self.newest.lock().await = None;
    }

    /// The project that the credentials name.
    ///
    /// # Errors
    /// When their file is no good.
    pub(super) fn project(&self) -> Result<Option<String>, SinkError> {
        match &self.origin {
            Origin::File(path) => Ok(Form::read(path).map_err(failed)?.project()),
            Origin::Nobody | Origin::Given | Origin::Machine => Ok(None),
        }
    }

    /// Whether the machine itself has the credentials, and so a metadata server.
    pub(super) fn is_of_machine(&self) -> bool {
        self.origin == Origin::Machine
    }

    /// What the metadata server has at a path.
    ///
    /// # Errors
    /// When it does not answer, or has nothing there.
    pub(super) async fn metadata(&self, path: &str) -> Result<String, SinkError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request =
            self.metadata.bare_request(Method::GET, &format!("/computeMetadata/v1/{path}"));
        let query: Vec<(&str, &str)> = query.split_once('=').into_iter().collect();
        let request = request.query(&query).header("Metadata-Flavor", "Google");
        let answer = self.metadata.send(request).await?;
        if answer.status.is_success() {
            return Ok(String::from_utf8_lossy(&answer.body).trim().to_owned());
        }
        let (place, says) = (self.metadata.place(), &answer.says);
        Err(answer.transient(format!("{place} has no {path}: {}: {says}", answer.status)))
    }
}

/// What can be put right while samples wait.
fn failed(message: String) -> SinkError {
    SinkError::Transient { message, retry_after: None }
}

/// The first of the usual places that has credentials.
fn origin(
    options: &Options,
    peer: &PeerOptions,
    environment: impl Fn(&str) -> Option<String>,
    exists: impl Fn(&Path) -> bool,
) -> Origin {
    match options.credentials.as_str() {
        "" if peer.has_token() => return Origin::Given,
        "" => {}
        "none" => return Origin::Nobody,
        "metadata" => return Origin::Machine,
        path => return Origin::File(path.into()),
    }
    if let Some(path) = environment("GOOGLE_APPLICATION_CREDENTIALS") {
        return Origin::File(path.into());
    }
    let folder = environment("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(&environment("HOME")?).join(".config/gcloud")));
    match folder.map(|folder| folder.join("application_default_credentials.json")) {
        Some(path) if exists(&path) => Origin::File(path),
        _ => Origin::Machine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which Google's own libraries look.
    #[test]
    fn credentials_are_found_in_the_usual_places() {
        let find = |credentials: &str, token: &str, set: &[(&str, &str)], there: bool| {
            let options = Options { credentials: credentials.into(), ..Options::default() };
            let peer = PeerOptions { token: token.to_owned().into(), ..PeerOptions::default() };
            let environment = |name: &str| {
                set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            };
            origin(&options, &peer, environment, |_| there)
        };
        let set = [("GOOGLE_APPLICATION_CREDENTIALS", "/key.json"), ("HOME", "/h")];
        assert_eq!(find("none", "", &set, true), Origin::Nobody);
        assert_eq!(find("metadata", "", &set, true), Origin::Machine);
        assert_eq!(find("/mine.json", "", &set, true), Origin::File("/mine.json".into()));
        assert_eq!(find("", "t", &set, true), Origin::Given);
        assert_eq!(find("", "", &set, true), Origin::File("/key.json".into()));
        let well_known = "/h/.config/gcloud/application_default_credentials.json";
        assert_eq!(find("", "", &set[1..], true), Origin::File(well_known.into()));
        assert_eq!(find("", "", &set[1..], false), Origin::Machine);
        let elsewhere = [("CLOUDSDK_CONFIG", "/sdk"), ("HOME", "/h")];
        let there = Origin::File("/sdk/application_default_credentials.json".into());
        assert_eq!(find("", "", &elsewhere, true), there);
    }
}
