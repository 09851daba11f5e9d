//! Credentials for tokens, by OAuth 2.0 as Google speaks it.

use std::time::Duration;

use heapster_shared::secret::Secret;
use jiff::Timestamp;
use reqwest::{Method, Url, header};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    AHEAD, SCOPES, Token,
    assertion::assertion,
    failed,
    file::{Federated, ServiceAccount, User},
};
use crate::sinks::{
    SinkError,
    peer::{Answer, HttpPeer, PeerOptions},
};

/// A token as OAuth gives it.
#[derive(Deserialize)]
struct Given {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

/// A token of a service account that was asked for in the name of another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: Secret,
    expire_time: Timestamp,
}

/// With the key of a service account.
pub(super) async fn service_account(
    account: &ServiceAccount,
    peer: &PeerOptions,
    now: Timestamp,
) -> Result<Token, SinkError> {
    let assertion = assertion(account, now).map_err(failed)?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
    ];
    let answer = post_form(&account.token_uri, peer, &form).await?;
    token(&answer.body, None)
}

/// With what a user left.
pub(super) async fn user(user: &User, peer: &PeerOptions) -> Result<Token, SinkError> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &user.client_id),
        ("client_secret", user.client_secret.expose()),
        ("refresh_token", user.refresh_token.expose()),
    ];
    let answer = post_form(&user.token_uri, peer, &form).await?;
    token(&answer.body, user.quota_project_id.clone())
}

/// With a token of somebody else's.
pub(super) async fn federated(account: &Federated, peer: &PeerOptions) -> Result<Token, SinkError> {
    let subject = account.credential_source.token().map_err(failed)?;
    // To act as a service account takes a token for more than its work.
    let scope = match account.service_account_impersonation_url {
        Some(_) => "https://www.googleapis.com/auth/cloud-platform",
        None => SCOPES,
    };
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", &account.audience),
        ("scope", scope),
        ("subject_token_type", &account.subject_token_type),
        ("subject_token", subject.expose()),
    ];
    let answer = post_form(&account.token_url, peer, &form).await?;
    let first = token(&answer.body, account.quota_project_id.clone())?;
    match &account.service_account_impersonation_url {
        Some(url) => impersonate(url, peer, &first).await,
        None => Ok(first),
    }
}

async fn impersonate(url: &str, peer: &PeerOptions, first: &Token) -> Result<Token, SinkError> {
    let scopes: Vec<&str> = SCOPES.split(' ').collect();
    let body = json!({"scope": scopes, "lifetime": "3600s"}).to_string();
    let (peer, path) = peer_of(url, peer)?;
    let request = peer.bare_request(Method::POST, &path).bearer_auth(first.secret.expose());
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
    let answer = checked(&peer, peer.send(request).await?)?;
    let given: Impersonated = serde_json::from_slice(&answer.body)
        .map_err(|_| failed("an account's token is not as Google gives it".into()))?;
    let life = given.expire_time.duration_since(Timestamp::now());
    let life = Duration::try_from(life).unwrap_or_default();
    Ok(Token::new(given.access_token, life, first.charged.clone()))
}

async fn post_form(
    url: &str,
    peer: &PeerOptions,
    form: &[(&str, &str)],
) -> Result<Answer, SinkError> {
    let (peer, path) = peer_of(url, peer)?;
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = peer.bare_request(Method::POST, &path);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = peer.send(request.body(body)).await?;
    checked(&peer, answer)
}

/// The peer of an address, and the path there.
fn peer_of(url: &str, options: &PeerOptions) -> Result<(HttpPeer, String), SinkError> {
    let wrong = |error: String| failed(format!("the credentials name no good address: {error}"));
    let mut base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let path = base.path().to_owned();
    base.set_path("");
    base.set_query(None);
    let options =
        PeerOptions { ca: options.ca.clone(), tls: options.tls, ..PeerOptions::default() };
    let peer = HttpPeer::new("Google's tokens", base.as_str(), options).map_err(wrong)?;
    Ok((peer, path))
}

/// An answer that is a success. Whatever is wrong with an account, it can be put right.
fn checked(peer: &HttpPeer, answer: Answer) -> Result<Answer, SinkError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let (place, says) = (peer.place(), &answer.says);
    Err(answer.transient(format!("{place} refuse the credentials: {}: {says}", answer.status)))
}

/// Reads a token.
pub(super) fn token(body: &[u8], charged: Option<String>) -> Result<Token, SinkError> {
    let given: Given = serde_json::from_slice(body)
        .map_err(|_| failed("a token is not as Google gives it".into()))?;
    Ok(Token::new(given.access_token, Duration::from_secs(given.expires_in), charged))
}

impl Token {
    /// One that lives this long from now on. A short life is used up to its half.
    fn new(secret: Secret, life: Duration, charged: Option<String>) -> Self {
        let now = Instant::now();
        let life = life.min(Duration::from_secs(86_400));
        let fetch_at = now + life.saturating_sub(AHEAD).max(life / 2);
        Self { secret, charged, fetch_at, ends: now + life }
    }
}
