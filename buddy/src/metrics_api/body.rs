//! Answers as bytes: short ones at once, long ones in pieces as they are read.
//!
//! A list of 150,000 pods is 75 MB. It is written on a thread for such work, a piece at a time, and
//! the next piece waits until the client has taken those before: so it takes the memory of a few
//! pieces, and a client that does not read is cut off by the connection's timeout.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY},
};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::request::Rendering;

/// Lists of more items are written in pieces.
const FEW_ITEMS: usize = 100;
const PIECE_BYTES: usize = 128 * 1024;
/// Pieces that wait for the client.
const PIECES: usize = 2;

/// Long answers that are written at the same time; others wait.
#[derive(Clone, Debug)]
pub(super) struct Writers(Arc<Semaphore>);

impl Writers {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// An answer that has so many items.
    pub(super) async fn write<T>(
        &self,
        value: T,
        items: usize,
        rendering: Rendering,
    ) -> Response<Body>
    where
        T: Serialize + Send + 'static,
    {
        if items <= FEW_ITEMS {
            return whole(StatusCode::OK, &value, rendering);
        }
        // The semaphore is never closed; were it, nobody would have to wait.
        let place = Arc::clone(&self.0).acquire_owned().await.ok();
        let (sender, receiver) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let _place = place;
            // Fails only when the client has gone.
            let _ = write_all(&value, rendering, sender);
        });
        let mut response = json(StatusCode::OK, Body::from_stream(ReceiverStream::new(receiver)));
        if rendering.gzip {
            let headers = response.headers_mut();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        response
    }
}

/// An answer in one piece.
pub(super) fn whole(
    status: StatusCode,
    value: &impl Serialize,
    rendering: Rendering,
) -> Response<Body> {
    let mut bytes = Vec::new();
    match render(value, rendering.pretty, &mut bytes) {
        Ok(()) => json(status, Body::from(bytes)),
        // Nothing that is served here can fail to be written.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// An answer for people and probes.
pub(super) fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = with_type(status, "text/plain; charset=utf-8", Body::from(text));
    let name = hyper::header::X_CONTENT_TYPE_OPTIONS;
    response.headers_mut().insert(name, HeaderValue::from_static("nosniff"));
    response
}

fn json(status: StatusCode, body: Body) -> Response<Body> {
    with_type(status, "application/json", body)
}

fn with_type(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

fn render(value: &impl Serialize, pretty: bool, out: &mut impl Write) -> io::Result<()> {
    if pretty {
        return Ok(serde_json::to_writer_pretty(out, value)?);
    }
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn write_all(
    value: &impl Serialize,
    rendering: Rendering,
    sender: mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut pieces = Pieces { sender, piece: Vec::with_capacity(PIECE_BYTES) };
    if rendering.gzip {
        // Compressors are slow with many small writes.
        let gzip = GzEncoder::new(pieces, Compression::fast());
        let mut buffered = io::BufWriter::with_capacity(PIECE_BYTES, gzip);
        render(value, rendering.pretty, &mut buffered)?;
        let gzip = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        pieces = gzip.finish()?;
    } else {
        render(value, rendering.pretty, &mut pieces)?;
    }
    pieces.send()
}

/// Takes bytes, and gives them away in pieces.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let sent = self.sender.blocking_send(Ok(Bytes::from(piece)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() + bytes.len() > PIECE_BYTES {
            self.send()?;
        }
        self.piece.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
