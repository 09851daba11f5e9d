//! A way in for fuzzing: reads paths and parameters as requests' are, without a server.

use super::{html, model_path, parameters::Parameters};

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

/// A text as it stands in a page.
#[must_use]
pub fn in_page(text: &str) -> String {
    html::escape(text)
}
