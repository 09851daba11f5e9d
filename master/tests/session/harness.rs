//! A master in this process, a sink that records, and a buddy made of tonic's client.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler};
use clap::Parser;
use heapster_master::{
    actors::{
        Drain, Observe, Offer, SinkChild, SinkHandle, exit::ExitGuard, mailbox::Queued,
        model::ModelHandle, sink::SinkActor,
    },
    args::MasterArgs,
    delivery::{Outcome, Payload, Ticket},
    http::{self, AppState, Bounds},
    observe::StatusHandle,
    server::{Arbiters, Master},
    status::SinkStatus,
};
use heapster_proto::v1::{self, heapster_client::HeapsterClient};
use heapster_shared::row::RowBatch;
use heapster_testkit::authority::Authority;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

/// As many messages as a real sink may have waiting.
const MAILBOX: usize = SinkActor::MAILBOX;
const LONGEST_TEST: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    master: MasterArgs,
}

/// What the sink does with what it is offered.
#[derive(Clone, PartialEq, Debug)]
pub enum Mode {
    Settle(Outcome),
    Hold,
    Panic,
}

/// What a sink was given, and how it is to behave.
pub struct Recorder {
    pub payloads: Mutex<Vec<Payload>>,
    pub held: Mutex<Vec<Ticket>>,
    pub mode: Mutex<Mode>,
    pub starts: AtomicUsize,
    pub drains: AtomicUsize,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            payloads: Mutex::default(),
            held: Mutex::default(),
            mode: Mutex::new(Mode::Settle(Outcome::Delivered)),
            starts: AtomicUsize::new(0),
            drains: AtomicUsize::new(0),
        })
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn release(&self) {
        self.set(Mode::Settle(Outcome::Delivered));
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        held.into_iter().for_each(|ticket| ticket.settle(Outcome::Delivered));
    }

    /// The batches of rows that came, in order.
    pub fn rows(&self) -> Vec<Arc<RowBatch>> {
        let payloads = self.payloads.lock().unwrap();
        let rows = payloads.iter().filter_map(|payload| match payload {
            Payload::Rows(rows) => Some(Arc::clone(rows)),
            _ => None,
        });
        rows.collect()
    }

    /// The uids of the events that came, in order.
    pub fn events(&self) -> Vec<String> {
        let payloads = self.payloads.lock().unwrap();
        let events = payloads.iter().filter_map(|payload| match payload {
            Payload::Events(batch) => Some(&batch.events),
            _ => None,
        });
        events.flatten().map(|event| event.uid.clone()).collect()
    }

    /// Every sample that came, as `TICK LEVEL/NAME METRIC VALUE`.
    pub fn samples(&self) -> Vec<String> {
        let mut samples = Vec::new();
        for batch in self.rows() {
            for row in batch.blocks.iter().flat_map(|block| block.rows()) {
                let entity = &row.head.entity;
                samples.extend(row.samples().map(|(field, cell)| {
                    let value = cell.to_real(field.metric.value_type()).unwrap();
                    let name = field.metric.name();
                    format!("{} {}/{} {name} {value}", batch.tick.0, entity.level, entity.name)
                }));
            }
        }
        samples
    }

    pub fn child(self: &Arc<Self>, name: &str, required: bool, arbiters: &Arbiters) -> SinkChild {
        let (recorder, name) = (Arc::clone(self), name.to_owned());
        let arbiter = arbiters.handles()[0].clone();
        let handle_name = name.clone();
        let start = move |exit| {
            let recorder = Arc::clone(&recorder);
            recorder.starts.fetch_add(1, Ordering::SeqCst);
            let sink = RecordingSink::start_in_arbiter(&arbiter, move |_| RecordingSink {
                recorder,
                _exit: exit,
            });
            SinkHandle::new(handle_name.clone(), required, sink)
        };
        SinkChild { name, required, mailbox_bound: MAILBOX, start: Box::new(start) }
    }
}

