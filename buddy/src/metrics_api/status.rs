//! Refusals, as `Status` objects of Kubernetes.

use hyper::StatusCode;
use serde::Serialize;

use super::request::Attributes;

/// The API group that is served here.
pub(super) const GROUP: &str = "metrics.k8s.io";

/// Why a request gets no answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Status(Box<Content>);

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    status: &'static str,
    message: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    code: u16,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Empty {}

/// What the refusal is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'static str,
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

impl Status {
    fn new(
        code: StatusCode,
        reason: &'static str,
        message: String,
        details: Option<Details>,
    ) -> Self {
        Self(Box::new(Content {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            status: "Failure",
            message,
            reason,
            details,
            code: code.as_u16(),
        }))
    }

    pub(super) fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// There is no such object in the cluster.
    pub(super) fn no_object(kind: &'static str, name: &str) -> Self {
        let details = Details { name: name.to_owned(), kind, ..Details::default() };
        let message = format!("{kind} {name:?} not found");
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, Some(details))
    }

    /// There is such an object, of which nothing was measured lately.
    pub(super) fn no_metrics(kind: &'static str, name: String) -> Self {
        let message = format!("{kind}.{GROUP} {name:?} not found");
        let details = Details { name, group: GROUP, kind, ..Details::default() };
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, Some(details))
    }

    pub(super) fn no_path() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, Some(Details::default()))
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message, None)
    }

    /// The credentials are nobody's.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".to_owned(), None)
    }

    /// The API server does not allow it.
    pub(super) fn forbidden(user: &str, asked: &Attributes, reason: &str) -> Self {
        let (mut message, details) = asked.refusal(user);
        if !reason.is_empty() {
            message.push_str(": ");
            message.push_str(reason);
        }
        let (name, group, kind) = details;
        let details = Details { name, group, kind, ..Details::default() };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message, Some(details))
    }

    pub(super) fn no_method() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        let details = Some(Details::default());
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message, details)
    }

    /// In none of the forms that the client can read.
    pub(super) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io".to_owned();
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, None)
    }

    /// Something that an answer takes is not there at the moment.
    pub(super) fn unavailable(message: String) -> Self {
        let details = Details { retry_after_seconds: Some(1), ..Details::default() };
        let code = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(code, "ServiceUnavailable", message, Some(details))
    }
}
