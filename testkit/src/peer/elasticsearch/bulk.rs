//! The bulk API: pairs of lines, each with an answer of its own.

use std::io::Read;

use serde_json::{Value, json};

use super::{ElasticsearchMode, FakeReply, FakeRequest, State, answer, mapping};

/// Why a document, or a whole request, is not taken.
type Refusal = (u16, &'static str, String);

impl State {
    pub(super) fn bulk(&mut self, request: &FakeRequest) -> FakeReply {
        let items = text(request).and_then(|text| self.items(&text));
        match items {
            Ok(items) => {
                let errors = items.iter().any(|item| item["create"].get("error").is_some());
                answer(200, &json!({"errors": errors, "items": items}))
            }
            Err((status, kind, reason)) => answer(
                status,
                &json!({"error": {"type": kind, "reason": reason}, "status": status}),
            ),
        }
    }

    fn items(&mut self, text: &str) -> Result<Vec<Value>, Refusal> {
        let lines: Vec<&str> = text.lines().collect();
        if !lines.len().is_multiple_of(2) {
            return Err((400, "illegal_argument_exception", "an action lacks its document".into()));
        }
        let mut items = Vec::new();
        for pair in lines.chunks_exact(2) {
            let (index, id) = action(pair[0])?;
            items.push(match self.create(&index, &id, pair[1]) {
                Ok(()) => json!({"create": {"status": 201}}),
                Err((status, kind, reason)) => {
                    json!({"create": {"status": status, "error": {"type": kind, "reason": reason}}})
                }
            });
        }
        Ok(items)
    }

    fn create(&mut self, index: &str, id: &str, text: &str) -> Result<(), Refusal> {
        match self.mode {
            ElasticsearchMode::Full => {
                return Err((429, "es_rejected_execution_exception", "queue is full".into()));
            }
            ElasticsearchMode::Refuse => {
                return Err((400, "mapper_parsing_exception", "not like this".into()));
            }
            ElasticsearchMode::Accept | ElasticsearchMode::Hang => {}
        }
        let wrong = |reason: String| (400, "mapper_parsing_exception", reason);
        let document = mapping::strict(text).map_err(wrong)?;
        if self.is_stream(index) && document.get("@timestamp").is_none() {
            return Err(wrong("a data stream needs @timestamp".into()));
        }
        let index = self.indices.entry(index.to_owned()).or_default();
        if index.documents.contains_key(id) {
            self.repeated += 1;
            let reason = "document already exists".into();
            return Err((409, "version_conflict_engine_exception", reason));
        }
        index.mapping.learn(&document).map_err(wrong)?;
        index.documents.insert(id.to_owned(), document);
        Ok(())
    }
}

/// The body as text, checked as the peers check it.
fn text(request: &FakeRequest) -> Result<String, Refusal> {
    let header = |name: &str| {
        request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    if !matches!(header("content-type"), "application/x-ndjson" | "application/json") {
        return Err((406, "media_type_header_exception", header("content-type").to_owned()));
    }
    let mut text = String::new();
    let read = match header("content-encoding") {
        "" => request.body.as_ref().read_to_string(&mut text),
        "gzip" => flate2::read::GzDecoder::new(request.body.as_ref()).read_to_string(&mut text),
        other => return Err((400, "parse_exception", format!("no encoding is named {other}"))),
    };
    read.map_err(|error| (400, "parse_exception", error.to_string()))?;
    if !text.ends_with('\n') {
        let reason = "The bulk request must be terminated by a newline [\\n]".into();
        return Err((400, "illegal_argument_exception", reason));
    }
    Ok(text)
}

/// The index and id of an action that creates.
fn action(line: &str) -> Result<(String, String), Refusal> {
    let wrong = |reason: String| (400, "illegal_argument_exception", reason);
    let action = mapping::strict(line).map_err(wrong)?;
    let create = action.get("create").and_then(Value::as_object);
    let create = create.ok_or_else(|| wrong(format!("{line} creates nothing")))?;
    let text = |name: &str| create.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (index, id) = (text("_index"), text("_id"));
    if create.len() != 2 || index.is_empty() || id.is_empty() || id.len() > 512 {
        return Err(wrong(format!("{line} is no action with an _index and an _id")));
    }
    let illegal = |c: char| c.is_uppercase() || "\\/*?\"<>| ,#:".contains(c);
    if index.contains(illegal) || index.starts_with(['-', '_', '+']) {
        return Err((400, "invalid_index_name_exception", index));
    }
    Ok((index, id))
}
