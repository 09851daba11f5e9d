//! Answers that say why there is no answer.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{actors::model::AskError, core::model::QueryError};

/// A sentence for who asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorAnswer {
    /// What is wrong and what to do: a sentence.
    pub(super) error: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// No page has this path.
    pub(super) fn unknown_path(path: &str) -> Self {
        let message = format!(
            "there is nothing at `{path}`: the page is at /, and /api/v1/openapi.json lists what \
             the API has"
        );
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(ErrorAnswer { error: self.message.clone() })
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let status = match error {
            QueryError::SeveralClusters(_) | QueryError::Ambiguous { .. } => {
                StatusCode::BAD_REQUEST
            }
            QueryError::Empty | QueryError::Missing(_) => StatusCode::NOT_FOUND,
        };
        Self::new(status, error.to_string())
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        Self::unavailable(error.to_string())
    }
}
