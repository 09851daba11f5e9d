//! What an answer of the database means.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{StatusCode, header};
use serde::Deserialize;

use super::options::Target;
use crate::sinks::SinkError;

/// What became of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The database has all of it.
    Taken,
    /// The database has it all but for some lines, which it will never take.
    TakenInPart { lines_refused: u64, reason: String },
    /// It is too large for one request.
    TooLarge,
    /// The database does not have it.
    Failed(SinkError),
}

/// The status line, and what else matters of an answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// What the database says, shortened.
    pub(super) says: String,
}

/// The longest quotation of a peer in a message of ours.
const QUOTE_CHARS: usize = 300;
/// The longest wait that a peer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl Answer {
    pub(super) fn new(
        status: StatusCode,
        headers: &header::HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, now));
        Self { status, retry_after, says: sentence(body) }
    }

    /// What it means for a part that was written.
    pub(super) fn verdict(&self, target: &Target) -> Verdict {
        match self.status.as_u16() {
            200..=299 => Verdict::Taken,
            400 | 422 => match dropped_lines(&self.says) {
                Some(lines_refused) => {
                    Verdict::TakenInPart { lines_refused, reason: self.says.clone() }
                }
                None => Verdict::Failed(self.permanent(target)),
            },
            413 => Verdict::TooLarge,
            _ => Verdict::Failed(self.failure(target)),
        }
    }

    /// What it means for a request that changes or asks something.
    pub(super) fn failure(&self, target: &Target) -> SinkError {
        let place = target.place();
        match self.status.as_u16() {
            // The samples are good, and the account can be put right while they wait.
            401 | 403 => self.transient(format!(
                "{place} refuses {}: {}; {}",
                target.account(),
                self.says,
                target.account_advice()
            )),
            404 => self.transient(format!("{place} has no {}: {}", target.store(), self.says)),
            408 | 429 | 500..=599 => self.transient(format!(
                "{place} cannot take samples now: {}: {}",
                self.status, self.says
            )),
            300..=399 => self.transient(format!(
                "{place} has moved ({}); give the address that it redirects to",
                self.status
            )),
            // Only 400, 413 and 422 speak of the samples; all else can be put right while they wait.
            _ => self.transient(format!("{place} refuses: {}: {}", self.status, self.says)),
        }
    }

    fn transient(&self, message: String) -> SinkError {
        SinkError::Transient { message, retry_after: self.retry_after }
    }

    fn permanent(&self, target: &Target) -> SinkError {
        let message = format!("{} refuses samples: {}: {}", target.place(), self.status, self.says);
        SinkError::Permanent { message }
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

/// The message in an answer: `error` in 1.x, `message` in 2.x, or the text itself.
fn sentence(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Says {
        #[serde(alias = "message")]
        error: String,
    }
    let text = match serde_json::from_slice::<Says>(body) {
        Ok(says) => says.error,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(QUOTE_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.is_empty() => "no reason given".to_owned(),
        None => line,
    }
}

/// The number of lines that a partial write left out: `partial write: ... dropped=3`. A line that
/// could not be read at all is not in that number.
fn dropped_lines(says: &str) -> Option<u64> {
    if !says.contains("partial write") {
        return None;
    }
    let (_, number) = says.rsplit_once("dropped=")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let dropped: u64 = number[..digits].parse().ok()?;
    let unreadable = says.matches("unable to parse").count() as u64;
    Some(dropped + unreadable)
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
        Answer::new(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now)
    }

    fn verdict(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
        answer(status, retry_after, body).verdict(&Target::for_tests())
    }

    fn wait(status: u16, retry_after: Option<&str>) -> Option<Duration> {
        match verdict(status, retry_after, "") {
            Verdict::Failed(SinkError::Transient { retry_after, .. }) => retry_after,
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
    fn a_partial_write_is_taken_but_for_some_lines() {
        let conflict = r#"{"error":"partial write: field type conflict: input field \"value\" on measurement \"a\" is type float, already exists as type integer dropped=2"}"#;
        let Verdict::TakenInPart { lines_refused: 2, reason } = verdict(400, None, conflict) else {
            panic!("{conflict}");
        };
        assert!(reason.contains("field type conflict"));
        let newer = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=14"}"#;
        let taken = verdict(422, None, newer);
        assert!(matches!(taken, Verdict::TakenInPart { lines_refused: 14, .. }), "{taken:?}");
        let unread = r#"{"error":"partial write: unable to parse 'x': missing fields dropped=0"}"#;
        let taken = verdict(400, None, unread);
        assert!(matches!(taken, Verdict::TakenInPart { lines_refused: 1, .. }), "{taken:?}");
    }

    #[test]
    fn other_refusals_are_for_good_and_too_much_is_parted() {
        let refused = verdict(400, None, r#"{"error":"no"}"#);
        assert!(matches!(refused, Verdict::Failed(SinkError::Permanent { .. })), "{refused:?}");
        assert_eq!(verdict(413, None, ""), Verdict::TooLarge);
        assert_eq!(verdict(204, None, ""), Verdict::Taken);
    }

    #[test]
    fn a_peer_cannot_flood_the_log() {
        let says = answer(500, None, &"x\n".repeat(10_000)).says;
        assert!(says.len() <= QUOTE_CHARS + 3 && !says.contains('\n'));
        assert_eq!(answer(500, None, "").says, "no reason given");
    }
}
