//! A master for tests: it does as its script says, and notes what it sees.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::Stream;
use heapster_proto::v1::{
    self, Credit, Delivery, Frame, FromBuddy, Limits, Open, Receipt, Refusal, ToBuddy, Welcome,
    delivery::Outcome,
    frame, from_buddy,
    heapster_server::{Heapster, HeapsterServer},
    open::Purpose,
    receipt, to_buddy,
};
use prost::Message;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::reader::{ReadRow, Reader};

/// What the master is to do.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) credit_bytes: u64,
    pub(crate) refusal: Option<Refusal>,
    /// Frames whose sequence is a multiple of this are put off when they first come.
    pub(crate) retry_every: Option<u64>,
    /// Ends the first live stream after so many numbered frames, half of them not answered.
    pub(crate) cut_after: Option<u64>,
    /// Answers no frame at all.
    pub(crate) silent: bool,
}

/// What the master saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) control: Vec<from_buddy::Kind>,
    pub(crate) opens: Vec<Open>,
    /// Numbered frames that were delivered, by the instance that wrote them, with their rows.
    pub(crate) delivered: BTreeMap<(String, u64), Vec<ReadRow>>,
    pub(crate) put_off: u64,
    pub(crate) wrong: Vec<String>,
}

struct Inner {
    script: Mutex<Script>,
    seen: Mutex<Seen>,
    to_buddy: broadcast::Sender<to_buddy::Kind>,
}

/// A running master.
#[derive(Clone)]
pub(crate) struct Master {
    inner: Arc<Inner>,
    pub(crate) address: SocketAddr,
}

impl Master {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to_buddy, _) = broadcast::channel(16);
        let inner = Inner { script: Mutex::new(script), seen: Mutex::default(), to_buddy };
        let master = Self { inner: Arc::new(inner), address };
        let service = HeapsterServer::new(Service(Arc::clone(&master.inner)));
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        master
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap()
    }

    pub(crate) fn tell(&self, kind: to_buddy::Kind) {
        self.inner.to_buddy.send(kind).unwrap();
    }

    /// Looks until the condition holds, for ten seconds at the most.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        for _ in 0..1_000 {
            if condition(&self.seen()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let seen = self.seen();
        let delivered: Vec<u64> = seen.delivered.keys().map(|(_, sequence)| *sequence).collect();
        panic!(
            "never: {what}; {:?} {:?} {delivered:?} {} put off, {:?}",
            seen.wrong, seen.opens, seen.put_off, seen.control
        );
    }
}

struct Service(Arc<Inner>);

