//! What answers mean: the few messages that a receiver sends, and the codes that the specification
//! tells to try again.

use std::{error::Error as _, time::Duration};

use prost::Message;
use tonic::{Code, Status};

use crate::sinks::{SinkError, lines::Verdict, peer::Answer};

/// `ExportMetricsServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct ExportAnswer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_data_points: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The longest quotation of a receiver in a message of ours.
const QUOTE_CHARS: usize = 300;

/// The meaning of the message that comes with success. One that cannot be read says nothing.
pub(super) fn success(body: &[u8]) -> Verdict {
    let partial = ExportAnswer::decode(body).ok().and_then(|answer| answer.partial_success);
    match partial {
        Some(PartialSuccess { rejected_data_points: rejected @ 1.., error_message }) => {
            let reason = match quote(&error_message) {
                reason if reason.is_empty() => "no reason given".to_owned(),
                reason => reason,
            };
            Verdict::TakenBut { samples_refused: rejected.cast_unsigned(), reason }
        }
        _ => Verdict::Taken,
    }
}

/// The meaning of an answer over HTTP; `failure` is what its status commonly means.
pub(super) fn over_http(
    answer: &Answer,
    place: &str,
    failure: impl FnOnce() -> SinkError,
) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => success(&answer.body),
        413 => Verdict::TooLarge,
        // The specification has these four tried again, and nothing else that speaks of a request.
        400 | 422 | 500 | 501 | 505.. => Verdict::Failed(SinkError::Permanent {
            message: format!("{place} refuses samples: {}: {}", answer.status, says(answer)),
        }),
        // What remains is the account or the address, and can be put right.
        _ => Verdict::Failed(failure()),
    }
}

fn says(answer: &Answer) -> String {
    let told = RpcStatus::decode(answer.body.as_ref()).map(|status| quote(&status.message));
    told.ok().filter(|message| !message.is_empty()).unwrap_or_else(|| answer.says.clone())
}

/// The meaning of a status of gRPC.
pub(super) fn over_grpc(status: &Status, place: &str, account: &str) -> Verdict {
    let message = quote(status.message());
    let retry_after = retry_after(status.details());
    let transient = |message| Verdict::Failed(SinkError::Transient { message, retry_after });
    // Below gRPC: no connection, or one that broke.
    if status.source().is_some() {
        let cause = innermost(status);
        return transient(format!(
            "cannot reach {place}: {cause}; check that it is running, speaks gRPC, and that this is its address"
        ));
    }
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => transient(format!(
            "{place} refuses {account}: {message}; check the user, password or token, and what it may do"
        )),
        Code::Unimplemented | Code::NotFound => transient(format!(
            "{place} takes no metrics: {message}; check that this is its address"
        )),
        Code::ResourceExhausted if retry_after.is_none() => Verdict::TooLarge,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => transient(format!("{place} cannot take samples now: {message}")),
        code => Verdict::Failed(SinkError::Permanent {
            message: format!("{place} refuses samples: {code:?}: {message}"),
        }),
    }
}

/// The wait that a receiver asks for, in the details of its status.
fn retry_after(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|one| one.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or_default();
    let nanos = u32::try_from(delay.nanos).unwrap_or_default();
    let wait = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()));
    Some(wait.min(LONGEST_WAIT))
}

fn innermost(status: &Status) -> String {
    let mut cause = status.to_string();
    let mut inner = status.source();
    while let Some(error) = inner {
        cause = error.to_string();
        inner = error.source();
    }
    quote(&cause)
}

fn quote(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn http(status: u16, body: &[u8]) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let answer = Answer::new(status, &HeaderMap::new(), Bytes::copy_from_slice(body), now);
        over_http(&answer, "X at h", || answer.failure("X at h", "nobody"))
    }

    fn grpc(code: Code, retry_seconds: Option<i64>) -> Verdict {
        let details = retry_seconds.map(|seconds| {
            let retry_delay = Some(Delay { seconds, nanos: 500_000_000 });
            let value = RetryInfo { retry_delay }.encode_to_vec();
            let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
            let details = vec![Detail { type_url, value }];
            RpcStatus { message: String::new(), details }.encode_to_vec()
        });
        let details = Bytes::from(details.unwrap_or_default());
        over_grpc(&Status::with_details(code, "no", details), "X at h", "nobody")
    }

    #[test]
    fn partial_success_is_counted() {
        let answer = |rejected_data_points, error_message: &str| {
            let error_message = error_message.to_owned();
            let partial_success = Some(PartialSuccess { rejected_data_points, error_message });
            http(200, &ExportAnswer { partial_success }.encode_to_vec())
        };
        let reason = "too old".to_owned();
        assert_eq!(answer(3, "too old"), Verdict::TakenBut { samples_refused: 3, reason });
        // A warning, in the words of the specification.
        assert_eq!(answer(0, "deprecated"), Verdict::Taken);
        assert_eq!((answer(-1, ""), http(200, b"")), (Verdict::Taken, Verdict::Taken));
    }

    #[test]
    fn what_is_tried_again_is_what_the_specification_says() {
        for status in [401, 403, 404, 429, 502, 503, 504] {
            let verdict = http(status, b"no");
            assert!(matches!(verdict, Verdict::Failed(SinkError::Transient { .. })), "{status}");
        }
        for status in [400, 500, 501] {
            let verdict = http(status, b"no");
            assert!(matches!(verdict, Verdict::Failed(SinkError::Permanent { .. })), "{status}");
        }
        assert_eq!(http(413, b""), Verdict::TooLarge);
        for code in [Code::Unavailable, Code::Aborted, Code::DataLoss, Code::Unauthenticated] {
            let verdict = grpc(code, None);
            assert!(matches!(verdict, Verdict::Failed(SinkError::Transient { .. })), "{code}");
        }
        for code in [Code::InvalidArgument, Code::Internal, Code::Unknown] {
            let verdict = grpc(code, None);
            assert!(matches!(verdict, Verdict::Failed(SinkError::Permanent { .. })), "{code}");
        }
        assert_eq!(grpc(Code::ResourceExhausted, None), Verdict::TooLarge);
    }

    #[test]
    fn an_overloaded_receiver_says_when_to_come_back() {
        for (code, seconds, wait) in [
            (Code::Unavailable, 7, Duration::from_millis(7500)),
            (Code::ResourceExhausted, 1, Duration::from_millis(1500)),
            (Code::Unavailable, i64::MAX, LONGEST_WAIT),
            (Code::Unavailable, -5, Duration::from_millis(500)),
        ] {
            let Verdict::Failed(SinkError::Transient { retry_after, .. }) =
                grpc(code, Some(seconds))
            else {
                panic!("{code}");
            };
            assert_eq!(retry_after, Some(wait), "{code}");
        }
    }

    proptest! {
        /// Whatever a receiver sends, it is an answer and no panic.
        #[test]
        fn anything_is_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            success(&bytes);
            http(400, &bytes);
            retry_after(&bytes);
        }
    }
}
