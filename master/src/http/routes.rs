//! Which handler answers which path.

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder,
    error::QueryPayloadError,
    http::{Method, StatusCode, header},
    web,
};

use super::{
    change, containers,
    error::{ApiError, ErrorAnswer},
    export, health, metrics, model, openapi, page, schema, status, validate,
};

const READ: &str = "GET, HEAD, OPTIONS";
const READ_AND_POST: &str = "GET, HEAD, OPTIONS, POST";
const POST: &str = "OPTIONS, POST";

/// Adds every path. The application's data is an [`super::AppState`].
pub fn configure(config: &mut web::ServiceConfig) {
    let query = web::QueryConfig::default().error_handler(|error: QueryPayloadError, _| {
        ApiError::bad_request(format!("the parameters cannot be read: {error}")).into()
    });
    config
        .app_data(query)
        .service(resource(&["/"], page::answer))
        .service(resource(&["/validate"], validate::answer))
        .service(resource(&["/healthz"], health::healthz))
        .service(resource(&["/readyz"], health::readyz))
        .service(resource(&["/metrics"], metrics::answer))
        .service(resource(&["/metrics/containers"], containers::answer))
        .service(resource(&["/debug/actors"], status::actors))
        .service(resource(&["/api/v1/openapi.json"], openapi::answer))
        .service(resource(&["/api/v1/clusters"], status::clusters))
        .service(resource(&["/api/v1/buddies"], status::buddies))
        .service(
            web::resource(["/api/v1/sinks", "/api/v1/sinks/"])
                .app_data(web::PayloadConfig::new(change::MAX_LIST_BYTES))
                .route(web::get().to(status::sinks))
                .route(web::head().to(status::sinks))
                .route(web::post().to(change::sinks))
                .route(web::method(Method::OPTIONS).to(|| options(READ_AND_POST)))
                .default_service(web::to(|request| not_allowed(request, READ_AND_POST))),
        )
        .service(
            web::resource(["/api/v1/reload", "/api/v1/reload/"])
                .route(web::post().to(change::reload))
                .route(web::method(Method::OPTIONS).to(|| options(POST)))
                .default_service(web::to(|request| not_allowed(request, POST))),
        )
        .service(resource(&["/api/v1/metric-export-schema"], schema::answer))
        .service(resource(
            &["/api/v1/metric-export", "/api/v1/clusters/{cluster}/metric-export"],
            export::answer,
        ))
        .service(resource(
            &[
                "/api/v1/model",
                "/api/v1/model/{path:.*}",
                "/api/v1/clusters/{cluster}/model",
                "/api/v1/clusters/{cluster}/model/{path:.*}",
            ],
            model::answer,
        ))
        .default_service(web::to(unknown));
}

/// A page that can be read and nothing else, with or without a slash at its end.
fn resource<F, Arguments>(paths: &[&str], handler: F) -> Resource
where
    F: Handler<Arguments> + Clone,
    Arguments: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let both = |path: &&str| match *path {
        path if path == "/" || path.ends_with(".*}") => vec![path.to_owned()],
        path => vec![path.to_owned(), format!("{path}/")],
    };
    let paths: Vec<String> = paths.iter().flat_map(both).collect();
    web::resource(paths)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .route(web::method(Method::OPTIONS).to(|| options(READ)))
        .default_service(web::to(|request| not_allowed(request, READ)))
}

async fn options(allowed: &'static str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, allowed)).finish()
}

async fn not_allowed(request: HttpRequest, allowed: &'static str) -> HttpResponse {
    let error = format!("{} is not possible here: {allowed} are", request.method());
    HttpResponse::build(StatusCode::METHOD_NOT_ALLOWED)
        .insert_header((header::ALLOW, allowed))
        .json(ErrorAnswer { error })
}

async fn unknown(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::unknown_path(request.path()))
}