type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

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
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut commands = inner.to_buddy.subscribe();
            loop {
                tokio::select! {
                    message = incoming.message() => {
                        let Ok(Some(FromBuddy { kind: Some(kind) })) = message else { return };
                        if matches!(kind, from_buddy::Kind::Hello(_)) {
                            let answer = greeting(&inner.script.lock().unwrap());
                            let message = ToBuddy { kind: Some(answer) };
                            answers.send(Ok(message)).await.unwrap();
                        }
                        inner.seen.lock().unwrap().control.push(kind);
                    }
                    Ok(kind) = commands.recv() => {
                        let _ = answers.send(Ok(ToBuddy { kind: Some(kind) })).await;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn ingest(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::IngestStream>, Status> {
        let (answers, outgoing) = mpsc::channel(64);
        let mut stream = Ingest {
            inner: Arc::clone(&self.0),
            answers,
            reader: Reader::default(),
            open: Open::default(),
            credit: 0,
            last_sequence: 0,
            numbered: 0,
        };
        tokio::spawn(async move { stream.serve(request.into_inner()).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

fn greeting(script: &Script) -> to_buddy::Kind {
    if let Some(refusal) = &script.refusal {
        return to_buddy::Kind::Refusal(refusal.clone());
    }
    to_buddy::Kind::Welcome(Welcome {
        version: 1,
        session_id: "s1".to_owned(),
        resolution_ms: 15_000,
        limits: Some(Limits {
            max_frame_bytes: 64 << 10,
            credit_bytes: script.credit_bytes,
            max_entities: 1_000,
            max_labels: 16,
            max_label_bytes: 256,
            max_streams: 2,
        }),
        ..Welcome::default()
    })
}

struct Ingest {
    inner: Arc<Inner>,
    answers: mpsc::Sender<Result<Receipt, Status>>,
    reader: Reader,
    open: Open,
    credit: i64,
    last_sequence: u64,
    numbered: u64,
}

impl Ingest {
    async fn serve(&mut self, mut frames: Streaming<Frame>) {
        let script = self.inner.script.lock().unwrap().clone();
        let credit = script.credit_bytes;
        let mut is_first = true;
        while let Ok(Some(frame)) = frames.message().await {
            let size = i64::try_from(frame.encoded_len()).unwrap();
            let whole = i64::try_from(credit).unwrap();
            if !is_first && self.credit < size && self.credit < whole {
                self.wrong(format!("{size} bytes on a credit of {}", self.credit));
            }
            self.credit -= size;
            let grant = u64::try_from(size).unwrap() + if is_first { credit } else { 0 };
            is_first = false;
            let Some(answer) = self.take(frame, &script).await else { return };
            if let Some(delivery) = answer {
                self.answer(receipt::Kind::Delivery(delivery)).await;
            }
            self.credit += i64::try_from(grant).unwrap();
            self.answer(receipt::Kind::Credit(Credit { bytes: grant })).await;
        }
    }

    /// What became of a frame; `None` to end the stream.
    async fn take(&mut self, frame: Frame, script: &Script) -> Option<Option<Delivery>> {
        let kind = frame.kind.unwrap();
        if let frame::Kind::Open(open) = &kind {
            if open.session_id != "s1" {
                self.wrong(format!("session {:?}", open.session_id));
            }
            self.inner.seen.lock().unwrap().opens.push(open.clone());
            self.open = open.clone();
            self.last_sequence = 0;
        }
        let rows = self.reader.frame(&kind);
        if frame.sequence == 0 {
            return Some(None);
        }
        if self.last_sequence != 0 && frame.sequence != self.last_sequence + 1 {
            self.wrong(format!("{} follows {}", frame.sequence, self.last_sequence));
        }
        self.last_sequence = frame.sequence;
        if frame.sequence <= self.open.delivered_through {
            return Some(None);
        }
        self.numbered += 1;
        let is_live = self.open.purpose() == Purpose::Live;
        if is_live && script.cut_after.is_some_and(|after| self.numbered > after) {
            self.inner.script.lock().unwrap().cut_after = None;
            let _ = self.answers.send(Err(Status::unavailable("cut"))).await;
            return None;
        }
        let unanswered = script.cut_after.is_some_and(|after| is_live && self.numbered > after / 2);
        if script.silent || unanswered {
            return Some(None);
        }
        let is_put_off =
            is_live && script.retry_every.is_some_and(|every| frame.sequence.is_multiple_of(every));
        let mut seen = self.inner.seen.lock().unwrap();
        let outcome = if is_put_off {
            seen.put_off += 1;
            Outcome::Retry
        } else {
            let key = (self.open.instance_id.clone(), frame.sequence);
            seen.delivered.insert(key, rows);
            Outcome::Delivered
        };
        Some(Some(Delivery {
            first_sequence: frame.sequence,
            last_sequence: frame.sequence,
            outcome: outcome.into(),
            retry_after_ms: if is_put_off { 100 } else { 0 },
            ..Delivery::default()
        }))
    }

    async fn answer(&self, kind: receipt::Kind) {
        let _ = self.answers.send(Ok(v1::Receipt { kind: Some(kind) })).await;
    }

    fn wrong(&self, what: String) {
        self.inner.seen.lock().unwrap().wrong.push(what);
    }
}
