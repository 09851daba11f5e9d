//! An answer over HTTP: what it says, and whether the samples are worth another try.

use std::time::Duration;

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{StatusCode, header};
use serde::Deserialize;

use crate::sinks::SinkError;

/// The status line, and what else matters of an answer.
#[derive(Clone, Debug)]
pub(in crate::sinks) struct Answer {
    /// Of the status line.
    pub(in crate::sinks) status: StatusCode,
    /// The wait that the peer asks for.
    pub(in crate::sinks) retry_after: Option<Duration>,
    /// What the peer says, in one line, shortened.
    pub(in crate::sinks) says: String,
    /// Its body; of a long one the beginning.
    pub(in crate::sinks) body: Bytes,
    /// Its headers.
    pub(in crate::sinks) headers: header::HeaderMap,
}

/// The longest quotation of a peer in a message of ours.
const QUOTE_CHARS: usize = 300;
/// The longest wait that a peer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl Answer {
    pub(in crate::sinks) fn new(
        status: StatusCode,
        headers: &header::HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Self {
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, now));
        Self { status, retry_after, says: sentence(&body), body, headers: headers.clone() }
    }

    /// What an answer means that is no success, where the peer gives the status codes no meaning of
    /// their own: `place` is who said it and `account` who we are to it.
    ///
    /// Only 400, 413 and 422 speak of the samples; all else can be put right while they wait.
    pub(in crate::sinks) fn failure(&self, place: &str, account: &str) -> SinkError {
        let (status, says) = (self.status, &self.says);
        match status.as_u16() {
            400 | 413 | 422 => {
                SinkError::Permanent { message: format!("{place} refuses samples: {status}: {says}") }
            }
            401 | 403 => self.transient(format!(
                "{place} refuses {account}: {says}; check the user, password or token, and what it may do"
            )),
            408 | 429 | 500..=599 => {
                self.transient(format!("{place} cannot take samples now: {status}: {says}"))
            }
            300..=399 => self.transient(format!(
                "{place} has moved ({status}); give the address that it redirects to"
            )),
            _ => self.transient(format!("{place} refuses: {status}: {says}")),
        }
    }

    /// A failure that may pass, with the wait that the peer asks for.
    pub(in crate::sinks) fn transient(&self, message: String) -> SinkError {
        SinkError::Transient { message, retry_after: self.retry_after }
    }
}

/// `Retry-After` as a number of seconds or a date.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = rfc2822::parse(text.trim()).ok()?.timestamp();
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The message in an answer: a text `error` or `message` of a JSON object, `reason` or `message` of
/// an object `error`, or the body itself.
fn sentence(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Says {
        #[serde(alias = "message")]
        error: Told,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Text(String),
        Object {
            #[serde(alias = "message")]
            reason: String,
        },
    }
    let text = match serde_json::from_slice::<Says>(body) {
        Ok(Says { error: Told::Text(text) | Told::Object { reason: text } }) => text,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    quote(&text)
}

/// A text of a peer's as a message of ours may repeat it: a line of limited length.
fn quote(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(QUOTE_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.is_empty() => "no reason given".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        let mut headers = header::HeaderMap::new();
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, wait.parse().unwrap());
        }
        let now = "2026-11-22T11:00:00Z".parse().unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        Answer::new(StatusCode::from_u16(status).unwrap(), &headers, body, now)
    }

    fn wait(status: u16, retry_after: Option<&str>) -> Option<Duration> {
        match answer(status, retry_after, "").failure("X at h", "user `u`") {
            SinkError::Transient { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_overloaded_peer_says_when_to_come_back() {
        assert_eq!(wait(503, Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(wait(503, Some("9999999")), Some(LONGEST_WAIT));
        let date = Some("Sun, 22 Nov 2026 11:00:30 GMT");
        assert_eq!(wait(429, date), Some(Duration::from_secs(30)));
        let past = Some("Sun, 22 Nov 2026 10:00:00 GMT");
        assert_eq!(wait(429, past), Some(Duration::ZERO));
        assert_eq!(wait(500, Some("soon")), None);
    }

    #[test]
    fn a_peer_cannot_flood_the_log() {
        let says = answer(500, None, &"x\n".repeat(10_000)).says;
        assert!(says.len() <= QUOTE_CHARS + 3 && !says.contains('\n'));
        assert_eq!(answer(500, None, "").says, "no reason given");
    }

    #[test]
    fn the_reason_is_found_in_what_databases_answer() {
        for (body, says) in [
            (r#"{"error":"no such thing"}"#, "no such thing"),
            (r#"{"code":"invalid","message":"no such thing"}"#, "no such thing"),
            (r#"{"error":{"type":"x","reason":"no such thing"},"status":400}"#, "no such thing"),
            (r#"{"error":{"code":7,"message":"no such thing"}}"#, "no such thing"),
            ("no such thing\n", "no such thing"),
            (r#"{"else":1}"#, r#"{"else":1}"#),
        ] {
            assert_eq!(answer(400, None, body).says, says);
        }
    }

    /// Samples are given up only where the peer speaks of them.
    #[test]
    fn only_what_is_said_of_the_samples_is_for_good() {
        for status in [400, 413, 422] {
            let failure = answer(status, None, "no").failure("X at h", "user `u`");
            assert!(matches!(failure, SinkError::Permanent { .. }), "{failure:?}");
        }
        for (status, word) in [(401, "user `u`"), (404, "404"), (307, "moved"), (503, "now")] {
            let failure = answer(status, None, "no").failure("X at h", "user `u`");
            assert!(matches!(failure, SinkError::Transient { .. }), "{failure:?}");
            let message = failure.to_string();
            assert!(message.starts_with("X at h") && message.contains(word), "{message}");
        }
    }
}
