//! What OpenTSDB answers to points.

use serde::Deserialize;

use crate::sinks::{
    lines::Verdict,
    peer::{Answer, HttpPeer},
};

/// With `details`: the points that were not stored, which are all that is wrong.
#[derive(Deserialize)]
struct Details {
    failed: u64,
    #[serde(default)]
    errors: Vec<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    error: String,
}

/// What it means for the points that were written.
pub(super) fn verdict(answer: &Answer, peer: &HttpPeer) -> Verdict {
    let details = serde_json::from_slice::<Details>(&answer.body);
    match (answer.status.as_u16(), details) {
        (200..=299 | 400, Ok(Details { failed, errors })) if failed > 0 => {
            let reason =
                errors.into_iter().map(|failed| failed.error).find(|error| !error.is_empty());
            let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
            Verdict::TakenInPart { lines_refused: failed, reason }
        }
        (200..=299, _) => Verdict::Taken,
        // It says so of a request that is larger than its chunks may be.
        (413, _) => Verdict::TooLarge,
        (400, Err(_)) if answer.says.contains("hunked") => Verdict::TooLarge,
        _ => Verdict::Failed(peer.failure(answer)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;
    use crate::sinks::{SinkError, peer::PeerOptions};

    fn told(status: u16, body: &str) -> Verdict {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::new(status, &HeaderMap::new(), body, jiff::Timestamp::UNIX_EPOCH);
        let peer = HttpPeer::new("OpenTSDB", "http://h:4242", PeerOptions::default()).unwrap();
        verdict(&answer, &peer)
    }

    /// The answers of the documentation.
    #[test]
    fn answers_mean_what_is_documented() {
        assert_eq!(told(204, ""), Verdict::Taken);
        assert_eq!(told(200, r#"{"failed":0,"success":2}"#), Verdict::Taken);
        let part = r#"{"errors":[{"datapoint":{"metric":"sys.cpu.nice","timestamp":1365465600,"value":"NaN","tags":{"host":"web01"}},"error":"Unable to parse value to a number"}],"failed":1,"success":1}"#;
        let reason = "Unable to parse value to a number".to_owned();
        assert_eq!(told(400, part), Verdict::TakenInPart { lines_refused: 1, reason });
        let chunked = r#"{"error":{"code":400,"message":"Chunked request not supported."}}"#;
        assert_eq!(told(400, chunked), Verdict::TooLarge);
        assert_eq!(told(413, ""), Verdict::TooLarge);
        let wrong =
            told(400, r#"{"error":{"code":400,"message":"Unable to parse the given JSON"}}"#);
        assert!(matches!(wrong, Verdict::Failed(SinkError::Permanent { .. })), "{wrong:?}");
        let busy = told(503, r#"{"error":{"code":503,"message":"Please throttle"}}"#);
        assert!(matches!(busy, Verdict::Failed(SinkError::Transient { .. })), "{busy:?}");
    }
}
