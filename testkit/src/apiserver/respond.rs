//! Answers: JSON, streams, and the `Status` objects that stand for errors.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{request::Asked, store::Expired};

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(super) type Answer = Response<Body>;
/// Parts of a body that is written while it is read.
pub(super) type Parts = mpsc::Sender<io::Result<Bytes>>;

/// Parts of a streamed body that may wait for their reader.
const WAITING_PARTS: usize = 4;

pub(super) fn bytes(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

pub(super) fn json_bytes(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    bytes(status, "application/json", body)
}

pub(super) fn value(status: StatusCode, value: &Value) -> Answer {
    json_bytes(status, value.to_string())
}

pub(super) fn ok(body: &Value) -> Answer {
    value(StatusCode::OK, body)
}

/// An answer whose body comes in parts.
pub(super) fn stream() -> (Parts, Answer) {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(WAITING_PARTS);
    let frames = futures::stream::unfold(receiver, |mut receiver| async {
        let part = receiver.recv().await?;
        Some((part.map(Frame::data), receiver))
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (sender, answer)
}

/// A failure as an API server tells it.
pub(super) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
    retry_after_s: Option<u64>,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: Value::Null, retry_after_s: None }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".into())
    }

    pub(super) fn forbidden(asked: &Asked, user: &str) -> Self {
        let verb = asked.verb;
        if asked.resource.is_empty() {
            let path = &asked.path;
            let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
            let mut failure = Self::new(StatusCode::FORBIDDEN, "Forbidden", message);
            failure.details = json!({});
            return failure;
        }
        let of_group =
            if asked.group.is_empty() { String::new() } else { format!(".{}", asked.group) };
        let part = if asked.subresource.is_empty() {
            asked.resource.clone()
        } else {
            format!("{}/{}", asked.resource, asked.subresource)
        };
        let named =
            if asked.name.is_empty() { String::new() } else { format!(" \"{}\"", asked.name) };
        let scope = if asked.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", asked.namespace)
        };
        let message = format!(
            "{}{of_group}{named} is forbidden: User \"{user}\" cannot {verb} resource \"{part}\" in \
             API group \"{}\" {scope}",
            asked.resource, asked.group
        );
        let mut failure = Self::new(StatusCode::FORBIDDEN, "Forbidden", message);
        failure.details = details(asked);
        failure
    }

    pub(super) fn no_such_object(asked: &Asked) -> Self {
        let of_group =
            if asked.group.is_empty() { String::new() } else { format!(".{}", asked.group) };
        let message = format!("{}{of_group} \"{}\" not found", asked.resource, asked.name);
        let mut failure = Self::new(StatusCode::NOT_FOUND, "NotFound", message);
        failure.details = details(asked);
        failure
    }

    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource".into();
        let mut failure = Self::new(StatusCode::NOT_FOUND, "NotFound", message);
        failure.details = json!({});
        failure
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".into();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn unsupported_media_type() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types \
                       include: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message.into())
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message.to_owned())
    }

    pub(super) fn expired(expired: &Expired) -> Self {
        let message = format!("too old resource version: {} ({})", expired.asked, expired.oldest);
        Self::new(StatusCode::GONE, "Expired", message)
    }

    pub(super) fn expired_page() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You can start a new list without the continue parameter.";
        Self::new(StatusCode::GONE, "Expired", message.into())
    }

    pub(super) fn from_the_future(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut failure = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        failure.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        failure
    }

    pub(super) fn too_many_requests(retry_after_s: u64) -> Self {
        let message = "too many requests, please try again later".into();
        let code = StatusCode::TOO_MANY_REQUESTS;
        let mut failure = Self::new(code, "TooManyRequests", message);
        failure.retry_after_s = Some(retry_after_s);
        failure.details = json!({ "retryAfterSeconds": retry_after_s });
        failure
    }

    pub(super) fn unavailable(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message.to_owned())
    }

    /// A failure of the server itself with any code.
    pub(super) fn of_code(code: u16) -> Self {
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match code {
            StatusCode::SERVICE_UNAVAILABLE => {
                Self::unavailable("the server is currently unable to handle the request")
            }
            StatusCode::UNAUTHORIZED => Self::unauthorized(),
            StatusCode::GONE => Self::new(code, "Expired", "the requested version is gone".into()),
            _ => Self::new(code, "InternalError", "an error on the server was asked for".into()),
        }
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = value(self.code, &self.status());
        if let Some(seconds) = self.retry_after_s {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }
}

fn details(asked: &Asked) -> Value {
    let mut details = json!({ "kind": asked.resource });
    for (member, value) in [("name", &asked.name), ("group", &asked.group)] {
        if !value.is_empty() {
            details[member] = value.as_str().into();
        }
    }
    details
}
