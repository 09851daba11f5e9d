//! A way in for fuzzing: reads paths and parameters as requests' are, without a server.

use actix_web::web::Query;
use heapster_shared::access::Token;

use super::{gate, html, model_path, parameters::Parameters};

/// What a path of the model API asks for, in words.
#[must_use]
pub fn model_path(path: &str) -> Option<String> {
    model_path::parse(path).map(|path| format!("{path:?}"))
}

/// The span of time and the labels that parameters name, where they are good.
#[must_use]
pub fn parameters(start: &str, end: &str, labels: &str) -> Option<(i64, i64, usize)> {
    let (start, end, labels) = (start.to_owned(), end.to_owned(), labels.to_owned());
    let parameters = Parameters { start, end, labels, cluster: None };
    let range = parameters.range().ok()?;
    Some((range.start_ms, range.end_ms, parameters.labels().ok()?.len()))
}

/// The same of the part of a URL behind its question mark.
#[must_use]
pub fn query(text: &str) -> Option<(i64, i64, usize)> {
    let Query(parameters) = Query::<Parameters>::from_query(text).ok()?;
    let range = parameters.range().ok()?;
    Some((range.start_ms, range.end_ms, parameters.labels().ok()?.len()))
}

/// Whether a header `authorization` has a token of this text in it.
#[must_use]
pub fn shows(header: &[u8], token: &str) -> bool {
    let wanted = Token::new(token).map(|token| token.hash());
    gate::token(header).is_ok_and(|found| wanted.is_ok_and(|wanted| wanted == found))
}

/// A text as it stands in a page.
#[must_use]
pub fn in_page(text: &str) -> String {
    html::escape(text)
}
