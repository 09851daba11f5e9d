//! A stand-in for Elasticsearch and OpenSearch, whose servers no package has: as much of their
//! published API as a writer uses. It refuses what they refuse: a body that is no NDJSON, an action that
//! is none, a document with a name twice or a dotted name that parts a text, and a value that does not
//! fit the type that its field has had.

mod bulk;
mod mapping;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{FakeHttp, FakeReply, FakeRequest, PeerError};

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElasticsearchMode {
    /// It takes documents.
    Accept,
    /// It answers that each document was one too many.
    Full,
    /// It answers that each document is wrong.
    Refuse,
    /// It answers nothing.
    Hang,
}

/// A cluster of one node; gone when it is dropped.
pub struct FakeElasticsearch {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mode: ElasticsearchMode,
    distribution: Option<&'static str>,
    /// What was put, by its path.
    put: BTreeMap<String, Value>,
    indices: BTreeMap<String, Index>,
    /// Documents that were there already.
    repeated: usize,
}

#[derive(Default, Debug)]
struct Index {
    mapping: mapping::Mapping,
    documents: BTreeMap<String, Value>,
}

impl FakeElasticsearch {
    /// Starts one that says it is Elasticsearch.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> Result<Self, PeerError> {
        Self::start_as(None).await
    }

    /// Starts one that says it is OpenSearch.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start_opensearch() -> Result<Self, PeerError> {
        Self::start_as(Some("opensearch")).await
    }

    async fn start_as(distribution: Option<&'static str>) -> Result<Self, PeerError> {
        let state = Arc::new(Mutex::new(State {
            mode: ElasticsearchMode::Accept,
            distribution,
            put: BTreeMap::new(),
            indices: BTreeMap::new(),
            repeated: 0,
        }));
        let shared = Arc::clone(&state);
        let server = FakeHttp::start(move |request| lock(&shared).reply(request)).await?;
        Ok(Self { server, state })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Behaves otherwise from now on.
    pub fn set(&self, mode: ElasticsearchMode) {
        lock(&self.state).mode = mode;
    }

    /// Closes its port and every connection; what it has stays.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// When the port was taken by somebody else.
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        self.server.restart().await
    }

    /// The requests that came so far.
    #[must_use]
    pub fn requests(&self) -> Vec<FakeRequest> {
        self.server.requests()
    }

    /// What was put there, such as templates, by path.
    #[must_use]
    pub fn put(&self) -> BTreeMap<String, Value> {
        lock(&self.state).put.clone()
    }

    /// Every document, by the name of its index or data stream and its id.
    #[must_use]
    pub fn documents(&self) -> BTreeMap<(String, String), Value> {
        let state = lock(&self.state);
        let documents = state.indices.iter().flat_map(|(name, index)| {
            let named = move |(id, document): (&String, &Value)| {
                ((name.clone(), id.clone()), document.clone())
            };
            index.documents.iter().map(named)
        });
        documents.collect()
    }

    /// How many documents were written that it had already.
    #[must_use]
    pub fn repeated(&self) -> usize {
        lock(&self.state).repeated
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn reply(&mut self, request: &FakeRequest) -> FakeReply {
        if self.mode == ElasticsearchMode::Hang {
            return FakeReply::Hang;
        }
        let path = request.target.split('?').next().unwrap_or_default();
        match (request.method.as_str(), path) {
            ("GET", "/") => {
                let distribution = self.distribution;
                answer(200, &json!({"version": {"number": "8.0.0", "distribution": distribution}}))
            }
            ("POST", "/_bulk") => self.bulk(request),
            ("GET", path) => match self.put.get(path) {
                Some(found) => answer(200, found),
                None => answer(404, &json!({"error": "not found"})),
            },
            ("PUT", path) => self.keep(path, &request.body),
            (method, path) => answer(405, &json!({"error": format!("no {method} {path}")})),
        }
    }

    /// Keeps a template or a policy of its own family; those of the other are not known.
    fn keep(&mut self, path: &str, body: &[u8]) -> FakeReply {
        let of_family = match self.distribution {
            None => path.starts_with("/_ilm/policy/"),
            Some(_) => path.starts_with("/_plugins/_ism/policies/"),
        };
        let template = path.starts_with("/_index_template/");
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return answer(400, &json!({"error": "this is no JSON"}));
        };
        let lifecycle = value.pointer("/template/settings/index.lifecycle.name").is_some();
        if !(of_family || template) || (lifecycle && self.distribution.is_some()) {
            return answer(400, &json!({"error": format!("unknown setting or path {path}")}));
        }
        self.put.insert(path.to_owned(), value);
        answer(200, &json!({"acknowledged": true}))
    }

    /// Whether an index is a data stream, by the templates that there are.
    fn is_stream(&self, name: &str) -> bool {
        self.put.values().any(|template| {
            template.get("data_stream").is_some()
                && template["index_patterns"]
                    .as_array()
                    .is_some_and(|all| all.contains(&name.into()))
        })
    }
}

fn answer(status: u16, body: &Value) -> FakeReply {
    FakeReply::body(status, &body.to_string())
}
