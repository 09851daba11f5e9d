//! What answers of Google's APIs mean: `google.rpc.Status` in JSON, with its details.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::sinks::{SinkError, peer::Answer};

/// What became of the samples of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// All of them were taken.
    Taken,
    /// These were refused for good, the others taken.
    TakenInPart {
        refused: u64,
        reason: String,
    },
    Failed(SinkError),
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    status: String,
    details: Vec<Value>,
}

/// `google.monitoring.v3.CreateTimeSeriesSummary`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Summary {
    success_point_count: u64,
}

/// `google.logging.v2.WriteLogEntriesPartialErrors`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EntryErrors {
    log_entry_errors: BTreeMap<String, IgnoredAny>,
}

/// `google.rpc.RetryInfo`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RetryInfo {
    retry_delay: String,
}

/// The longest wait that a peer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What an answer means for a request with this many samples. `role` is what an account must have.
pub(super) fn verdict(answer: &Answer, samples: u64, place: &str, role: &str) -> Verdict {
    if answer.status.is_success() {
        return Verdict::Taken;
    }
    let status = serde_json::from_slice::<Body>(&answer.body).unwrap_or_default().error;
    match refused(&status, samples) {
        // Those that were taken would be refused in another attempt, whatever ails the others.
        Some(refused) => Verdict::TakenInPart { refused, reason: answer.says.clone() },
        None => Verdict::Failed(failure(answer, &status, place, role)),
    }
}

/// How many were refused, where the details say that others were taken. Our series have a point each.
fn refused(status: &Status, samples: u64) -> Option<u64> {
    let refused = if let Some(summary) = detail::<Summary>(status, "CreateTimeSeriesSummary") {
        samples.saturating_sub(summary.success_point_count)
    } else {
        let errors: EntryErrors = detail(status, "WriteLogEntriesPartialErrors")?;
        match errors.log_entry_errors.len() as u64 {
            0 => return None,
            errors => errors,
        }
    };
    (refused < samples).then_some(refused)
}

fn failure(answer: &Answer, status: &Status, place: &str, role: &str) -> SinkError {
    let says = &answer.says;
    let code = status.status.as_str();
    let http = answer.status.as_u16();
    let message = match (code, http) {
        ("UNAUTHENTICATED", _) | ("", 401) => {
            format!("{place} does not know the account: {says}; see to `credentials`")
        }
        ("PERMISSION_DENIED", _) | ("", 403) => {
            format!("{place} refuses the account: {says}; it needs {role}, and the API switched on")
        }
        ("NOT_FOUND", _) | ("", 404) => {
            format!("{place} does not know the project: {says}; see to `project` and `endpoint`")
        }
        ("RESOURCE_EXHAUSTED", _) | ("", 429) => {
            format!("{place} has no quota left: {says}; write less often, or ask Google for more")
        }
        ("INVALID_ARGUMENT" | "OUT_OF_RANGE" | "FAILED_PRECONDITION" | "ALREADY_EXISTS", _)
        | ("", 400 | 409 | 413 | 422) => {
            let message = format!("{place} refuses samples: {says}");
            return SinkError::Permanent { message };
        }
        _ => format!("{place} cannot take samples now: {}: {says}", answer.status),
    };
    let retry_after = answer.retry_after.or_else(|| retry_delay(status));
    SinkError::Transient { message, retry_after }
}

/// Whether the account is not known: a token that was taken back.
pub(super) fn is_unknown_account(answer: &Answer) -> bool {
    answer.status.as_u16() == 401
}

