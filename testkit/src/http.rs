//! A plain HTTP request for tests that have no runtime.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, bail};

/// An answer whose body is text.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, status line included.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Gets an `http://HOST:PORT/...` URL with HTTP/1.0, so that the body is all that follows the head.
///
/// # Errors
/// When there is no whole answer within ten seconds.
pub fn get(url: &str) -> anyhow::Result<Answer> {
    let rest = url.strip_prefix("http://").context("an http:// URL")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).context("an answer that is text")?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("no end of the head in {answer:?}");
    };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("no status in {head:?}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
