//! What servers say: lines of the protocol, and the answers of JetStream.

use serde::Deserialize;

/// What a server tells of itself when it is connected to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) max_payload: usize,
    pub(super) tls_required: bool,
    pub(super) headers: bool,
    pub(super) nonce: String,
}

/// A line of the protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Info(String),
    Ping,
    Pong,
    Ok,
    Error(String),
    /// A message to a subject of ours, whose head and whole have so many bytes.
    Message {
        subject: String,
        head: usize,
        whole: usize,
    },
}

/// Reads a line; `None` when it is none of the protocol's.
pub(super) fn line(text: &str) -> Option<Line> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let parts: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |back: usize| {
        let part = parts.get(parts.len().checked_sub(back)?)?;
        part.parse::<usize>().ok()
    };
    Some(match word.to_ascii_uppercase().as_str() {
        "INFO" => Line::Info(rest.to_owned()),
        "PING" => Line::Ping,
        "PONG" => Line::Pong,
        "+OK" => Line::Ok,
        "-ERR" => Line::Error(rest.trim_matches(['\'', ' ']).to_owned()),
        "MSG" if parts.len() >= 3 => {
            Line::Message { subject: parts[0].to_owned(), head: 0, whole: number(1)? }
        }
        "HMSG" if parts.len() >= 4 => {
            let (head, whole) = (number(2)?, number(1)?);
            (head <= whole).then(|| Line::Message { subject: parts[0].to_owned(), head, whole })?
        }
        _ => return None,
    })
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ack {
    /// The stream has it, since now or before.
    Stored,
    /// It will never have it.
    Refused(String),
    /// It may have it later.
    NotNow(String),
}

/// The part of JetStream's answers that matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reply {
    pub(super) error: Option<Fault>,
    stream: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) err_code: u32,
    pub(super) description: String,
}

/// A message is longer than the stream allows.
const TOO_LONG: u32 = 10_054;

/// Reads an answer to something published; `place` is who says it.
pub(super) fn ack(head: &[u8], body: &[u8], place: &str) -> Ack {
    if head.starts_with(b"NATS/1.0 503") {
        return Ack::NotNow(format!(
            "no stream of {place} takes this subject; make one that does, or let us with create_stream=true"
        ));
    }
    match serde_json::from_slice::<Reply>(body) {
        Ok(Reply { error: Some(fault), .. }) => {
            let message = format!("{place} says: {} ({})", fault.description, fault.err_code);
            if fault.err_code == TOO_LONG { Ack::Refused(message) } else { Ack::NotNow(message) }
        }
        Ok(Reply { stream, .. }) if !stream.is_empty() => Ack::Stored,
        _ => Ack::NotNow(format!("{place} does not answer as JetStream does")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_as_published() {
        let message = |head, whole| Line::Message { subject: "a.b".into(), head, whole };
        for (text, expected) in [
            ("PING", Some(Line::Ping)),
            ("MSG a.b 1 11", Some(message(0, 11))),
            ("MSG a.b 1 reply 11", Some(message(0, 11))),
            ("HMSG a.b 1 16 20", Some(message(16, 20))),
            ("HMSG a.b 1 21 20", None),
            ("MSG a.b 1 -1", None),
            ("MSG a.b", None),
            ("-ERR 'Authorization Violation'", Some(Line::Error("Authorization Violation".into()))),
            ("HTTP/1.1 400 Bad Request", None),
        ] {
            assert_eq!(line(text), expected, "{text}");
        }
    }

    #[test]
    fn a_message_that_is_there_already_is_stored() {
        let told = |body: &str| ack(b"", body.as_bytes(), "NATS at h");
        assert_eq!(told(r#"{"stream":"S","seq":3,"duplicate":true}"#), Ack::Stored);
        let full = told(
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#,
        );
        assert!(matches!(full, Ack::NotNow(ref reason) if reason.contains("maximum")), "{full:?}");
        let long = told(r#"{"error":{"code":400,"err_code":10054,"description":"message size"}}"#);
        assert!(matches!(long, Ack::Refused(_)), "{long:?}");
        assert!(matches!(told("+OK"), Ack::NotNow(_)));
        assert!(matches!(ack(b"NATS/1.0 503\r\n\r\n", b"", "h"), Ack::NotNow(_)));
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(text in "(MSG|HMSG|-ERR|INFO)?[ a-z0-9.]{0,40}", bytes: Vec<u8>) {
            let _ = (line(&text), ack(&bytes, &bytes, "h"));
        }
    }
}
