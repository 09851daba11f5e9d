//! The way to the API server: HTTP with TLS and credentials, and obedience to `Retry-After`.
//!
//! It is kube's client on a stack of our own, without its retries and its log of every failure:
//! who asks here tries again by itself, and says what is wrong once.

mod token;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, RETRY_AFTER},
};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{Client, Config, client::ConfigExt as _};
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder};

use self::token::TokenFile;
use super::trouble::sentence;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is silent this long is asked whether it lives, this often, so many times.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);
const IDLE_CONNECTION: Duration = Duration::from_secs(90);
/// However long a server asks to be left alone, it is asked again after this.
const LONGEST_HOLD_OFF: Duration = Duration::from_secs(300);

/// A client of the API server that a configuration names. Needs a runtime.
///
/// # Errors
/// A sentence, when certificates or credentials cannot be used.
pub(super) fn client(mut config: Config, hold_off: HoldOff) -> Result<Client, String> {
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let login = &mut config.auth_info;
    let file = login.token_file.take().filter(|_| login.token.is_none());
    let token = file.map(|path| TokenFile::open(path.into())).transpose()?;
    stack(&config, token, hold_off).map_err(|error| sentence(&error))
}

fn stack(
    config: &Config,
    token: Option<TokenFile>,
    hold_off: HoldOff,
) -> Result<Client, kube::Error> {
    let token = token.map(Arc::new);
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEP_ALIVE.0));
    http.set_keepalive_interval(Some(KEEP_ALIVE.1));
    http.set_keepalive_retries(Some(KEEP_ALIVE.2));
    let https = config.rustls_https_connector_with_connector(http)?;
    let http = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .build::<_, kube::client::Body>(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: hyper::Request<kube::client::Body>| {
            if let Some(token) = &token {
                request.headers_mut().insert(AUTHORIZATION, token.header());
            }
            request
        })
        .map_response(move |response: hyper::Response<hyper::body::Incoming>| {
            hold_off.note(response.headers());
            response
        })
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest wish counts, up to a bound; dates and nonsense are no wishes.
    #[tokio::test(start_paused = true)]
    async fn a_server_is_left_alone_as_long_as_it_asks() {
        let hold_off = HoldOff::default();
        let started = Instant::now();
        for (value, expected) in [("x", 0), ("7", 7), ("3", 7), ("99999", 300)] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            hold_off.note(&headers);
            let waits = hold_off.0.lock().unwrap().map_or(0, |until| (until - started).as_secs());
            assert_eq!(waits, expected, "{value}");
        }
        hold_off.wait().await;
        assert!(started.elapsed() >= LONGEST_HOLD_OFF);
    }
}
