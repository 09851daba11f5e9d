//! One answer off a connection, into one buffer: as few reads as the kernel allows, and no byte of
//! memory for what is over a limit.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    body::SMALLEST_BUFFER,
    chunked::Chunked,
    head::{self, Framing, HEAD_BYTES, Head},
};

/// What is declared is believed up to this; room for more is made when so much has come.
const LARGEST_STEP: usize = 1 << 20;
/// Answers that only say that the answer is to come: no more than this.
const INTERIM_HEADS: usize = 8;
/// How every answer begins.
const PROTOCOL: &[u8] = b"HTTP/1.";

/// Why an answer is of no use, without the address.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Not one byte came: a connection that was kept may just have been closed. None is the end.
    NoAnswer(Option<io::Error>),
    /// It ended or failed within the head. None is the end.
    NoHead(Option<io::Error>),
    /// It ended or failed within the body, of which so much had come. None is the end.
    BrokeOff(usize, Option<io::Error>),
    /// What came is not HTTP, or not safely so.
    Invalid(String),
    /// The body is encoded in this way, which nobody asked for.
    Encoded(String),
    /// The body has more bytes than the limit.
    TooLarge,
}

/// Reads a head; the buffer, which is empty, then has the head and what came behind it.
///
/// # Errors
/// When there is none, or a wrong one.
pub(super) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> Result<Head, Trouble> {
    for _ in 0..INTERIM_HEADS {
        let head = next_head(stream, buffer).await?;
        if !head.is_interim() {
            return Ok(head);
        }
        buffer.drain(..head.bytes);
    }
    Err(Trouble::Invalid("it puts the answer off again and again".to_owned()))
}

async fn next_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> Result<Head, Trouble> {
    let mut searched = 0;
    loop {
        let known = buffer.len().min(PROTOCOL.len());
        if buffer[..known] != PROTOCOL[..known] {
            return Err(Trouble::Invalid("it does not begin as HTTP/1 does".to_owned()));
        }
        let within = &buffer[..buffer.len().min(HEAD_BYTES)];
        if let Some(end) = head::end(within, searched) {
            return Head::parse(&buffer[..end]);
        }
        searched = within.len();
        if searched == HEAD_BYTES {
            let limit = HEAD_BYTES >> 10;
            return Err(Trouble::Invalid(format!("its head is larger than {limit} KiB")));
        }
        make_room(buffer, SMALLEST_BUFFER);
        let problem = match stream.read_buf(buffer).await {
            Ok(1..) => continue,
            Ok(0) => None,
            Err(error) => Some(error),
        };
        return Err(match buffer.is_empty() {
            true => Trouble::NoAnswer(problem),
            false => Trouble::NoHead(problem),
        });
    }
}

/// Reads the body; the buffer, as [`read_head`] left it, is then the body and nothing else. Gives
/// whether the connection is where the next answer can begin. After an error the buffer has what
/// came of the body.
///
/// # Errors
/// When it is incomplete, wrong, or larger than the limit.
pub(super) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    head: &Head,
    limit: usize,
) -> Result<bool, Trouble> {
    if head.framing == Framing::Chunked {
        return read_chunked(stream, buffer, head.bytes, limit).await;
    }
    buffer.drain(..head.bytes);
    match head.framing {
        Framing::Length(length) => read_length(stream, buffer, length, limit).await,
        _ => read_until_closed(stream, buffer, limit).await,
    }
}

async fn read_length<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    length: u64,
    limit: usize,
) -> Result<bool, Trouble> {
    let length = usize::try_from(length).ok().filter(|length| *length <= limit);
    let length = length.ok_or(Trouble::TooLarge)?;
    while buffer.len() < length {
        let missing = length - buffer.len();
        make_room(buffer, missing.min(LARGEST_STEP));
        if read_some(stream, buffer).await? == 0 {
            return Err(Trouble::BrokeOff(buffer.len(), None));
        }
    }
    let nothing_follows = buffer.len() == length;
    buffer.truncate(length);
    Ok(nothing_follows)
}

async fn read_chunked<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    head_bytes: usize,
    limit: usize,
) -> Result<bool, Trouble> {
    let mut chunked = Chunked::new();
    let mut after = chunked.decode(buffer, 0, head_bytes, limit)?;
    while !chunked.is_done() {
        let decoded = buffer.len();
        make_room(buffer, SMALLEST_BUFFER);
        if read_some(stream, buffer).await? == 0 {
            return Err(Trouble::BrokeOff(decoded, None));
        }
        after = chunked.decode(buffer, decoded, decoded, limit)?;
    }
    Ok(after == 0)
}

async fn read_until_closed<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, Trouble> {
    loop {
        if buffer.len() > limit {
            return Err(Trouble::TooLarge);
        }
        make_room(buffer, SMALLEST_BUFFER);
        if read_some(stream, buffer).await? == 0 {
            return Ok(false);
        }
    }
}

async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> Result<usize, Trouble> {
    let read = stream.read_buf(buffer).await;
    read.map_err(|error| Trouble::BrokeOff(buffer.len(), Some(error)))
}

/// Room for at least so many bytes, by growing to twice the size.
fn make_room(buffer: &mut Vec<u8>, bytes: usize) {
    if buffer.capacity() - buffer.len() < bytes {
        buffer.reserve(bytes);
    }
}

#[cfg(test)]
mod tests;
