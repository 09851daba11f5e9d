//! A connection, plain or by TLS, that keeps no buffer while nothing comes.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::body::Buffers;

/// A connection to a host.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Wide>>),
}

impl Stream {
    /// Waits until something came, so that no buffer is held for a host that takes its time.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.readable().await,
            Self::Tls(tls) => {
                let wide = tls.get_ref().0;
                if wide.held.is_some() { Ok(()) } else { wide.tcp.readable().await }
            }
        }
    }

    /// Whether the connection is open and the host has said nothing that nobody asked for. What it
    /// is asked costs no system call when nothing happened.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        poll_fn(|context| {
            let read = Pin::new(&mut *self).poll_read(context, &mut byte);
            Poll::Ready(read.is_pending())
        })
        .await
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, out),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, out),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// Reads for TLS, which by itself asks the kernel for 4 KiB at a time, in large pieces; the buffer
/// is one of those that answers share, and goes back when TLS has taken all of it.
#[derive(Debug)]
pub(super) struct Wide {
    tcp: TcpStream,
    buffers: Arc<Buffers>,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    taken: usize,
}

impl Wide {
    pub(super) const fn new(tcp: TcpStream, buffers: Arc<Buffers>) -> Self {
        Self { tcp, buffers, held: None }
    }

    /// Reads what the kernel has; none is the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Held>>> {
        loop {
            ready!(self.tcp.poll_read_ready(context))?;
            let mut bytes = self.buffers.take();
            let read = self.tcp.try_read_buf(&mut bytes);
            if matches!(read, Ok(1..)) {
                return Poll::Ready(Ok(Some(Held { bytes, taken: 0 })));
            }
            self.buffers.put(bytes);
            match read {
                Ok(_) => return Poll::Ready(Ok(None)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for Wide {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.held.is_none() {
            this.held = ready!(this.poll_fill(context))?;
        }
        let Some(held) = &mut this.held else { return Poll::Ready(Ok(())) };
        let rest = &held.bytes[held.taken..];
        let count = rest.len().min(out.remaining());
        out.put_slice(&rest[..count]);
        held.taken += count;
        if held.taken == held.bytes.len()
            && let Some(held) = this.held.take()
        {
            this.buffers.put(held.bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wide {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
