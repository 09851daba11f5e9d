//! What an answer of a receiver means.

use std::time::Duration;

use super::Version;
use crate::sinks::{SinkError, lines::Verdict, peer::Answer};

/// How many samples a receiver of version 2.0 has written.
const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// What it means for a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// As it says.
    Verdict(Verdict),
    /// The receiver does not know this version of the protocol, and wrote nothing.
    UnknownVersion,
}

/// The meaning of an answer to a part that has this many samples of ours, and this many series.
/// `failure` is what the answer means where the protocol says nothing of its own.
pub(super) fn meaning(
    answer: &Answer,
    version: Version,
    [samples, series]: [u64; 2],
    failure: impl FnOnce() -> SinkError,
) -> Meaning {
    let written = written(answer);
    match answer.status.as_u16() {
        // A receiver of 1.0 that looks at no header finds no series that it knows in 2.0, and is
        // content with that.
        200..=299 if version == Version::Two && written.is_none() => Meaning::UnknownVersion,
        200..=299 => Meaning::Verdict(Verdict::Taken),
        415 if version == Version::Two => Meaning::UnknownVersion,
        413 => Meaning::Verdict(Verdict::TooLarge),
        400 => Meaning::Verdict(match written {
            // What was not written may be markers, which are no samples of ours.
            Some(written) if written > 0 => Verdict::TakenBut {
                samples_refused: series.saturating_sub(written).min(samples),
                reason: answer.says.clone(),
            },
            _ => Verdict::Failed(failure()),
        }),
        _ => Meaning::Verdict(Verdict::Failed(failure())),
    }
}

fn written(answer: &Answer) -> Option<u64> {
    answer.headers.get(WRITTEN)?.to_str().ok()?.trim().parse().ok()
}

/// The failure that has the samples written again at once, in the version that is known.
pub(super) fn again_in_version_one(place: &str) -> SinkError {
    SinkError::Transient {
        message: format!("{place} does not know remote write 2.0: going on with 1.0"),
        retry_after: Some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn told(status: u16, version: Version, written: Option<&str>) -> Meaning {
        let mut headers = HeaderMap::new();
        if let Some(written) = written {
            headers.insert(WRITTEN, written.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let answer = Answer::new(status, &headers, Bytes::from_static(b"no"), now);
        meaning(&answer, version, [10, 12], || answer.failure("X", "nobody"))
    }

    /// Without this a receiver of 1.0 would swallow everything and say that all is well.
    #[test]
    fn success_in_version_two_says_what_was_written() {
        let taken = Meaning::Verdict(Verdict::Taken);
        assert_eq!(told(204, Version::One, None), taken);
        assert_eq!(told(204, Version::Two, Some("12")), taken);
        assert_eq!(told(204, Version::Two, None), Meaning::UnknownVersion);
        assert_eq!(told(415, Version::Two, None), Meaning::UnknownVersion);
    }

    #[test]
    fn what_was_written_in_part_is_counted() {
        let part = |written| match told(400, Version::Two, Some(written)) {
            Meaning::Verdict(Verdict::TakenBut { samples_refused, .. }) => Some(samples_refused),
            Meaning::Verdict(Verdict::Failed(SinkError::Permanent { .. })) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(part("9"), Some(3));
        assert_eq!(part("1"), Some(10));
        assert_eq!((part("0"), part("-1"), part("x")), (None, None, None));
    }

    #[test]
    fn the_rest_is_as_everywhere() {
        assert_eq!(told(413, Version::One, None), Meaning::Verdict(Verdict::TooLarge));
        for status in [415, 429, 503] {
            let failed = told(status, Version::One, None);
            let Meaning::Verdict(Verdict::Failed(SinkError::Transient { .. })) = failed else {
                panic!("{failed:?}");
            };
        }
    }
}
