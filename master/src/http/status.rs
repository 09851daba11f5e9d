//! What the parts say of themselves, as JSON.

use actix_web::{HttpResponse, web};

use super::{AppState, error::ApiError};

/// The clusters with their hosts and discoveries.
pub(super) async fn clusters(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(state.clusters().await?))
}

/// The buddies.
pub(super) async fn buddies(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(state.buddies().await?))
}

/// The sinks.
pub(super) async fn sinks(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(state.sinks().await?))
}

/// The tree of actors.
pub(super) async fn actors(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(state.actors().await?))
}
