//! A way in for fuzzing: reads an answer off bytes as it is read off a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::FutureExt as _;
use tokio::io::{AsyncRead, ReadBuf};

use super::receive::{Trouble, read_body, read_head};

/// An answer that was read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadAnswer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether the next answer can begin on the same connection.
    pub reusable: bool,
}

/// Reads the answer that these bytes begin with, as if so many of them came with each read.
///
/// # Errors
/// When it is no answer, broken off, or larger than the limit.
pub fn read_answer(bytes: &[u8], a_read: usize, limit: usize) -> Result<ReadAnswer, String> {
    let mut wire = Wire { rest: bytes, a_read: a_read.max(1) };
    let mut buffer = Vec::new();
    let reading = async {
        let head = read_head(&mut wire, &mut buffer).await?;
        let reusable = read_body(&mut wire, &mut buffer, &head, limit).await?;
        Ok((head.status, reusable && head.keep_alive))
    };
    let read = reading.now_or_never().ok_or("it waits, though nothing is to come")?;
    let (status, reusable) = read.map_err(|trouble: Trouble| format!("{trouble:?}"))?;
    Ok(ReadAnswer { status, body: buffer, reusable })
}

struct Wire<'a> {
    rest: &'a [u8],
    a_read: usize,
}

impl AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = self.a_read.min(self.rest.len()).min(buffer.remaining());
        let (now, later) = self.rest.split_at(bytes);
        buffer.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}
