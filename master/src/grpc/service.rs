//! The methods of the protocol as the server finds them by their paths.
//!
//! It stands where the generated server could, but for one thing: the frames of Ingest stay bytes,
//! so that their credit is what they were on the wire, and rows are read where they lie.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use bytes::{Buf as _, Bytes};
use heapster_proto::v1::{self, heapster_server::SERVICE_NAME};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, StreamingService},
};
use tonic_prost::ProstCodec;

use super::{
    Context, OUTBOX_BOUND, begin,
    control::{self, Caller},
    decode::crowd::{FROM_BUDDY, fits},
    ingest, origin, peer, shown,
};

const CONTROL: &str = "/heapster.v1.Heapster/Control";
const INGEST: &str = "/heapster.v1.Heapster/Ingest";

/// The service that buddies use.
#[derive(Clone)]
pub(super) struct BuddyService {
    pub(super) context: Arc<Context>,
    /// The largest message that is taken, decompressed.
    pub(super) max_bytes: usize,
}

impl NamedService for BuddyService {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for BuddyService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { context, max_bytes } = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                CONTROL => {
                    let codec = ControlCodec { max_bytes };
                    grpc(codec, max_bytes).streaming(Control(context), request).await
                }
                INGEST => grpc(IngestCodec, max_bytes).streaming(Ingest(context), request).await,
                _ => Status::unimplemented("heapster.v1 has no such method").into_http(),
            })
        })
    }
}

fn grpc<C: Codec>(codec: C, max_bytes: usize) -> Grpc<C> {
    let grpc = Grpc::new(codec).accept_compressed(CompressionEncoding::Zstd);
    grpc.max_decoding_message_size(max_bytes)
}

type Answer<T> = Response<ReceiverStream<Result<T, Status>>>;

struct Control(Arc<Context>);

impl StreamingService<v1::FromBuddy> for Control {
    type Response = v1::ToBuddy;
    type ResponseStream = ReceiverStream<Result<v1::ToBuddy, Status>>;
    type Future = BoxFuture<Answer<v1::ToBuddy>, Status>;

    fn call(&mut self, request: Request<Streaming<v1::FromBuddy>>) -> Self::Future {
        let (open, shown) = (begin(&request), shown(&request));
        let caller = Caller { peer: peer(&request), origin: origin(&request), shown };
        let (outbox, stream) = mpsc::channel(OUTBOX_BOUND);
        let context = Arc::clone(&self.0);
        tokio::spawn(async move {
            control::serve(context, request.into_inner(), caller, outbox).await;
            drop(open);
        });
        Box::pin(async { Ok(Response::new(ReceiverStream::new(stream))) })
    }
}

struct Ingest(Arc<Context>);

impl StreamingService<Bytes> for Ingest {
    type Response = v1::Receipt;
    type ResponseStream = ReceiverStream<Result<v1::Receipt, Status>>;
    type Future = BoxFuture<Answer<v1::Receipt>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (outbox, stream) = mpsc::channel(OUTBOX_BOUND);
        let context = Arc::clone(&self.0);
        let (shown, open) = (shown(&request), begin(&request));
        self.0.ingests.spawn(async move {
            ingest::serve(context, request.into_inner(), shown, outbox).await;
            drop(open);
        });
        Box::pin(async { Ok(Response::new(ReceiverStream::new(stream))) })
    }
}

/// Messages both ways; those that would take too much memory are not decoded.
#[derive(Clone, Copy, Debug)]
struct ControlCodec {
    max_bytes: usize,
}

impl Codec for ControlCodec {
    type Encode = v1::ToBuddy;
    type Decode = v1::FromBuddy;
    type Encoder = <ProstCodec<v1::ToBuddy, v1::FromBuddy> as Codec>::Encoder;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<v1::ToBuddy, v1::FromBuddy>::default().encoder()
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Decoder for ControlCodec {
    type Item = v1::FromBuddy;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<v1::FromBuddy>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        if !fits(&message, &FROM_BUDDY, self.max_bytes) {
            return Err(Status::resource_exhausted(
                "a message has too many parts, most of which say nothing",
            ));
        }
        let decoded = v1::FromBuddy::decode(message);
        decoded.map(Some).map_err(|error| Status::internal(format!("a broken message: {error}")))
    }
}

/// Frames come as bytes; receipts go as messages.
#[derive(Clone, Copy, Debug)]
struct IngestCodec;

impl Codec for IngestCodec {
    type Encode = v1::Receipt;
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

impl Encoder for IngestCodec {
    type Item = v1::Receipt;
    type Error = Status;

    fn encode(&mut self, receipt: v1::Receipt, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let encoded = receipt.encode(buffer);
        encoded.map_err(|error| Status::internal(format!("a receipt cannot be written: {error}")))
    }
}

impl Decoder for IngestCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
