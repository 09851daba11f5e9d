//! From a request to an answer.

use std::sync::Arc;

use axum::body::Body;
use hyper::{
    Method, Response, StatusCode,
    header::{HeaderValue, RETRY_AFTER},
    http::request::Parts,
};
use rustls::pki_types::CertificateDer;
use serde::Serialize;

use super::{
    auth::Gate,
    body::{self, Writers},
    discovery,
    objects::{Item, List, Object},
    openapi,
    quantity::Time,
    query::{Known, Selection},
    request::{Attributes, Form, Query, Rendering, Target},
    status::Status,
    store::MetricsStore,
    table::{Include, Table},
};
use crate::kubernetes::Cluster;

/// Long lists that are written at the same time.
const LONG_LISTS: usize = 8;

/// Answers requests.
pub(super) struct Handler {
    store: Arc<MetricsStore>,
    cluster: Arc<Cluster>,
    gate: Arc<Gate>,
    writers: Writers,
    port: u16,
}

/// A request that was let in.
struct Asked {
    query: Query,
    form: Form,
    rendering: Rendering,
}

impl Handler {
    pub(super) fn new(
        store: Arc<MetricsStore>,
        cluster: Arc<Cluster>,
        gate: Arc<Gate>,
        port: u16,
    ) -> Self {
        Self { store, cluster, gate, writers: Writers::new(LONG_LISTS), port }
    }

    /// The answer to a request of a client with these certificates.
    pub(super) async fn answer(
        &self,
        parts: &Parts,
        chain: &[CertificateDer<'_>],
    ) -> Response<Body> {
        let path = parts.uri.path();
        let target = Target::of(path);
        match target {
            Target::Live => return body::text(StatusCode::OK, "ok".to_owned()),
            Target::Ready => return self.readiness(),
            _ => {}
        }
        let query = Query::of(parts.uri.query().unwrap_or_default());
        let rendering = Rendering::of(parts, &query);
        let asked = Attributes::of(&parts.method, path, &target, &query);
        let admitted = self.gate.admit(chain, &parts.headers, &asked).await;
        let answer = match admitted.and_then(|()| allowed(parts, &query, &target)) {
            Ok(form) => self.respond(target, Asked { query, form, rendering }).await,
            Err(status) => Err(status),
        };
        answer.unwrap_or_else(|status| refusal(&status, rendering))
    }

    /// Whether there is something to ask for, part by part.
    fn readiness(&self) -> Response<Body> {
        let metadata = self.cluster.metadata();
        let checks = [
            ("authentication", self.gate.is_ready(), "whom to believe is not known yet"),
            ("nodes", metadata.has_nodes(), "the API server has not listed its nodes yet"),
            ("pods", metadata.has_pods(), "the API server has not listed its pods yet"),
            ("round", self.store.has_round(), "not every node had its time to answer yet"),
            ("polls", !self.store.nodes().is_empty(), "no node has answered lately"),
        ];
        if checks.iter().all(|(_, is_well, _)| *is_well) {
            return body::text(StatusCode::OK, "ok".to_owned());
        }
        let lines = checks.map(|(name, is_well, reason)| match is_well {
            true => format!("[+]{name} ok\n"),
            false => format!("[-]{name} failed: {reason}\n"),
        });
        let text = format!("{}readyz check failed\n", lines.concat());
        body::text(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    async fn respond(&self, target: Target, asked: Asked) -> Result<Response<Body>, Status> {
        let rendering = asked.rendering;
        match target {
            Target::Groups => Ok(document(rendering, &discovery::groups(self.port))),
            Target::Group => Ok(document(rendering, &discovery::group())),
            Target::Resources => Ok(document(rendering, &discovery::resources())),
            Target::OpenApi2 => Ok(document(rendering, &openapi::v2())),
            Target::OpenApi3 => Ok(document(rendering, &openapi::v3())),
            Target::OpenApi3Group => Ok(document(rendering, &openapi::v3_group())),
            Target::Nodes { name: Some(name) } => self.one(self.known()?.node(&name)?, asked).await,
            Target::Nodes { name: None } => {
                let nodes = self.known()?.nodes(&Selection::of(&asked.query)?);
                self.many(nodes, asked).await
            }
            Target::Pods { namespace, name: Some(name) } => {
                let pod = self.known()?.pod(&namespace.unwrap_or_default(), &name)?;
                self.one(pod, asked).await
            }
            Target::Pods { namespace, name: None } => {
                let selection = Selection::of(&asked.query)?;
                let pods = self.known()?.pods(namespace.as_deref(), &selection);
                self.many(pods, asked).await
            }
            Target::Live | Target::Ready | Target::Unknown => Err(Status::no_path()),
        }
    }

    /// What there is to answer with. Before the API server's first lists nothing is known of which
    /// pods there are, which is not the same as that there are none.
    fn known(&self) -> Result<Known<'_>, Status> {
        let metadata = self.cluster.metadata();
        if !metadata.has_nodes() || !metadata.has_pods() {
            let message = "the API server has not listed its nodes and pods yet";
            return Err(Status::unavailable(message.to_owned()));
        }
        Ok(Known { store: &self.store, metadata })
    }

    async fn one<T: Item>(&self, item: T, asked: Asked) -> Result<Response<Body>, Status> {
        if let Form::Table(_) = asked.form {
            return self.many(vec![item], asked).await;
        }
        let created = Time(self.store.now_ms());
        let object = Object { item: &item, created, has_kind: true };
        Ok(body::whole(StatusCode::OK, &object, asked.rendering))
    }

    async fn many<T: Item>(&self, items: Vec<T>, asked: Asked) -> Result<Response<Body>, Status> {
        let (created, count) = (Time(self.store.now_ms()), items.len());
        let rendering = asked.rendering;
        Ok(match asked.form {
            Form::Object => self.writers.write(List { items, created }, count, rendering).await,
            Form::Table(version) => {
                let include = Include::of(&asked.query.include)?;
                let table = Table { version, items, created, include };
                self.writers.write(table, count, rendering).await
            }
        })
    }
}

fn document(rendering: Rendering, value: &impl Serialize) -> Response<Body> {
    body::whole(StatusCode::OK, value, rendering)
}

/// The form in which something that exists may be read.
fn allowed(parts: &Parts, query: &Query, target: &Target) -> Result<Form, Status> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Err(Status::no_method());
    }
    match target {
        Target::Nodes { .. } | Target::Pods { .. } if query.watch => Err(Status::no_method()),
        Target::Nodes { .. } | Target::Pods { .. } => Form::of(&parts.headers),
        // API servers ask for these in forms that are not served here, and take JSON.
        _ => Ok(Form::Object),
    }
}

fn refusal(status: &Status, rendering: Rendering) -> Response<Body> {
    let mut response = body::whole(status.code(), status, rendering);
    if status.code() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