/// The detail of this type.
fn detail<T: for<'de> Deserialize<'de>>(status: &Status, name: &str) -> Option<T> {
    let is_it = |value: &&Value| {
        value.get("@type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with(name))
    };
    T::deserialize(status.details.iter().find(is_it)?).ok()
}

fn retry_delay(status: &Status) -> Option<Duration> {
    let info: RetryInfo = detail(status, "RetryInfo")?;
    let seconds: f64 = info.retry_delay.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn told(status: u16, body: &[u8]) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap();
        let body = Bytes::copy_from_slice(body);
        let answer = Answer::new(status, &HeaderMap::new(), body, jiff::Timestamp::UNIX_EPOCH);
        verdict(&answer, 200, "Cloud Monitoring at h", "roles/monitoring.metricWriter")
    }

    fn error(status: u16, code: &str, details: &str) -> Verdict {
        let body = format!(
            r#"{{"error":{{"code":{status},"message":"so it is","status":"{code}","details":[{details}]}}}}"#
        );
        told(status, body.as_bytes())
    }

    #[test]
    fn a_summary_says_how_many_were_taken() {
        let summary = |taken: u32| {
            format!(
                r#"{{"@type":"type.googleapis.com/google.monitoring.v3.CreateTimeSeriesSummary","totalPointCount":200,"successPointCount":{taken},"errors":[{{"status":{{"code":3,"message":"out of order"}},"pointCount":1}}]}}"#
            )
        };
        let expected = Verdict::TakenInPart { refused: 1, reason: "so it is".into() };
        assert_eq!(error(400, "INVALID_ARGUMENT", &summary(199)), expected);
        let none = error(400, "INVALID_ARGUMENT", &summary(0));
        assert!(matches!(none, Verdict::Failed(SinkError::Permanent { .. })), "{none:?}");
        let none = error(500, "INTERNAL", &summary(0));
        assert!(matches!(none, Verdict::Failed(SinkError::Transient { .. })), "{none:?}");
        // A peer that counts wrong does not make us count below nothing.
        let expected = Verdict::TakenInPart { refused: 0, reason: "so it is".into() };
        assert_eq!(error(400, "INVALID_ARGUMENT", &summary(900)), expected);
    }

    #[test]
    fn entries_are_refused_one_by_one() {
        let details = r#"{"@type":"type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors","logEntryErrors":{"3":{"code":3,"message":"too long"},"7":{"code":3}}}"#;
        let expected = Verdict::TakenInPart { refused: 2, reason: "so it is".into() };
        assert_eq!(error(400, "INVALID_ARGUMENT", details), expected);
    }

    #[test]
    fn what_can_be_put_right_or_passes_is_waited_for() {
        for (status, code, advice) in [
            (401, "UNAUTHENTICATED", "credentials"),
            (403, "PERMISSION_DENIED", "needs roles/monitoring.metricWriter"),
            (404, "NOT_FOUND", "see to `project`"),
            (429, "RESOURCE_EXHAUSTED", "no quota left"),
            (503, "UNAVAILABLE", "503"),
            (504, "DEADLINE_EXCEEDED", "504"),
            (500, "", "500"),
            (403, "", "roles/"),
        ] {
            let Verdict::Failed(failure) = error(status, code, "") else { panic!("{code}") };
            assert!(matches!(failure, SinkError::Transient { .. }), "{failure:?}");
            assert!(failure.to_string().contains(advice), "{failure}");
        }
        let refused = error(400, "INVALID_ARGUMENT", "");
        assert!(matches!(refused, Verdict::Failed(SinkError::Permanent { .. })), "{refused:?}");
    }

    #[test]
    fn a_quota_says_when_to_come_back() {
        let info = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.5s"}"#;
        let Verdict::Failed(SinkError::Transient { retry_after, .. }) =
            error(429, "RESOURCE_EXHAUSTED", info)
        else {
            panic!("a quota comes back")
        };
        assert_eq!(retry_after, Some(Duration::from_millis(12_500)));
    }

    proptest! {
        /// Whatever a peer says, the count stays within the request.
        #[test]
        fn any_answer_is_survived(status in 100_u16..1000, body in ".{0,200}", count in -9e18..9e18) {
            told(status, body.as_bytes());
            let body = format!(
                r#"{{"error":{{"details":[{{"@type":"CreateTimeSeriesSummary","successPointCount":{count},"totalPointCount":1}}]}}}}"#
            );
            if let Verdict::TakenInPart { refused, .. } = told(400, body.as_bytes()) {
                prop_assert!(refused <= 200);
            }
        }
    }
}