struct RecordingSink {
    recorder: Arc<Recorder>,
    _exit: ExitGuard,
}

impl Actor for RecordingSink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Queued<Offer>> for RecordingSink {
    type Result = ();

    fn handle(&mut self, offer: Queued<Offer>, ctx: &mut Self::Context) {
        self.handle(offer.take(), ctx);
    }
}

impl Handler<Offer> for RecordingSink {
    type Result = ();

    fn handle(&mut self, offer: Offer, _: &mut Self::Context) {
        let mode = self.recorder.mode.lock().unwrap().clone();
        assert_ne!(mode, Mode::Panic, "as the test wants");
        match (mode, offer.ticket) {
            (Mode::Hold, Some(ticket)) => self.recorder.held.lock().unwrap().push(ticket),
            (Mode::Settle(outcome), Some(ticket)) => {
                ticket.settle(outcome.clone());
                if outcome != Outcome::Delivered {
                    return;
                }
            }
            _ => {}
        }
        self.recorder.payloads.lock().unwrap().push(offer.payload);
    }
}

impl Handler<Observe<SinkStatus>> for RecordingSink {
    type Result = actix::MessageResult<Observe<SinkStatus>>;

    fn handle(&mut self, _: Observe<SinkStatus>, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(SinkStatus {
            name: "recorder".into(),
            kind: "recorder".into(),
            required: true,
            state: "ok".into(),
            ..SinkStatus::default()
        })
    }
}

impl Handler<Drain> for RecordingSink {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.recorder.drains.fetch_add(1, Ordering::SeqCst);
        self.recorder.release();
    }
}

/// The files of a master that speaks TLS and asks for certificates of clients, both of one authority.
pub struct TlsFiles {
    pub authority: Authority,
    folder: tempfile::TempDir,
}

