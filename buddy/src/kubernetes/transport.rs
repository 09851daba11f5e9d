//! The way to the API server: HTTP with TLS and credentials, and obedience to `Retry-After`.
//!
//! It is kube's client on a stack of our own, without its retries and its log of every failure:
//! who asks here tries again by itself, and says what is wrong once.

mod renewed;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER},
};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
};
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder, util::BoxCloneService};

use self::renewed::Renewed;
use super::{connect::Connector, trouble::sentence};
use crate::token::Token;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is silent this long is asked whether it lives, this often, so many times.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);
const IDLE_CONNECTION: Duration = Duration::from_secs(90);
/// However long a server asks to be left alone, it is asked again after this.
const LONGEST_HOLD_OFF: Duration = Duration::from_secs(300);

/// Sends requests with all that a configuration says.
type Stack = BoxCloneService<Request<Body>, Response<Incoming>, BoxError>;

/// A client of the API server to which a connector leads; files are looked at this often. Needs a
/// runtime.
///
/// # Errors
/// A sentence, when certificates or credentials cannot be used.
pub(super) async fn client(
    connector: Connector,
    hold_off: HoldOff,
    look_every: Duration,
) -> Result<Client, String> {
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let renewed = Renewed::open(connector, hold_off, look_every).await?;
    // Only typed calls without a namespace of their own would look at it.
    Ok(Client::new(renewed, "default"))
}

/// May run the helper of a kubeconfig, and wait for it.
fn stack(mut config: Config, hold_off: HoldOff, look_every: Duration) -> Result<Stack, String> {
    let login = &mut config.auth_info;
    // Not left to the client, which takes the line's end at the end of a file for a part of the token.
    let file = login.token_file.take().filter(|_| login.token.is_none());
    let token = file.map(|path| Token::in_file(path.as_ref(), look_every));
    if let Some(token) = &token {
        token.current()?;
    }
    assemble(&config, token, hold_off).map_err(|error| sentence(&error))
}

fn assemble(
    config: &Config,
    token: Option<Token>,
    hold_off: HoldOff,
) -> Result<Stack, kube::Error> {
    let token = token.map(Arc::new);
    let https = config.rustls_https_connector_with_connector(tcp())?;
    let http = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .build::<_, Body>(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: Request<Body>| {
            if let Some(header) = token.as_deref().and_then(bearer) {
                request.headers_mut().insert(AUTHORIZATION, header);
            }
            request
        })
        .map_response(move |response: Response<Incoming>| {
            hold_off.note(response.headers());
            response
        })
        .map_err(BoxError::from)
        .service(http);
    Ok(BoxCloneService::new(service))
}

fn tcp() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEP_ALIVE.0));
    http.set_keepalive_interval(Some(KEEP_ALIVE.1));
    http.set_keepalive_retries(Some(KEEP_ALIVE.2));
    http
}

/// The token as it is now. One that was read once does not go, so there is one.
fn bearer(token: &Token) -> Option<HeaderValue> {
    let token = token.current().ok()?;
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Until when the API server asked to be left alone: one for all who ask the same server, for it
/// says so of itself and not of one request.
#[derive(Clone, Default, Debug)]
pub(super) struct HoldOff(Arc<Mutex<Option<Instant>>>);

impl HoldOff {
    /// Notes what an answer says.
    fn note(&self, headers: &HeaderMap) {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let Some(seconds) = seconds.and_then(|text| text.trim().parse::<u64>().ok()) else {
            return;
        };
        let until = Instant::now() + Duration::from_secs(seconds).min(LONGEST_HOLD_OFF);
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = (*noted).max(Some(until));
    }

    /// Returns when the server may be asked again.
    pub(super) async fn wait(&self) {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}
