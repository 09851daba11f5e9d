//! What changes something: the sinks, by the file or by a list.
//!
//! Both take admin access (see [`super::gate`]). A list of sinks may name any address and any file
//! that the master can read, so that it is taken only from somebody who was asked who he is.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use heapster_shared::spec::Spec;

use super::{AppState, error::ApiError, gate::Identified};
use crate::reload::{ReloadError, SinkControl};

/// The longest list of sinks, in bytes.
pub(super) const MAX_LIST_BYTES: usize = 64 << 10;

/// Reads the configuration file again.
pub(super) async fn reload(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(control(&state)?.reload().await?))
}

/// Takes over a list of sinks, each as on the command line.
pub(super) async fn sinks(
    request: HttpRequest,
    state: web::Data<AppState>,
    list: web::Bytes,
) -> Result<HttpResponse, ApiError> {
    if request.extensions().get::<Identified>().is_none() {
        return Err(ApiError::forbidden(
            "sinks are taken only from somebody who has shown who he is: start the master with --credentials, or name them in its file and use /api/v1/reload",
        ));
    }
    let control = control(&state)?;
    Ok(HttpResponse::Ok().json(control.replace(specs(&list)?).await?))
}

/// The specs of a list; what is wrong is said without them, for they may have passwords.
fn specs(list: &[u8]) -> Result<Vec<Spec>, ApiError> {
    let wrong = "the body has to be a list of sinks in JSON, as [\"log\"]";
    let texts: Vec<String> =
        serde_json::from_slice(list).map_err(|_| ApiError::bad_request(wrong))?;
    let spec = |(number, text): (usize, &String)| {
        text.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "sink {number} of the list is not written KIND[:LOCATION][?OPTIONS]"
            ))
        })
    };
    (1..).zip(&texts).map(spec).collect()
}

fn control(state: &AppState) -> Result<&Arc<SinkControl>, ApiError> {
    state.control.as_ref().ok_or_else(|| ApiError::conflict("the sinks cannot be changed here"))
}

impl From<ReloadError> for ApiError {
    fn from(error: ReloadError) -> Self {
        let message = error.to_string();
        match error {
            ReloadError::NoFile => Self::conflict(message),
            ReloadError::Wrong(_) => Self::bad_request(message),
            ReloadError::Failed | ReloadError::Stopping => Self::unavailable(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither a list nor what is wrong with it is ever repeated.
    #[test]
    fn lists_are_read_and_not_repeated() {
        let list = br#"["log", "influxdb:http://h:8086?pw=hunter2"]"#;
        assert_eq!(specs(list).unwrap()[1].kind, "influxdb");
        assert!(specs(b"[]").unwrap().is_empty());
        for wrong in [&br#"["log", "?pw=hunter2"]"#[..], b"{\"hunter2\":1}", b"hunter2"] {
            let error = specs(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
