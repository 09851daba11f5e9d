//! A small API server: lists in pages, watches with bookmarks, versions that expire, and faults.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _, stream};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What the server does that it should not.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// Answers every request with this status, and `Retry-After` where a number is given.
    pub(crate) refuse: Option<(u16, Option<u64>)>,
    /// Answers the list that goes on with page 2 with this status, so many times.
    pub(crate) second_page: Option<(u16, u32)>,
    /// Ends each watch as soon as it began.
    pub(crate) short_watches: bool,
    /// Says that a version is gone by the status of the answer, and not by an event.
    pub(crate) gone_by_status: bool,
}

#[derive(Default)]
struct Store {
    version: u64,
    /// Changes before this version are forgotten.
    compacted: u64,
    /// By path of the collection, then by `namespace/name`.
    objects: HashMap<String, BTreeMap<String, Value>>,
    /// Version, path, and the event.
    changes: Vec<(u64, String, Value)>,
    /// What is left of lists that were begun.
    pages: HashMap<String, (u64, Vec<Value>)>,
    faults: Faults,
    /// The requests so far: `list PATH`, `page PATH`, `watch PATH VERSION`.
    requests: Vec<String>,
}

struct Inner {
    store: Mutex<Store>,
    /// Changes: the newest version.
    changed: watch::Sender<u64>,
    /// Watches of an earlier generation are cut.
    generation: watch::Sender<u64>,
}

/// A server that can be stopped and started again with what it knows.
#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Inner>,
    pub(crate) address: SocketAddr,
    serving: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let inner = Inner {
            store: Mutex::new(Store { version: 100, ..Store::default() }),
            changed: watch::Sender::new(0),
            generation: watch::Sender::new(0),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Self { inner: Arc::new(inner), address, serving: Arc::default() };
        api.serve(listener);
        api
    }

    fn serve(&self, listener: TcpListener) {
        let inner = Arc::clone(&self.inner);
        let serving = tokio::spawn(async move {
            // Aborted with the task that has them.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let inner = Arc::clone(&inner);
                let service = service_fn(move |request: Request<Incoming>| {
                    let response = answer(&inner, request.uri());
                    async move { Ok::<_, Infallible>(response) }
                });
                let io = TokioIo::new(stream);
                connections.spawn(http1::Builder::new().serve_connection(io, service));
            }
        });
        *self.serving.lock().unwrap() = Some(serving);
    }

    /// The address as a spec of everything that connects to Kubernetes.
    pub(crate) fn spec(&self) -> String {
        format!("kubernetes:http://{}", self.address)
    }

    /// Takes no more connections, and cuts those that there are.
    pub(crate) async fn stop(&self) {
        let serving = self.serving.lock().unwrap().take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
        self.cut_watches();
    }

    /// Serves again, at the same address.
    pub(crate) async fn start_again(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn cut_watches(&self) {
        self.inner.generation.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.store().faults = faults;
    }

    /// Adds or changes an object.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let mut store = self.store();
        store.version += 1;
        let version = store.version;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let known =
            store.objects.entry(path.into()).or_default().insert(key(&object), object.clone());
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        store.changes.push((version, path.into(), json!({"type": kind, "object": object})));
        drop(store);
        self.inner.changed.send_replace(version);
    }

    /// Removes an object by its `namespace/name`.
    pub(crate) fn remove(&self, path: &str, key: &str) {
        let mut store = self.store();
        store.version += 1;
        let version = store.version;
        let mut object = store.objects.get_mut(path).unwrap().remove(key).unwrap();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        store.changes.push((version, path.into(), json!({"type": "DELETED", "object": object})));
        drop(store);
        self.inner.changed.send_replace(version);
    }

    /// Tells the watches the newest version.
    pub(crate) fn bookmark(&self, path: &str) {
        let mut store = self.store();
        store.version += 1;
        let version = store.version;
        let object = json!({"kind": "X", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}});
        store.changes.push((version, path.into(), json!({"type": "BOOKMARK", "object": object})));
        drop(store);
        self.inner.changed.send_replace(version);
    }

    /// Forgets all changes so far.
    pub(crate) fn compact(&self) {
        let mut store = self.store();
        store.compacted = store.version;
        store.changes.clear();
        store.pages.clear();
    }

    /// How many requests begin with this.
    pub(crate) fn count(&self, begin: &str) -> usize {
        self.store().requests.iter().filter(|request| request.starts_with(begin)).count()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.store().requests.clone()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap()
    }
}

