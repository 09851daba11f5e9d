//! Who asks, and whether he may: what the API server says, as every aggregated server of Kubernetes
//! does it.
//!
//! Who asks is, by the first of these that says so:
//!
//! 1. the front proxy, which is the API server: a client certificate that the request-header authority
//!    of the config map `kube-system/extension-apiserver-authentication` has signed, for one of the names
//!    listed there. Its `X-Remote-` headers name the user; from anybody else they count for nothing;
//! 2. a client certificate that the cluster's authority for clients has signed (the same config map);
//! 3. a bearer token, by a TokenReview.
//!
//! Whether he may is asked by a SubjectAccessReview. Members of `system:masters` may, without a question;
//! who shows no credentials may not, without a question, so that strangers cannot have the API server
//! kept busy. Answers are remembered for ten seconds. Without the API server's word nobody gets an
//! answer (503), except by what is remembered.

mod cache;
mod reviews;
mod trust;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hyper::{HeaderMap, header::AUTHORIZATION};
use kube::Client;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{cache::Cache, trust::Trust};
use super::{request::Attributes, status::Status};

/// A group whose members may do everything.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const ANONYMOUS: &str = "system:anonymous";

/// How long an answer of the API server counts, and how long the word that a token is nobody's.
const REMEMBERED: Duration = Duration::from_secs(10);
const REFUSAL_REMEMBERED: Duration = Duration::from_secs(2);
/// Answers that are remembered, of each kind.
const ANSWERS: usize = 4096;
/// Questions that are under way at once, and what the answer to one may take.
const QUESTIONS: usize = 16;
const QUESTION_WITHIN: Duration = Duration::from_secs(10);
/// No token is longer, nor anything else that is worth a question.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How often the config map is read, and how soon again after a failure.
const TRUST_EVERY: Duration = Duration::from_secs(60);
const TRUST_AGAIN: Duration = Duration::from_secs(5);

/// Somebody who was recognised.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Deserialize)]
pub(super) struct User {
    #[serde(rename = "username", default)]
    pub(super) name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

impl User {
    fn recognised(mut self) -> Self {
        if self.name != ANONYMOUS && !self.groups.iter().any(|group| group == AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

/// What the API server says of a wish.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Decision {
    allowed: bool,
    reason: String,
}

/// Lets requests in, or not.
pub(super) struct Gate {
    client: Client,
    trust: RwLock<Option<Arc<Trust>>>,
    tokens: Cache<String, Option<Arc<User>>>,
    decisions: Cache<(Arc<User>, Attributes), Decision>,
    questions: Semaphore,
}

impl Gate {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            trust: RwLock::default(),
            tokens: Cache::new(ANSWERS),
            decisions: Cache::new(ANSWERS),
            questions: Semaphore::new(QUESTIONS),
        }
    }

    /// Whether it is known whom to believe.
    pub(super) fn is_ready(&self) -> bool {
        self.trusted().is_some()
    }

    /// Reads the config map now and again. What was read last stands until something else is read.
    pub(super) async fn follow_trust(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let asked = timeout(QUESTION_WITHIN, reviews::trust(&self.client)).await;
            let answer = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let wait = match answer.and_then(|data| Trust::of(&data)) {
                Ok(trust) => {
                    self.set_trust(trust);
                    TRUST_EVERY
                }
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "cannot learn from the config map kube-system/extension-apiserver-authentication whom to believe; bind the Role extension-apiserver-authentication-reader"
                    );
                    TRUST_AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn set_trust(&self, trust: Trust) {
        let mut known = self.trust.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref().is_none_or(|known| !known.is_same(&trust)) {
            tracing::info!("learned whom the API server believes");
            *known = Some(Arc::new(trust));
        }
    }

    fn trusted(&self) -> Option<Arc<Trust>> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a request in, or says why not. `chain` is the client's certificate and those that are to
    /// lead from it to an authority; that the client has its key is known, and nothing more.
    pub(super) async fn admit(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
        asked: &Attributes,
    ) -> Result<(), Status> {
        let user = self.authenticate(chain, headers).await?;
        if user.name == ANONYMOUS {
            return Err(Status::forbidden(ANONYMOUS, asked, ""));
        }
        if user.groups.iter().any(|group| group == MASTERS) {
            return Ok(());
        }
        let decision = self.decide(&user, asked).await?;
        if decision.allowed {
            return Ok(());
        }
        Err(Status::forbidden(&user.name, asked, &decision.reason))
    }

    async fn authenticate(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Result<Arc<User>, Status> {
        let trust = self.trusted();
        let by_certificate = trust.and_then(|trust| trust.user(chain, headers));
        if let Some(user) = by_certificate {
            return Ok(Arc::new(user.recognised()));
        }
        match bearer(headers) {
            Some(token) if token.len() <= LONGEST_TOKEN => self.token_user(token).await,
            Some(_) => Err(Status::unauthorized()),
            // A certificate that nobody knows is no missing one.
            None if !chain.is_empty() => Err(Status::unauthorized()),
            None => Ok(Arc::new(User { name: ANONYMOUS.to_owned(), ..User::default() })),
        }
    }

    async fn token_user(&self, token: &str) -> Result<Arc<User>, Status> {
        let remembered = self.tokens.get(token, Instant::now());
        let user = match remembered {
            Some(user) => user,
            None => {
                let user = self.ask(reviews::token(&self.client, token)).await?;
                let user = user.map(|user| Arc::new(user.recognised()));
                let remembered = if user.is_some() { REMEMBERED } else { REFUSAL_REMEMBERED };
                self.tokens.put(token.to_owned(), user.clone(), Instant::now() + remembered);
                user
            }
        };
        user.ok_or_else(Status::unauthorized)
    }

    async fn decide(&self, user: &Arc<User>, asked: &Attributes) -> Result<Decision, Status> {
        let key = (Arc::clone(user), asked.clone());
        if let Some(decision) = self.decisions.get(&key, Instant::now()) {
            return Ok(decision);
        }
        let decision = self.ask(reviews::access(&self.client, user, asked)).await?;
        self.decisions.put(key, decision.clone(), Instant::now() + REMEMBERED);
        Ok(decision)
    }

    /// Waits for an answer of the API server. When it is away nobody is let in.
    async fn ask<T>(&self, answer: impl Future<Output = Result<T, String>>) -> Result<T, Status> {
        let asked = timeout(QUESTION_WITHIN, async {
            // The semaphore is never closed.
            let _place = self.questions.acquire().await.map_err(|error| error.to_string())?;
            answer.await
        });
        let answer = asked.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        answer.map_err(|error| {
            tracing::warn!(%error, "cannot ask the API server who may read metrics; refused");
            Status::unavailable("the API server cannot be asked who may do this".to_owned())
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
