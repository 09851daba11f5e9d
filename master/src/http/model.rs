//! The model API: names, and values of the recent past.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use heapster_shared::tick::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    AppState,
    error::ApiError,
    model_path::{Question, parse},
    parameters::Parameters,
};
use crate::{
    actors::model::messages::{ListNames, ReadSeries},
    core::model::{QueryError, Series, Subject},
};

/// Values of a metric, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesAnswer {
    /// The values.
    pub metrics: Vec<PointAnswer>,
    /// Time of the newest of them; the year 1 when there is none.
    #[serde(rename = "latestTimestamp")]
    pub latest_timestamp: String,
}

/// One value.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointAnswer {
    /// When it was taken, RFC 3339 in UTC.
    pub timestamp: String,
    /// A number: whole for integer metrics, with a fraction for others.
    #[schema(value_type = f64)]
    pub value: serde_json::Value,
}

/// Values of a metric of several things.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SeriesListAnswer {
    /// One for each, in the order of the question.
    pub(super) items: Vec<SeriesAnswer>,
}

/// What the ancestor called no time at all.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl From<Series> for SeriesAnswer {
    fn from(series: Series) -> Self {
        let latest = series.points.last().map(|point| rfc3339(point.time_ms));
        let points = series.points.iter().map(|point| PointAnswer {
            timestamp: rfc3339(point.time_ms),
            value: point.value.to_json(series.value_type),
        });
        Self {
            metrics: points.collect(),
            latest_timestamp: latest.unwrap_or_else(|| NEVER.to_owned()),
        }
    }
}

/// Answers any path of the model API.
pub(super) async fn answer(
    request: HttpRequest,
    state: web::Data<AppState>,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    let raw_path = request.uri().path();
    let path = parse(raw_path).ok_or_else(|| ApiError::unknown_path(raw_path))?;
    let cluster = path.cluster.or_else(|| parameters.cluster.clone());
    match path.question {
        Question::Index => {
            Ok(HttpResponse::Ok().json(["debug/allkeys", "metrics/", "namespaces/", "nodes/"]))
        }
        Question::Names(names) => {
            let names = state.model.ask(ListNames { cluster, names }).await??;
            Ok(HttpResponse::Ok().json(names))
        }
        Question::Series { subject, metric } => {
            let mut read = read(&state, cluster, vec![subject], metric, &parameters).await?;
            let series = read.pop().unwrap_or(Err(QueryError::Empty))?;
            Ok(HttpResponse::Ok().json(SeriesAnswer::from(series)))
        }
        Question::PodList { namespace, pods, metric } => {
            let pod = |pod: String| Subject::Pod { namespace: namespace.clone(), pod };
            let subjects = pods.into_iter().map(pod).collect();
            let items = pod_list(read(&state, cluster, subjects, metric, &parameters).await?)?;
            Ok(HttpResponse::Ok().json(SeriesListAnswer { items }))
        }
    }
}

async fn read(
    state: &AppState,
    cluster: Option<String>,
    subjects: Vec<Subject>,
    metric: String,
    parameters: &Parameters,
) -> Result<Vec<Result<Series, QueryError>>, ApiError> {
    if subjects.len() > MOST_PODS {
        let message = format!("a list may have {MOST_PODS} pods: ask for the others apart");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let labels = parameters.labels()?;
    let range = parameters.range()?;
    Ok(state.model.ask(ReadSeries { cluster, subjects, metric, labels, range }).await??)
}

/// Pods that may be asked for at once, so that the model is not kept busy by one question.
const MOST_PODS: usize = 100;

/// One item a pod. Where some pods are not there their items are empty, for their places count;
/// where none is, that is the answer.
fn pod_list(read: Vec<Result<Series, QueryError>>) -> Result<Vec<SeriesAnswer>, ApiError> {
    let found = read.iter().any(Result::is_ok);
    let item = |series: Result<Series, QueryError>| match series {
        Ok(series) => Ok(series.into()),
        Err(QueryError::Missing(_)) if found => {
            Ok(SeriesAnswer { metrics: Vec::new(), latest_timestamp: NEVER.to_owned() })
        }
        Err(error) => Err(error.into()),
    };
    read.into_iter().map(item).collect()
}
