//! The master's end of the wire: what streams bring becomes events, in the order in which it came.
//!
//! It stands where the generated server could, so that frames stay the bytes that they were: credit
//! is counted in them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use anyhow::Context as _;
use heapster_proto::v1::{FromBuddy, Receipt, ToBuddy, heapster_server::SERVICE_NAME};
use prost::bytes::{Buf as _, Bytes};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf},
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, StreamingService},
    transport::Server,
};
use tonic_prost::ProstCodec;

use super::{
    keys::{Asked, Keys},
    tls::{self, Shaken},
};

/// Events that wait to be looked at; the connections wait behind them.
const EVENTS: usize = 256;
/// Answers that a buddy has not read yet.
const ANSWERS: usize = 1024;
/// The largest message that is read at all.
const MOST_BYTES: usize = 64 << 20;

/// What answers a stream.
pub(super) type Answers<T> = mpsc::Sender<Result<T, Status>>;

/// What happened on a stream of this number.
pub(super) struct Event {
    pub(super) stream: u64,
    pub(super) what: What,
}

pub(super) enum What {
    /// A TLS handshake is over, of no stream yet.
    Shaken(Shaken),
    /// A stream is about to open that does not show who opens it: what is wrong with it.
    Unproven(String),
    ControlOpened(Answers<ToBuddy>),
    Control(Box<FromBuddy>),
    IngestOpened(Answers<Receipt>),
    Frame(Bytes),
    /// The buddy ended its half, or the stream broke.
    Ended,
}

/// Serves on this address, by TLS where there are keys; where that is, and what happens.
pub(super) async fn serve(
    address: SocketAddr,
    keys: Option<&Keys>,
) -> anyhow::Result<(SocketAddr, mpsc::Receiver<Event>)> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("--listen: cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let (events, seen) = mpsc::channel(EVENTS);
    let asked = keys.map(|keys| keys.asked.clone());
    let service = Played { events: events.clone(), streams: Arc::default(), asked };
    let server = Server::builder().add_service(service);
    match keys {
        None => {
            let incoming = TcpListenerStream::new(listener);
            tokio::spawn(server.serve_with_incoming(incoming));
        }
        Some(keys) => {
            let incoming = tls::accept(listener, keys.server()?, events);
            tokio::spawn(server.serve_with_incoming(incoming));
        }
    }
    Ok((address, seen))
}

#[derive(Clone)]
struct Played {
    events: mpsc::Sender<Event>,
    streams: Arc<AtomicU64>,
    /// What each stream has to show.
    asked: Option<Asked>,
}

impl NamedService for Played {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for Played {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let played = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/heapster.v1.Heapster/Control" => {
                    let codec = ProstCodec::<ToBuddy, FromBuddy>::default();
                    grpc(codec).streaming(Control(played), request).await
                }
                "/heapster.v1.Heapster/Ingest" => {
                    grpc(FrameCodec).streaming(Ingest(played), request).await
                }
                _ => Status::unimplemented("heapster.v1 has no such method").into_http(),
            })
        })
    }
}

fn grpc<C: Codec>(codec: C) -> Grpc<C> {
    let grpc = Grpc::new(codec).accept_compressed(CompressionEncoding::Zstd);
    grpc.max_decoding_message_size(MOST_BYTES)
}

type Answer<T> = Response<ReceiverStream<Result<T, Status>>>;

impl Played {
    /// What is wrong with what a stream shows.
    fn unproven<M>(&self, kind: &str, request: &Request<M>) -> Option<What> {
        let asked = self.asked.as_ref()?;
        let wrong = asked.wrong_with(request.metadata(), request.extensions())?;
        Some(What::Unproven(format!("{kind} stream {wrong}")))
    }

    /// Tells of a new stream and, as they come, of its messages.
    fn take<M: Send + 'static, T: Send + 'static>(
        &self,
        kind: &str,
        request: Request<Streaming<M>>,
        opened: fn(Answers<T>) -> What,
        came: fn(M) -> What,
    ) -> BoxFuture<Answer<T>, Status> {
        let (answers, outgoing) = mpsc::channel(ANSWERS);
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let events = self.events.clone();
        let unproven = self.unproven(kind, &request);
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            if let Some(what) = unproven {
                let _ = events.send(Event { stream, what }).await;
            }
            let mut what = opened(answers);
            loop {
                let ended = matches!(what, What::Ended);
                if events.send(Event { stream, what }).await.is_err() || ended {
                    return;
                }
                what = match incoming.message().await {
                    Ok(Some(message)) => came(message),
                    Ok(None) | Err(_) => What::Ended,
                };
            }
        });
        Box::pin(async { Ok(Response::new(ReceiverStream::new(outgoing))) })
    }
}

struct Control(Played);

impl StreamingService<FromBuddy> for Control {
    type Response = ToBuddy;
    type ResponseStream = ReceiverStream<Result<ToBuddy, Status>>;
    type Future = BoxFuture<Answer<ToBuddy>, Status>;

    fn call(&mut self, request: Request<Streaming<FromBuddy>>) -> Self::Future {
        let came = |message| What::Control(Box::new(message));
        self.0.take("a Control", request, What::ControlOpened, came)
    }
}

struct Ingest(Played);

impl StreamingService<Bytes> for Ingest {
    type Response = Receipt;
    type ResponseStream = ReceiverStream<Result<Receipt, Status>>;
    type Future = BoxFuture<Answer<Receipt>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        self.0.take("an Ingest", request, What::IngestOpened, What::Frame)
    }
}

/// Frames come as bytes; receipts go as messages.
#[derive(Clone, Copy, Debug)]
struct FrameCodec;

impl Codec for FrameCodec {
    type Encode = Receipt;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl tonic::codec::Encoder for FrameCodec {
    type Item = Receipt;
    type Error = Status;

    fn encode(&mut self, receipt: Receipt, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let encoded = prost::Message::encode(&receipt, buffer);
        encoded.map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
