//! Which project is written to, and where the cluster is: as the options say, as the credentials or
//! the environment do, or as the machine's metadata server does.

use super::{api::Client, options::Options};
use crate::sinks::SinkError;

/// Where samples belong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    pub(super) project: String,
    /// A region or zone.
    pub(super) location: String,
}

/// What the options leave open, asked for once it is needed.
#[derive(Debug)]
pub(super) struct Asked {
    project: String,
    location: String,
    /// `GOOGLE_CLOUD_PROJECT`
    project_of_environment: Option<String>,
}

/// The location of what is nowhere in particular.
const NOWHERE: &str = "global";

impl Asked {
    pub(super) fn new(options: &Options, environment: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            project: options.project.clone(),
            location: options.cluster_location.clone(),
            project_of_environment: environment("GOOGLE_CLOUD_PROJECT"),
        }
    }

    /// Finds out.
    pub(super) async fn place(&self, client: &Client) -> Result<Place, SinkError> {
        Ok(Place { project: self.project(client).await?, location: self.location(client).await? })
    }

    async fn project(&self, client: &Client) -> Result<String, SinkError> {
        if !self.project.is_empty() {
            return Ok(self.project.clone());
        }
        if let Some(project) = &self.project_of_environment {
            return Ok(project.clone());
        }
        if let Some(project) = client.tokens.project()? {
            return Ok(project);
        }
        if client.tokens.is_of_machine() {
            return client.tokens.metadata("project/project-id").await;
        }
        let message = "no project is known to write to: give project=NAME".to_owned();
        Err(SinkError::Transient { message, retry_after: None })
    }

    async fn location(&self, client: &Client) -> Result<String, SinkError> {
        if !self.location.is_empty() {
            return Ok(self.location.clone());
        }
        if !client.tokens.is_of_machine() {
            return Ok(NOWHERE.to_owned());
        }
        // Of a cluster of GKE it may be a region; other machines know their zone only, as
        // projects/NUMBER/zones/NAME.
        if let Ok(location) = client.tokens.metadata("instance/attributes/cluster-location").await {
            return Ok(location);
        }
        let zone = client.tokens.metadata("instance/zone").await?;
        Ok(zone.rsplit('/').next().unwrap_or(NOWHERE).to_owned())
    }
}
