//! A way in for fuzzing: reads what is asked for as the server does, without one.

use hyper::Method;

use super::{
    query::Selection,
    request::{Attributes, Query, Target},
};

/// What a request asks for, and what the API server is asked about it, in words; none for paths that
/// are not served.
#[must_use]
pub fn asked(method: &str, path: &str, query: &str) -> Option<String> {
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let (target, query) = (Target::of(path), Query::of(query));
    let attributes = Attributes::of(&method, path, &target, &query);
    let selection = Selection::of(&query).ok();
    (target != Target::Unknown).then(|| format!("{target:?} {attributes:?} {selection:?}"))
}
