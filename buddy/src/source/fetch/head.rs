//! Heads of answers: status, what it says of the body, and whether the connection stays.
//!
//! Whatever two readers could understand in two ways is refused: a connection on which the ends of
//! answers are not sure would give one host's numbers for another's.

use super::receive::Trouble;

/// A head may have no more bytes than this.
pub(super) const HEAD_BYTES: usize = 16 << 10;
/// A head may have no more headers than this.
const HEADERS: usize = 64;
/// Of the words after the status no more is shown than this.
const REASON_CHARS: usize = 60;

/// Where the body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk without bytes.
    Chunked,
    /// Where the connection ends.
    UntilClosed,
}

/// What the head of an answer says.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// The words after the status, fit to be shown.
    pub(super) reason: String,
    pub(super) framing: Framing,
    /// Whether the connection may be used again after the body.
    pub(super) keep_alive: bool,
    /// Where the host sends on to.
    pub(super) location: Option<String>,
    /// How the body is encoded, unless it is as it is.
    pub(super) encoding: Option<String>,
    /// How many bytes it has.
    pub(super) bytes: usize,
}

impl Head {
    /// Whether it only says that the answer is to come.
    pub(super) const fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// The head that these bytes are, its empty line included.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Trouble> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(invalid("its head ends in its middle")),
            Err(httparse::Error::TooManyHeaders) => return Err(invalid("it has too many headers")),
            Err(error) => return Err(invalid(&format!("its head is not valid: {error}"))),
        }
        let (Some(version), Some(status)) = (response.version, response.code) else {
            return Err(invalid("it has no status"));
        };
        if !(100..600).contains(&status) || status == 101 {
            return Err(invalid(&format!("nobody asked for its status {status}")));
        }
        let seen = Seen::collect(response.headers)?;
        Ok(Self {
            status,
            reason: shown(response.reason.unwrap_or_default()),
            framing: seen.framing(status, version)?,
            keep_alive: !seen.close && (version == 1 || seen.keep_alive),
            location: seen.location.map(shown_bytes),
            encoding: seen.encoding.map(shown_bytes),
            bytes: bytes.len(),
        })
    }
}

/// The end of the head in these bytes, behind its empty line; `from` is as far as was looked before.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(2);
    memchr::memchr_iter(b'\n', &bytes[start..]).map(|at| start + at + 1).find_map(|next| {
        match &bytes[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        }
    })
}

/// The headers that matter.
#[derive(Default)]
struct Seen<'a> {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    location: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    fn collect(headers: &[httparse::Header<'a>]) -> Result<Self, Trouble> {
        let mut seen = Self::default();
        for header in headers {
            let (name, value) = (header.name, header.value.trim_ascii());
            if name.eq_ignore_ascii_case("content-length") {
                if seen.length.replace(length(value)?).is_some() {
                    return Err(invalid("it has two lengths"));
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if seen.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(invalid("it is encoded for the transfer otherwise than in chunks"));
                }
                seen.chunked = true;
            } else if name.eq_ignore_ascii_case("connection") {
                for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    seen.close |= word.eq_ignore_ascii_case(b"close");
                    seen.keep_alive |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if name.eq_ignore_ascii_case("location") {
                seen.location = Some(value);
            } else if name.eq_ignore_ascii_case("content-encoding")
                && !value.eq_ignore_ascii_case(b"identity")
            {
                seen.encoding = Some(value);
            }
        }
        Ok(seen)
    }

    fn framing(&self, status: u16, version: u8) -> Result<Framing, Trouble> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(invalid("it has both a length and chunks")),
            (true, None) if version == 0 => Err(invalid("it has chunks, which HTTP/1.0 has not")),
            _ if matches!(status, 100..200 | 204 | 304) => Ok(Framing::Length(0)),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::UntilClosed),
        }
    }
}

/// Digits alone: no sign, no list, nothing that does not fit.
fn length(value: &[u8]) -> Result<u64, Trouble> {
    let wrong = || invalid(&format!("its length is `{}`", shown_bytes(value)));
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(wrong)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect()
}

fn shown_bytes(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn invalid(what: &str) -> Trouble {
    Trouble::Invalid(what.to_owned())
}
