//! A master that takes everything that comes and answers it well, but for one fault.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use heapster_proto::v1::{
    Credit, Delivery, Frame, FromBuddy, Limits, Receipt, ToBuddy, Welcome,
    delivery::Outcome,
    frame::Kind,
    from_buddy,
    heapster_server::{Heapster, HeapsterServer},
    receipt, to_buddy,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

const CREDIT_BYTES: u64 = 1 << 20;

/// What is wrong with the master, beside that it refuses nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    RefusesNothing,
    GivesTooMuchCredit,
    AnswersTwice,
    NamesNoSession,
}

/// A running master.
pub(crate) struct FakeMaster {
    pub(crate) address: SocketAddr,
}

impl FakeMaster {
    pub(crate) async fn start(fault: Fault) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = HeapsterServer::new(Service { fault, sessions: AtomicU64::new(0) });
        let service = service.max_decoding_message_size(usize::MAX);
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { address }
    }
}

struct Service {
    fault: Fault,
    sessions: AtomicU64,
}

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Heapster for Service {
    type ControlStream = Answers<ToBuddy>;
    type IngestStream = Answers<Receipt>;

    async fn control(
        &self,
        request: Request<Streaming<FromBuddy>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let mut incoming = request.into_inner();
        let (answers, outgoing) = mpsc::channel(16);
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let named = self.fault != Fault::NamesNoSession;
        let session_id = if named { format!("s{session}") } else { String::new() };
        tokio::spawn(async move {
            let welcome = to_buddy::Kind::Welcome(welcome(session_id));
            let _ = answers.send(Ok(ToBuddy { kind: Some(welcome) })).await;
            while let Ok(Some(message)) = incoming.message().await {
                if matches!(message.kind, Some(from_buddy::Kind::Goodbye(_))) {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }

    async fn ingest(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::IngestStream>, Status> {
        let (answers, outgoing) = mpsc::channel(64);
        tokio::spawn(serve(self.fault, request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

fn welcome(session_id: String) -> Welcome {
    let limits = Limits {
        max_frame_bytes: 64 << 10,
        credit_bytes: CREDIT_BYTES,
        max_entities: 1000,
        max_labels: 16,
        max_label_bytes: 256,
        max_streams: 2,
    };
    let limits = Some(limits);
    Welcome { version: 1, session_id, resolution_ms: 1000, limits, ..Welcome::default() }
}

async fn serve(
    fault: Fault,
    mut frames: Streaming<Frame>,
    answers: mpsc::Sender<Result<Receipt, Status>>,
) {
    let say = async |kind| {
        let _ = answers.send(Ok(Receipt { kind: Some(kind) })).await;
    };
    let credit = |bytes| receipt::Kind::Credit(Credit { bytes });
    say(credit(CREDIT_BYTES)).await;
    let mut delivered_through = 0;
    while let Ok(Some(frame)) = frames.message().await {
        let used = u64::try_from(frame.encoded_len()).unwrap();
        if let Some(Kind::Open(open)) = &frame.kind {
            delivered_through = open.delivered_through;
        }
        if frame.sequence > delivered_through {
            let times = if fault == Fault::AnswersTwice { 2 } else { 1 };
            for _ in 0..times {
                say(receipt::Kind::Delivery(delivered(frame.sequence))).await;
            }
        }
        let more = if fault == Fault::GivesTooMuchCredit { 1000 } else { 0 };
        say(credit(used + more)).await;
    }
}

fn delivered(sequence: u64) -> Delivery {
    Delivery {
        first_sequence: sequence,
        last_sequence: sequence,
        outcome: Outcome::Delivered.into(),
        ..Delivery::default()
    }
}