fn key(object: &Value) -> String {
    let of = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    format!("{}/{}", of("namespace"), of("name"))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

fn failure(code: u16) -> Response {
    let code = StatusCode::from_u16(code).unwrap();
    let body = status(code.as_u16(), "Reason", "the fake refuses").to_string();
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn answer(inner: &Arc<Inner>, uri: &Uri) -> Response {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query: HashMap<String, String> = query.into_owned().collect();
    let is_watch = query.get("watch").is_some_and(|value| value == "true");
    let token = query.get("continue").cloned();
    let path = uri.path().to_owned();
    let mut store = inner.store.lock().unwrap();
    let version = query.get("resourceVersion").cloned().unwrap_or_default();
    store.requests.push(match (is_watch, &token) {
        (true, _) => format!("watch {path} {version}"),
        (false, Some(_)) => format!("page {path}"),
        (false, None) => format!("list {path}"),
    });
    if let Some((code, retry_after)) = store.faults.refuse {
        // As the real one: plain text.
        let code = StatusCode::from_u16(code).unwrap();
        let mut response = (code, "Too many requests, please try again later.").into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        return response;
    }
    if !is_watch {
        return list(&mut store, &path, token, &query);
    }
    let from: u64 = version.parse().unwrap();
    let (short, gone) = (store.faults.short_watches, from < store.compacted);
    if gone && store.faults.gone_by_status {
        return failure(410);
    }
    drop(store);
    let events = if short {
        stream::empty().boxed()
    } else if gone {
        let gone =
            json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")});
        stream::once(async move { gone }).boxed()
    } else {
        events(Arc::clone(inner), path, from).boxed()
    };
    let lines = events.map(|event| Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))));
    Body::from_stream(lines).into_response()
}

fn list(
    store: &mut Store,
    path: &str,
    token: Option<String>,
    query: &HashMap<String, String>,
) -> Response {
    let (version, mut items) = match token {
        Some(token) => {
            if let Some((code, times)) = store.faults.second_page.filter(|(_, times)| *times > 0) {
                store.faults.second_page = Some((code, times - 1));
                return failure(code);
            }
            match store.pages.get(&token) {
                Some(rest) => rest.clone(),
                None => return failure(410),
            }
        }
        None => {
            let items = store.objects.get(path).map(|objects| objects.values().cloned().collect());
            (store.version, items.unwrap_or_default())
        }
    };
    let limit = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
    let rest = items.split_off(items.len().min(limit));
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if !rest.is_empty() {
        let token = format!("{path} {version} {}", rest.len());
        metadata["continue"] = token.clone().into();
        store.pages.insert(token, (version, rest));
    }
    let list = json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items});
    ([(header::CONTENT_TYPE, "application/json")], list.to_string()).into_response()
}

/// The changes of a collection after a version, until the watches are cut.
fn events(inner: Arc<Inner>, path: String, from: u64) -> impl Stream<Item = Value> {
    let mut changed = inner.changed.subscribe();
    let mut generation = inner.generation.subscribe();
    stream_of(move |sender| async move {
        let mut seen = from;
        loop {
            changed.mark_unchanged();
            let news: Vec<(u64, Value)> = {
                let store = inner.store.lock().unwrap();
                let after =
                    store.changes.iter().filter(|(version, of, _)| *version > seen && *of == path);
                after.map(|(version, _, event)| (*version, event.clone())).collect()
            };
            for (version, event) in news {
                seen = version;
                if sender.send(event).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                _ = changed.changed() => {}
                _ = generation.changed() => return,
                () = sender.closed() => return,
            }
        }
    })
}

/// A stream of what a task sends.
fn stream_of<F: Future<Output = ()> + Send + 'static>(
    task: impl FnOnce(tokio::sync::mpsc::Sender<Value>) -> F,
) -> impl Stream<Item = Value> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(task(sender));
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}