impl TlsFiles {
    pub fn new() -> Self {
        let authority = Authority::new().unwrap();
        let serving = authority.serving(&["127.0.0.1", "localhost"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("master.crt", serving.certificate_pem.as_str()),
            ("master.key", serving.key_pem.as_str()),
            ("ca.crt", authority.cluster_ca_pem()),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { authority, folder }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn ca(&self) -> Option<String> {
        Some(self.authority.cluster_ca_pem().to_owned())
    }
}

/// A master that runs.
pub struct Bench {
    pub address: SocketAddr,
    /// Where it answers HTTP.
    #[allow(dead_code)] // read by the tests of hostile peers alone
    pub http: SocketAddr,
    /// The authority of its certificate; nothing where it speaks in plain text.
    pub ca: Option<String>,
    pub status: StatusHandle,
    pub required: Arc<Recorder>,
    pub optional: Arc<Recorder>,
    pub stop: CancellationToken,
}

/// Runs a test against a master with these options, a required sink and another one.
pub fn with_master<F: Future<Output = ()>>(options: &[&str], test: impl FnOnce(Arc<Bench>) -> F) {
    with_master_of(&[&["--insecure"], options].concat(), None, |_| Vec::new(), test);
}

/// The same with further sinks.
pub fn with_sinks<F: Future<Output = ()>>(
    options: &[&str],
    more: impl FnOnce(&Arbiters) -> Vec<SinkChild>,
    test: impl FnOnce(Arc<Bench>) -> F,
) {
    with_master_of(&[&["--insecure"], options].concat(), None, more, test);
}

/// The same, where the options say how it is to be reached, by TLS with an authority or without.
pub fn with_master_of<F: Future<Output = ()>>(
    options: &[&str],
    ca: Option<String>,
    more: impl FnOnce(&Arbiters) -> Vec<SinkChild>,
    test: impl FnOnce(Arc<Bench>) -> F,
) {
    let argv = ["master", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"];
    let args = Cli::parse_from(argv.iter().chain(options)).master;
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
    system.block_on(async move {
        let arbiters = Arbiters::start(2);
        let (required, optional) = (Recorder::new(), Recorder::new());
        let mut sinks = vec![
            required.child("required", true, &arbiters),
            optional.child("optional", false, &arbiters),
        ];
        sinks.extend(more(&arbiters));
        let mut master = Master::build(&args, arbiters, sinks).unwrap();
        let listener = master.take_http().unwrap();
        let http = listener.local_addr().unwrap();
        let state = AppState::new(Arc::new(master.status()), ModelHandle::default());
        let bounds = Bounds::from(&args.limits);
        let serving = http::serve(listener, state, master.door(), bounds).unwrap();
        let pages = serving.handle();
        tokio::spawn(serving);
        let bench = Arc::new(Bench {
            address: master.grpc_address().unwrap(),
            http,
            ca,
            status: master.status(),
            required,
            optional,
            stop: CancellationToken::new(),
        });
        let running = tokio::spawn(master.run(bench.stop.clone()));
        let tested = tokio::time::timeout(LONGEST_TEST, test(Arc::clone(&bench))).await;
        tested.expect("the test took too long");
        bench.stop.cancel();
        running.await.unwrap().unwrap();
        pages.stop(false).await;
    });
}

/// Looks again until the condition holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A buddy's Control stream.
pub struct Buddy {
    client: HeapsterClient<Channel>,
    /// What its streams show; empty for nothing.
    pub token: String,
    pub control: mpsc::Sender<v1::FromBuddy>,
    pub inbound: Streaming<v1::ToBuddy>,
    pub session_id: String,
    pub welcome: v1::Welcome,
}

pub fn hello(buddy_id: &str, instance_id: &str) -> v1::Hello {
    v1::Hello {
        versions: vec![1],
        buddy_id: buddy_id.into(),
        instance_id: instance_id.into(),
        cluster: "lab".into(),
        manager: "static".into(),
        roles: vec![v1::Role::Discovers.into(), v1::Role::Polls.into()],
        software: "test/1".into(),
        ..v1::Hello::default()
    }
}

fn with_token<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if !token.is_empty() {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

pub fn from_buddy(kind: v1::from_buddy::Kind) -> v1::FromBuddy {
    v1::FromBuddy { kind: Some(kind) }
}

impl Bench {
    pub async fn channel(&self) -> Channel {
        let Some(ca) = &self.ca else {
            let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
            return endpoint.connect().await.unwrap();
        };
        let endpoint = Channel::from_shared(format!("https://{}", self.address)).unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    /// The same by TLS, with a client's certificate and key in PEM.
    pub async fn channel_showing(&self, certificate: &str, key: &str) -> Channel {
        let endpoint = Channel::from_shared(format!("https://{}", self.address)).unwrap();
        let ca = Certificate::from_pem(self.ca.as_ref().unwrap());
        let tls = ClientTlsConfig::new().ca_certificate(ca);
        let tls = tls.identity(Identity::from_pem(certificate, key));
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    pub async fn client(&self) -> HeapsterClient<Channel> {
        HeapsterClient::new(self.channel().await)
    }

    /// Opens Control; the buddy, or the refusal.
    pub async fn hello(&self, hello: v1::Hello) -> Result<Buddy, v1::Refusal> {
        self.hello_with("", hello).await
    }

    /// The same with a token, where it is not empty.
    pub async fn hello_with(&self, token: &str, hello: v1::Hello) -> Result<Buddy, v1::Refusal> {
        Self::hello_over(self.client().await, token, hello).await
    }

    /// The same over a connection that others use as well.
    pub async fn hello_over(
        mut client: HeapsterClient<Channel>,
        token: &str,
        hello: v1::Hello,
    ) -> Result<Buddy, v1::Refusal> {
        let (control, outbound) = mpsc::channel(16);
        control.try_send(from_buddy(v1::from_buddy::Kind::Hello(hello))).unwrap();
        let request = with_token(token, ReceiverStream::new(outbound));
        let mut inbound = client.control(request).await.unwrap().into_inner();
        match inbound.message().await.unwrap().unwrap().kind.unwrap() {
            v1::to_buddy::Kind::Welcome(welcome) => Ok(Buddy {
                client,
                token: token.to_owned(),
                control,
                inbound,
                session_id: welcome.session_id.clone(),
                welcome,
            }),
            v1::to_buddy::Kind::Refusal(refusal) => {
                assert!(inbound.message().await.unwrap().is_none(), "the stream ends");
                Err(refusal)
            }
            other => panic!("neither welcome nor refusal: {other:?}"),
        }
    }

    pub async fn buddy(&self) -> Buddy {
        self.hello(hello("buddy-1", "one")).await.unwrap()
    }
}

impl Buddy {
    pub async fn ingest(&self) -> Ingest {
        let (frames, outbound) = mpsc::channel(64);
        let mut client = self.client.clone();
        let request = with_token(&self.token, ReceiverStream::new(outbound));
        let receipts = client.ingest(request).await.unwrap().into_inner();
        let session_id = self.session_id.clone();
        Ingest { frames, receipts, session_id, credit: 0, deliveries: Vec::new() }
    }

    /// A live stream of instance "one", with its definitions sent.
    pub async fn stream(&self, delivered_through: u64) -> Ingest {
        self.stream_for(v1::open::Purpose::Live, delivered_through).await
    }

    /// The same for what could not be delivered earlier.
    pub async fn backfill(&self, delivered_through: u64) -> Ingest {
        self.stream_for(v1::open::Purpose::Backfill, delivered_through).await
    }

    async fn stream_for(&self, purpose: v1::open::Purpose, delivered_through: u64) -> Ingest {
        let mut ingest = self.ingest().await;
        ingest.open_for(purpose, delivered_through).await;
        ingest.send(0, super::frames::define()).await;
        ingest
    }
}

/// An Ingest stream.
pub struct Ingest {
    pub frames: mpsc::Sender<v1::Frame>,
    pub receipts: Streaming<v1::Receipt>,
    pub session_id: String,
    pub credit: u64,
    pub deliveries: Vec<v1::Delivery>,
}

impl Ingest {
    pub async fn open(&mut self, delivered_through: u64) {
        self.open_for(v1::open::Purpose::Live, delivered_through).await;
    }

    pub async fn open_for(&mut self, purpose: v1::open::Purpose, delivered_through: u64) {
        let open = v1::Open {
            session_id: self.session_id.clone(),
            instance_id: "one".into(),
            segment: 1,
            purpose: purpose.into(),
            delivered_through,
        };
        self.send(0, v1::frame::Kind::Open(open)).await;
    }

    pub async fn send(&mut self, sequence: u64, kind: v1::frame::Kind) {
        // When the master has ended the stream the reason is among the receipts.
        let _ = self.frames.send(v1::Frame { sequence, kind: Some(kind) }).await;
    }

    /// The next receipt, counted; an error when the stream ended with one.
    pub async fn receive(&mut self) -> Result<(), Status> {
        let receipt = self.receipts.message().await?;
        match receipt.expect("the stream goes on").kind.unwrap() {
            v1::receipt::Kind::Credit(credit) => self.credit += credit.bytes,
            v1::receipt::Kind::Delivery(delivery) => self.deliveries.push(delivery),
        }
        Ok(())
    }

    /// Receives until this sequence is answered.
    pub async fn answered(&mut self, sequence: u64) -> v1::Delivery {
        loop {
            let found = self.deliveries.iter().find(|delivery| {
                (delivery.first_sequence..=delivery.last_sequence).contains(&sequence)
            });
            if let Some(found) = found {
                return found.clone();
            }
            self.receive().await.unwrap();
        }
    }

    /// Receives until the stream ends with a status.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.receive().await {
                return status;
            }
        }
    }
}
