//! What an answer to a bulk request means: each item of it speaks of one document.

use serde::Deserialize;

use super::client::Client;
use crate::sinks::{
    SinkError,
    lines::{Part, Verdict},
    peer::Answer,
};

/// As far as it is asked for.
#[derive(Deserialize)]
struct BulkAnswer {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

/// One member, named for what was to be done.
#[derive(Deserialize)]
struct Item {
    #[serde(alias = "index")]
    create: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default)]
    error: Option<Refusal>,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
}

impl Outcome {
    /// The pipeline that documents are to go through is not there, for which no document can help.
    fn lacks_pipeline(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.reason.starts_with("pipeline with id"))
    }
}

/// What it means for a part that was written.
pub(super) fn verdict(answer: &Answer, part: &Part, client: &Client) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => items(answer, part, &client.place()),
        413 => Verdict::TooLarge,
        _ => Verdict::Failed(client.failure(answer)),
    }
}

fn items(answer: &Answer, part: &Part, place: &str) -> Verdict {
    let Ok(bulk) = serde_json::from_slice::<BulkAnswer>(&answer.body) else {
        // One that is longer than what is read of it: with fewer documents it is shorter.
        if answer.body.starts_with(b"{") && part.line_count() > 1 {
            return Verdict::TooLarge;
        }
        let message = format!("{place} does not answer as a bulk API does: {}", answer.says);
        return Verdict::Failed(SinkError::Transient { message, retry_after: None });
    };
    if !bulk.errors {
        return Verdict::Taken;
    }
    if bulk.items.len() != part.line_count() {
        let (items, lines) = (bulk.items.len(), part.line_count());
        let message = format!("{place} answers for {items} documents of {lines}");
        return Verdict::Failed(SinkError::Transient { message, retry_after: None });
    }
    judge(&bulk.items, part, answer, place)
}

fn judge(items: &[Item], part: &Part, answer: &Answer, place: &str) -> Verdict {
    let (mut samples_refused, mut reason) = (0, String::new());
    for (line, Item { create: outcome }) in items.iter().enumerate() {
        let told = || {
            let none = Refusal::default();
            let Refusal { kind, reason } = outcome.error.as_ref().unwrap_or(&none);
            let told: String = format!("{kind}: {reason}").chars().take(300).collect();
            format!("{place} answers {} for a document: {told}", outcome.status)
        };
        match outcome.status {
            // It was there already: an earlier attempt was cut short, or counted as failed.
            200..=299 | 409 => {}
            // What is wrong with the document itself. All else may pass, or can be put right.
            400 | 413 | 422 if !outcome.lacks_pipeline() => {
                samples_refused += u64::from(part.samples_on(line));
                reason = told();
            }
            _ => return Verdict::Failed(answer.transient(told())),
        }
    }
    if samples_refused == 0 {
        return Verdict::Taken;
    }
    Verdict::TakenBut { samples_refused, reason }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;
    use crate::sinks::lines::Body;

    fn told(status: u16, body: &str) -> Verdict {
        let mut lines = Body::default();
        for samples in [1, 2, 4] {
            lines.text.extend_from_slice(b"{}\n{}\n");
            lines.end_line(samples);
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::new(status, &HeaderMap::new(), body, jiff::Timestamp::UNIX_EPOCH);
        verdict(&answer, &Part::whole(lines), &Client::for_tests())
    }

    fn with_items(statuses: [u16; 3]) -> Verdict {
        let item = |status: &u16| match status {
            201 => r#"{"create":{"status":201}}"#.to_owned(),
            status => format!(
                r#"{{"create":{{"status":{status},"error":{{"type":"of_{status}","reason":"no"}}}}}}"#
            ),
        };
        let items: Vec<String> = statuses.iter().map(item).collect();
        told(200, &format!(r#"{{"errors":true,"items":[{}]}}"#, items.join(",")))
    }

    /// One that is there already is delivered, and one that is wrong costs its own samples only.
    #[test]
    fn each_document_is_judged_by_itself() {
        assert_eq!(told(200, r#"{"errors":false}"#), Verdict::Taken);
        assert_eq!(with_items([201, 409, 201]), Verdict::Taken);
        let Verdict::TakenBut { samples_refused: 4, reason } = with_items([409, 201, 400]) else {
            panic!("not four samples");
        };
        assert!(reason.contains("h:9200") && reason.contains("of_400: no"), "{reason}");
    }

    /// Nothing is given up for a node that is full, an account without rights or an index that is
    /// not there.
    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [429, 503, 403, 404] {
            let verdict = with_items([400, 201, status]);
            let Verdict::Failed(SinkError::Transient { message, .. }) = verdict else {
                panic!("{status}: {verdict:?}");
            };
            assert!(message.contains(&format!("of_{status}")), "{message}");
        }
        let pipeline = r#"{"create":{"status":400,"error":{"type":"illegal_argument_exception","reason":"pipeline with id [x] does not exist"}}}"#;
        let absent = format!(r#"{{"errors":true,"items":[{pipeline},{pipeline},{pipeline}]}}"#);
        for body in [absent.as_str(), "<html>", "[]", r#"{"errors":true,"items":[]}"#] {
            let verdict = told(200, body);
            let transient = matches!(verdict, Verdict::Failed(SinkError::Transient { .. }));
            assert!(transient, "{body}: {verdict:?}");
        }
    }

    #[test]
    fn too_much_is_parted() {
        assert_eq!(told(413, ""), Verdict::TooLarge);
        assert_eq!(told(200, r#"{"errors":true,"items":[{"create"#), Verdict::TooLarge);
    }
}
