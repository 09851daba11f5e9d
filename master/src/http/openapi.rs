//! `/api/v1/openapi.json`: what the API has. One table lists it; a test walks it over a server
//! that has rows.

use actix_web::HttpResponse;
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, HttpMethod, Info, PathItem, PathsBuilder, Ref, RefOr, Required,
        ResponseBuilder, Type,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        schema::{ArrayBuilder, ObjectBuilder, Schema},
    },
};

use super::{
    error::ErrorAnswer,
    export::{ExportEntry, ExportPoint},
    model::{PointAnswer, SeriesAnswer, SeriesListAnswer},
    schema::{LabelDescription, MetricDescription, SchemaAnswer},
};
use crate::{
    reload::ReloadAnswer,
    status::{
        ActorStatus, AssignmentStatus, BuddyStatus, ClusterStatus, DroppedSamples, HostStatus,
        SinkStatus,
    },
};

#[derive(OpenApi)]
#[openapi(components(schemas(
    ActorStatus,
    AssignmentStatus,
    BuddyStatus,
    ClusterStatus,
    DroppedSamples,
    ErrorAnswer,
    ExportEntry<'_>,
    ExportPoint,
    HostStatus,
    LabelDescription,
    MetricDescription,
    PointAnswer,
    ReloadAnswer,
    SchemaAnswer,
    SeriesAnswer,
    SeriesListAnswer,
    SinkStatus,
)))]
struct Schemas;

