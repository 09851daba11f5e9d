//! What an answer says of each event of a request.

use serde::Deserialize;

use super::options::Target;
use crate::sinks::{SinkError, lines::Body, peer::Answer, tally::Tally};

/// What became of one event.
#[derive(Debug, Deserialize)]
struct Item {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    error: String,
}

/// The events that an answer speaks of, in their order.
fn items(body: &[u8]) -> Vec<Item> {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Counts what was taken and refused, and gives what is to be sent again. An event of which nothing
/// is said was taken with the request.
///
/// # Errors
/// When the peer has taken and refused none: it is to be left alone for a while.
pub(super) fn sort(
    answer: &Answer,
    body: &Body,
    target: &Target,
    tally: &mut Tally,
) -> Result<Option<Body>, SinkError> {
    let items = items(&answer.body);
    let status = |line: usize| items.get(line).map_or(202, |item| item.status);
    let waits = |line: usize| matches!(status(line), 408 | 429 | 500..=599);
    let waiting = (0..body.lines.len()).filter(|line| waits(*line)).count();
    if waiting > 0 && waiting == body.lines.len() {
        let place = target.peer.place();
        let message = format!("{place} cannot take events now: {}", reason(&items));
        return Err(SinkError::Transient { message, retry_after: answer.retry_after });
    }
    for (line, end) in body.lines.iter().enumerate().filter(|(line, _)| !waits(*line)) {
        match status(line) {
            200..=299 => tally.delivered += u64::from(end.samples),
            _ => tally.refuse(u64::from(end.samples), &reason(&items[line..=line])),
        }
    }
    Ok((waiting > 0).then(|| some(body, waits)))
}

/// Why the first that was not taken was not.
fn reason(items: &[Item]) -> String {
    let refused = items.iter().find(|item| !(200..=299).contains(&item.status));
    let Some(Item { status, error }) = refused else { return "no reason given".to_owned() };
    let error: String = error.chars().filter(|c| !c.is_control()).take(300).collect();
    format!("{status}: {error}")
}

/// The halves of a body; nothing of one that is a single line.
pub(super) fn halves(body: &Body) -> Option<[Body; 2]> {
    let middle = body.lines.len() / 2;
    (middle > 0).then(|| [some(body, |line| line < middle), some(body, |line| line >= middle)])
}

/// Samples in a body.
pub(super) fn samples(body: &Body) -> u64 {
    body.lines.iter().map(|line| u64::from(line.samples)).sum()
}

/// Some of the lines of a body.
fn some(body: &Body, wanted: impl Fn(usize) -> bool) -> Body {
    let mut some = Body::default();
    let mut start = 0;
    for (line, end) in body.lines.iter().enumerate() {
        if wanted(line) {
            some.text.extend_from_slice(&body.text[start..end.offset]);
            some.end_line(end.samples);
        }
        start = end.offset;
    }
    some
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn body() -> Body {
        let mut body = Body::default();
        for (line, samples) in [("{1},", 1), ("{2},", 2), ("{3},", 4)] {
            body.text.extend_from_slice(line.as_bytes());
            body.end_line(samples);
        }
        body
    }

    fn sorted(text: &str) -> (Result<Option<Body>, SinkError>, Tally) {
        let target = Target::take(&mut "honeycomb:?writekey=k".parse().unwrap()).unwrap().0;
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let answer = Answer::new(StatusCode::OK, &headers, bytes, jiff::Timestamp::UNIX_EPOCH);
        let mut tally = Tally::default();
        (sort(&answer, &body(), &target, &mut tally), tally)
    }

    /// Of three events one is taken, one refused for good, one to be sent again.
    #[test]
    fn each_event_has_its_own_fate() {
        let (again, tally) =
            sorted(r#"[{"status":202},{"status":400,"error":"no"},{"status":429}]"#);
        assert_eq!(again.unwrap().unwrap().text, b"{3},");
        let written = tally.finish().unwrap();
        assert_eq!((written.delivered, written.rejected), (1, 2));
        assert_eq!(written.reason, "400: no");
    }

    #[test]
    fn who_takes_none_is_left_alone() {
        let item = r#"{"status":429,"error":"rate limited"}"#;
        let (again, tally) = sorted(&format!("[{item},{item},{item}]"));
        let Err(SinkError::Transient { message, retry_after }) = again else { panic!() };
        assert!(message.contains("rate limited"), "{message}");
        assert_eq!((retry_after, tally.delivered), (Some(Duration::from_secs(7)), 0));
    }

    #[test]
    fn an_answer_that_says_nothing_takes_all() {
        for text in ["", "[]", "{}", "[1]", "\u{0}"] {
            let (again, tally) = sorted(text);
            assert!(again.unwrap().is_none());
            assert_eq!(tally.delivered, 7, "{text}");
        }
    }

    proptest! {
        /// Whatever a peer answers, each sample is delivered, refused or sent again.
        #[test]
        fn every_sample_is_accounted_for(
            statuses in proptest::collection::vec(any::<u16>(), 0..5),
            noise in "\\PC*",
        ) {
            let items: Vec<String> =
                statuses.iter().map(|status| format!("{{\"status\":{status}}}")).collect();
            for text in [format!("[{}]", items.join(",")), noise] {
                let (again, tally) = sorted(&text);
                let Ok(again) = again else { continue };
                let again = again.map_or(0, |body| samples(&body));
                let written = match tally.finish() {
                    Ok(written) => written.delivered + written.rejected,
                    Err(_) => 7 - again,
                };
                prop_assert_eq!(written + again, 7);
            }
        }
    }

    #[test]
    fn halves_are_whole_and_lose_nothing() {
        let [first, second] = halves(&body()).unwrap();
        assert_eq!((&first.text[..], samples(&first)), (&b"{1},"[..], 1));
        assert_eq!((&second.text[..], samples(&second)), (&b"{2},{3},"[..], 6));
        assert!(halves(&first).is_none());
    }
}
