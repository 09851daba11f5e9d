//! A connection to one endpoint, and its answers.

use std::{error::Error as _, time::Duration};

use heapster_shared::secret::Secret;
use reqwest::{Response, header, redirect};
use serde::de::DeserializeOwned;

use super::{access::Access, endpoint::Endpoint};

/// More than this is no list of hosts.
const ANSWER_BYTES: usize = 64 << 20;
/// Of a refusal no more is shown than this.
const REFUSAL_CHARS: usize = 200;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to one endpoint. Certificates and secrets are as their files were when it was made: it
/// is made anew after each failure.
pub(in crate::discovery) struct Http {
    client: reqwest::Client,
    base: String,
    login: Option<(String, Secret)>,
}

/// An answer.
#[derive(Debug)]
pub(in crate::discovery) struct Answer {
    pub(in crate::discovery) status: u16,
    headers: header::HeaderMap,
    pub(in crate::discovery) body: Vec<u8>,
}

impl Http {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// A sentence, when a file cannot be used.
    pub(in crate::discovery) fn new(endpoint: &Endpoint, access: &Access) -> Result<Self, String> {
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(access.tls(endpoint)?)
            .no_proxy()
            // Secrets go to nobody but whom they are meant for.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(1)
            .default_headers(access.token_header()?.into_iter().collect())
            .user_agent(heapster_shared::SOFTWARE);
        let base = match endpoint {
            Endpoint::Url(url) => url.clone(),
            Endpoint::Unix(path) => {
                client = client.unix_socket(path.as_path());
                "http://localhost".to_owned()
            }
        };
        let client = client.build().map_err(|error| format!("cannot set up HTTP: {error}"))?;
        Ok(Self { client, base, login: access.login()? })
    }

    /// The answer to a question, whatever its status; the caller keeps an eye on the time.
    ///
    /// # Errors
    /// A sentence, when there is none.
    pub(in crate::discovery) async fn get(&self, path: &str) -> Result<Answer, String> {
        let mut response = self.send(path).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cause)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(format!("the answer has more than {} MiB", ANSWER_BYTES >> 20));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status: response.status().as_u16(), headers, body })
    }

    /// The answer to a question that has to succeed.
    ///
    /// # Errors
    /// A sentence, when there is none, or a refusal.
    pub(in crate::discovery) async fn ask(&self, path: &str) -> Result<Answer, String> {
        let answer = self.get(path).await?;
        if answer.status == 200 { Ok(answer) } else { Err(answer.refusal()) }
    }

    /// Returns when something of an answer without an end has come.
    ///
    /// # Errors
    /// A sentence, when it is refused or ends.
    pub(in crate::discovery) async fn first_of_stream(&self, path: &str) -> Result<(), String> {
        let mut response = self.send(path).await?;
        if response.status() != 200 {
            return Err(format!("answered {}", response.status()));
        }
        match response.chunk().await.map_err(cause)? {
            Some(_) => Ok(()),
            None => Err("the stream ended".to_owned()),
        }
    }

    async fn send(&self, path: &str) -> Result<Response, String> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password.expose()));
        }
        request.send().await.map_err(cause)
    }
}

impl Answer {
    /// An answer without headers that nobody sent.
    pub(in crate::discovery) fn with_body(body: &[u8]) -> Self {
        Self { status: 200, headers: header::HeaderMap::new(), body: body.to_vec() }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// A sentence.
    pub(in crate::discovery) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("no valid answer: {error}"))
    }

    /// A header.
    pub(in crate::discovery) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What a refusal says, and what to do about it.
    pub(in crate::discovery) fn refusal(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let line: String = line.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARS).collect();
        let colon = if line.is_empty() { "" } else { ": " };
        let advice = match (self.status, self.header("location")) {
            (300..=399, Some(place)) => {
                format!("; it sends on to {place}: name that address instead")
            }
            (401 | 403, _) => "; check the user or token and what it may read".to_owned(),
            _ => String::new(),
        };
        format!("answered {}{colon}{line}{advice}", self.status)
    }
}

/// A failure below HTTP. What it says is the innermost cause: the outer ones repeat each other.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let doing = if error.is_connect() { "cannot connect" } else { "no answer" };
    let mut cause = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        cause = error.to_string();
        inner = error.source();
    }
    format!("{doing}: {cause}")
}