/// What a path answers with.
#[derive(Clone, Copy)]
enum Body {
    /// An array of names.
    Names,
    /// A schema of [`Schemas`].
    One(&'static str),
    /// An array of such.
    Many(&'static str),
    /// Text or a page.
    Other(&'static str),
    /// Any JSON object.
    Object,
}

/// A path.
struct Endpoint {
    /// With names in braces.
    path: &'static str,
    body: Body,
    summary: &'static str,
}

const fn endpoint(path: &'static str, body: Body, summary: &'static str) -> Endpoint {
    Endpoint { path, body, summary }
}

const SERIES: Body = Body::One("SeriesAnswer");
const RELOADED: Body = Body::One("ReloadAnswer");
const TEXT: Body = Body::Other("text/plain");
const CONTAINERS: &str = "/metrics/containers";

/// Paths outside the model.
const ENDPOINTS: &[Endpoint] = &[
    endpoint("/", Body::Other("text/html"), "The status page"),
    endpoint("/validate", TEXT, "How everything is, the worst first"),
    endpoint("/healthz", TEXT, "`ok` while rows come; 500 after three minutes without"),
    endpoint("/readyz", TEXT, "`ok` while new work is welcome, else 503"),
    endpoint("/metrics", TEXT, "The master's own state, for Prometheus"),
    endpoint(
        CONTAINERS,
        TEXT,
        "The newest values of everything, for Prometheus; OpenMetrics for those who accept it",
    ),
    endpoint("/debug/actors", Body::Many("ActorStatus"), "The tree of actors"),
    endpoint("/api/v1/openapi.json", Body::Object, "This document"),
    endpoint("/api/v1/clusters", Body::Many("ClusterStatus"), "Clusters, hosts and discoveries"),
    endpoint("/api/v1/buddies", Body::Many("BuddyStatus"), "Buddies"),
    endpoint("/api/v1/sinks", Body::Many("SinkStatus"), "Sinks"),
    endpoint(
        "/api/v1/metric-export-schema",
        Body::One("SchemaAnswer"),
        "The metrics and labels that there can be",
    ),
];

/// Paths that change something, by POST.
const CHANGES: &[Endpoint] = &[
    endpoint("/api/v1/reload", RELOADED, "Read the configuration file again, for its sinks"),
    endpoint(
        "/api/v1/sinks",
        RELOADED,
        "Take over a list of sinks, until the next reload or start",
    ),
];

/// Paths that exist twice: under `/api/v1`, for the only cluster or the parameter `cluster`, and
/// under `/api/v1/clusters/{cluster}`.
const PER_CLUSTER: &[Endpoint] = &[
    endpoint("/metric-export", Body::Many("ExportEntry"), "The newest values of everything"),
    endpoint("/model", Body::Names, "The paths that go on from here"),
    endpoint("/model/debug/allkeys", Body::Names, "Everything there is"),
    endpoint("/model/metrics", Body::Names, "Metrics of the cluster"),
    endpoint("/model/metrics/{metric}", SERIES, "Values of a metric of the cluster"),
    endpoint("/model/nodes", Body::Names, "Nodes"),
    endpoint("/model/nodes/{node}/metrics", Body::Names, "Metrics of a node"),
    endpoint("/model/nodes/{node}/metrics/{metric}", SERIES, "Values of a metric of a node"),
    endpoint(
        "/model/nodes/{node}/freecontainers",
        Body::Names,
        "Containers of a node that belong to no pod",
    ),
    endpoint(
        "/model/nodes/{node}/freecontainers/{container}/metrics",
        Body::Names,
        "Metrics of such a container; slashes in its name as they are or as %2F",
    ),
    endpoint(
        "/model/nodes/{node}/freecontainers/{container}/metrics/{metric}",
        SERIES,
        "Values of a metric of such a container",
    ),
    endpoint("/model/namespaces", Body::Names, "Namespaces"),
    endpoint("/model/namespaces/{namespace}/metrics", Body::Names, "Metrics of a namespace"),
    endpoint(
        "/model/namespaces/{namespace}/metrics/{metric}",
        SERIES,
        "Values of a metric of a namespace",
    ),
    endpoint("/model/namespaces/{namespace}/pods", Body::Names, "Pods of a namespace"),
    endpoint("/model/namespaces/{namespace}/pods/{pod}/metrics", Body::Names, "Metrics of a pod"),
    endpoint(
        "/model/namespaces/{namespace}/pods/{pod}/metrics/{metric}",
        SERIES,
        "Values of a metric of a pod",
    ),
    endpoint(
        "/model/namespaces/{namespace}/pods/{pod}/containers",
        Body::Names,
        "Containers of a pod",
    ),
    endpoint(
        "/model/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics",
        Body::Names,
        "Metrics of a container",
    ),
    endpoint(
        "/model/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics/{metric}",
        SERIES,
        "Values of a metric of a container",
    ),
    endpoint(
        "/model/namespaces/{namespace}/pod-list/{pods}/metrics/{metric}",
        Body::One("SeriesListAnswer"),
        "Values of a metric of several pods, their names joined by commas",
    ),
];

/// Parameters of the query, and what they are for.
const SERIES_PARAMETERS: &[(&str, &str)] = &[
    ("start", "The first time, RFC 3339"),
    ("end", "The last time, RFC 3339"),
    ("labels", "Choose among the series of a metric: name:value,name:value"),
];

/// The document.
pub(super) async fn answer() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

fn document() -> utoipa::openapi::OpenApi {
    let mut document = Schemas::openapi();
    document.info = Info::new("Heapster", env!("CARGO_PKG_VERSION"));
    let mut paths = PathsBuilder::new();
    for endpoint in ENDPOINTS {
        paths = paths.path(endpoint.path, item(endpoint, endpoint.path, false));
    }
    for endpoint in PER_CLUSTER {
        for (prefix, named) in [("/api/v1", false), ("/api/v1/clusters/{cluster}", true)] {
            let path = format!("{prefix}{}", endpoint.path);
            let item = item(endpoint, &path, !named);
            paths = paths.path(path, item);
        }
    }
    document.paths = paths.build();
    for endpoint in CHANGES {
        let operation = Some(operation(endpoint, endpoint.path, false).build());
        let item = document.paths.paths.entry(endpoint.path.to_owned()).or_default();
        item.post = operation;
    }
    document
}

fn item(endpoint: &Endpoint, path: &str, takes_cluster: bool) -> PathItem {
    PathItem::new(HttpMethod::Get, operation(endpoint, path, takes_cluster))
}

fn operation(endpoint: &Endpoint, path: &str, takes_cluster: bool) -> OperationBuilder {
    let mut operation = OperationBuilder::new().summary(Some(endpoint.summary));
    let names = path.split('{').skip(1).filter_map(|part| part.split_once('}'));
    for (name, _) in names {
        operation = operation.parameter(parameter(name, ParameterIn::Path, ""));
    }
    if takes_cluster {
        let about = "The cluster, where there are several";
        operation = operation.parameter(parameter("cluster", ParameterIn::Query, about));
    }
    if path.ends_with("{metric}") {
        for (name, about) in SERIES_PARAMETERS {
            operation = operation.parameter(parameter(name, ParameterIn::Query, about));
        }
    }
    if path == CONTAINERS {
        for (name, about) in super::containers::PARAMETERS {
            operation = operation.parameter(parameter(name, ParameterIn::Query, about));
        }
    }
    let error = response("An error, as a sentence", Body::One("ErrorAnswer"));
    operation.response("200", response("The answer", endpoint.body)).response("default", error)
}

fn parameter(name: &str, place: ParameterIn, about: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about).filter(|about| !about.is_empty()))
        .schema(Some(string()))
        .build()
}

fn string() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

fn response(about: &str, body: Body) -> utoipa::openapi::Response {
    let named = |name: &str| RefOr::<Schema>::from(Ref::from_schema_name(name));
    let (content_type, schema): (&str, RefOr<Schema>) = match body {
        Body::Names => (
            "application/json",
            Schema::from(ArrayBuilder::new().items(RefOr::T(string())).build()).into(),
        ),
        Body::One(name) => ("application/json", named(name)),
        Body::Many(name) => {
            let array = ArrayBuilder::new().items(named(name)).build();
            ("application/json", Schema::from(array).into())
        }
        Body::Other(content_type) => (content_type, string().into()),
        Body::Object => ("application/json", Schema::from(ObjectBuilder::new().build()).into()),
    };
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(about).content(content_type, content).build()
}
