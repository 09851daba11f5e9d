//! Requests to Cloud Monitoring and Cloud Logging.

use bytes::Bytes;
use reqwest::{Method, header};

use super::{
    answer::{self, Verdict, verdict},
    credentials::TokenSource,
    descriptor::Descriptor,
    options::Options,
};
use crate::sinks::{
    SinkError,
    peer::{HttpPeer, PeerOptions},
};

/// The two APIs, and as whom to appear there.
#[derive(Debug)]
pub(super) struct Client {
    monitoring: HttpPeer,
    logging: HttpPeer,
    pub(super) tokens: TokenSource,
}

const JSON: &str = "application/json";

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(options: &Options, peer: &PeerOptions) -> Result<Self, String> {
        Ok(Self {
            monitoring: HttpPeer::new("Cloud Monitoring", &options.endpoint, peer.clone())?,
            logging: HttpPeer::new("Cloud Logging", &options.logging_endpoint, peer.clone())?,
            tokens: TokenSource::new(options, peer)?,
        })
    }

    /// Writes time series: as many as the request has samples.
    pub(super) async fn write(
        &self,
        project: &str,
        body: Bytes,
        samples: u64,
    ) -> Result<Verdict, SinkError> {
        let path = format!("/v3/projects/{project}/timeSeries");
        self.post(&self.monitoring, &path, body, samples, "roles/monitoring.metricWriter").await
    }

    /// Writes log entries.
    pub(super) async fn log(&self, body: Bytes, entries: u64) -> Result<Verdict, SinkError> {
        self.post(&self.logging, "/v2/entries:write", body, entries, "roles/logging.logWriter")
            .await
    }

    /// Describes a metric. One that cannot be described can be written all the same, so that only
    /// what may pass is a failure.
    pub(super) async fn describe(
        &self,
        project: &str,
        descriptor: &Descriptor,
    ) -> Result<(), SinkError> {
        let path = format!("/v3/projects/{project}/metricDescriptors");
        let body = descriptor.to_json().into();
        let role = "roles/monitoring.metricWriter";
        match self.post(&self.monitoring, &path, body, 1, role).await? {
            Verdict::Failed(SinkError::Permanent { message }) => {
                tracing::warn!(metric = descriptor.name, message, "a metric cannot be described");
                Ok(())
            }
            Verdict::Failed(transient) => Err(transient),
            Verdict::Taken | Verdict::TakenInPart { .. } => Ok(()),
        }
    }

    async fn post(
        &self,
        peer: &HttpPeer,
        path: &str,
        body: Bytes,
        samples: u64,
        role: &str,
    ) -> Result<Verdict, SinkError> {
        let request = peer.bare_request(Method::POST, path).header(header::CONTENT_TYPE, JSON);
        let request = self.tokens.authorize(request).await?;
        let answer = peer.send(request.body(body)).await?;
        if answer::is_unknown_account(&answer) {
            self.tokens.forget().await;
        }
        Ok(verdict(&answer, samples, &peer.place(), role))
    }
}
