//! What an answer of the database means.

use super::options::Target;
use crate::sinks::{SinkError, lines::Verdict, peer::Answer};

/// What it means for a part that was written.
pub(super) fn verdict(answer: &Answer, target: &Target) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => Verdict::Taken,
        400 | 422 => match dropped_lines(&answer.says) {
            Some(lines_refused) => {
                Verdict::TakenInPart { lines_refused, reason: answer.says.clone() }
            }
            None => Verdict::Failed(failure(answer, target)),
        },
        413 => Verdict::TooLarge,
        _ => Verdict::Failed(failure(answer, target)),
    }
}

/// What it means that is no success. Of the account and the database it can be said what to do.
pub(super) fn failure(answer: &Answer, target: &Target) -> SinkError {
    let place = target.place();
    match answer.status.as_u16() {
        // The samples are good, and the account can be put right while they wait.
        401 | 403 => answer.transient(format!(
            "{place} refuses {}: {}; {}",
            target.account(),
            answer.says,
            target.account_advice()
        )),
        404 => answer.transient(format!("{place} has no {}: {}", target.store(), answer.says)),
        _ => answer.failure(&place, &target.account()),
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
    use bytes::Bytes;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn told(status: u16, body: &str) -> Verdict {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::new(status, &HeaderMap::new(), body, jiff::Timestamp::UNIX_EPOCH);
        verdict(&answer, &Target::for_tests())
    }

    #[test]
    fn a_partial_write_is_taken_but_for_some_lines() {
        let conflict = r#"{"error":"partial write: field type conflict: input field \"value\" on measurement \"a\" is type float, already exists as type integer dropped=2"}"#;
        let Verdict::TakenInPart { lines_refused: 2, reason } = told(400, conflict) else {
            panic!("{conflict}");
        };
        assert!(reason.contains("field type conflict"));
        let newer = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=14"}"#;
        let taken = told(422, newer);
        assert!(matches!(taken, Verdict::TakenInPart { lines_refused: 14, .. }), "{taken:?}");
        let unread = r#"{"error":"partial write: unable to parse 'x': missing fields dropped=0"}"#;
        let taken = told(400, unread);
        assert!(matches!(taken, Verdict::TakenInPart { lines_refused: 1, .. }), "{taken:?}");
    }

    #[test]
    fn other_refusals_are_for_good_and_too_much_is_parted() {
        let refused = told(400, r#"{"error":"no"}"#);
        assert!(matches!(refused, Verdict::Failed(SinkError::Permanent { .. })), "{refused:?}");
        assert_eq!(told(413, ""), Verdict::TooLarge);
        assert_eq!(told(204, ""), Verdict::Taken);
    }

    #[test]
    fn what_can_be_put_right_is_waited_for() {
        for (status, advice) in [(401, "check user= and pw="), (404, "has no database `k8s`")] {
            let Verdict::Failed(failure) = told(status, "no") else { panic!("{status}") };
            assert!(matches!(failure, SinkError::Transient { .. }), "{failure:?}");
            assert!(failure.to_string().contains(advice), "{failure}");
        }
    }
}
