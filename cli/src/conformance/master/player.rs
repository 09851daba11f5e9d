//! The played buddy: its connection, its Control streams and its Ingest streams.

use std::{
    collections::hash_map::RandomState,
    fmt::Write as _,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

use heapster_proto::v1::{
    Frame, FromBuddy, Hello, Receipt, Role, ToBuddy, Welcome, from_buddy,
    heapster_client::HeapsterClient, receipt, to_buddy,
};
use heapster_shared::tls::tls_error;
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use super::line::Line;
use crate::conformance::MasterArgs;

/// Messages that the connection has not taken yet.
const QUEUED: usize = 16;

/// What became of a check.
pub(super) type Tried = Result<(), Wrong>;

/// Why a check is not fine.
#[derive(Debug)]
pub(super) enum Wrong {
    Fails(String),
    DoesNotApply(String),
}

impl From<String> for Wrong {
    fn from(sentence: String) -> Self {
        Self::Fails(sentence)
    }
}

impl From<&str> for Wrong {
    fn from(sentence: &str) -> Self {
        Self::Fails(sentence.to_owned())
    }
}

/// The connection to the master.
pub(super) struct Player {
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
    cluster: String,
    /// Tells the buddies of this run from those of others.
    run: String,
    pub(super) timeout: Duration,
    pub(super) quiet: Duration,
}

impl Player {
    /// Connects; the inner error is a sentence about the master, the outer one about the options.
    pub(super) async fn connect(args: &MasterArgs) -> anyhow::Result<Result<Self, String>> {
        let url = &args.endpoint;
        let Line { endpoint, authorization } = super::line::of(args)?;
        let within = args.common.timeout;
        let connected = endpoint.connect_timeout(within).tcp_nodelay(true).connect().await;
        let why = |error| match tls_error(&error) {
            Some(tls) => super::line::explain(args, tls),
            None => format!("cannot connect to {url}: {}", root(&error)),
        };
        Ok(connected.map_err(why).map(|channel| Self {
            channel,
            authorization,
            cluster: args.common.cluster.clone(),
            run: format!("{:08x}", RandomState::new().build_hasher().finish() >> 32),
            timeout: within,
            quiet: args.common.quiet,
        }))
    }

    /// A Hello of a buddy of this name, in all roles.
    pub(super) fn hello(&self, name: &str) -> Hello {
        let roles = [Role::Discovers, Role::Polls, Role::ObservesEvents];
        Hello {
            versions: vec![1],
            buddy_id: format!("conformance-{}-{name}", self.run),
            instance_id: format!("{}-{name}-1", self.run),
            cluster: self.cluster.clone(),
            manager: "conformance".to_owned(),
            roles: roles.map(Into::into).to_vec(),
            software: "heapster-conformance/1".to_owned(),
            ..Hello::default()
        }
    }

    /// A stream of requests that shows who makes it.
    fn request<T>(&self, requests: mpsc::Receiver<T>) -> Request<ReceiverStream<T>> {
        let mut request = Request::new(ReceiverStream::new(requests));
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        request
    }

    /// Opens a Control stream with this message in it.
    pub(super) async fn control(&self, first: from_buddy::Kind) -> Result<Control, Status> {
        let (out, requests) = mpsc::channel(QUEUED);
        let first = FromBuddy { kind: Some(first) };
        out.try_send(first).map_err(|_| Status::internal("the stream takes no message"))?;
        let mut client = HeapsterClient::new(self.channel.clone());
        let opening = client.control(self.request(requests));
        let opened = timeout(self.timeout, opening).await;
        let incoming = opened.map_err(|_| Status::deadline_exceeded("no answer came"))??;
        Ok(Control { out: Some(out), incoming: incoming.into_inner(), timeout: self.timeout })
    }

    /// Opens a session.
    pub(super) async fn session(&self, hello: Hello) -> Result<Session, String> {
        let instance_id = hello.instance_id.clone();
        let control = self.control(from_buddy::Kind::Hello(hello)).await;
        let mut control = control.map_err(|status| format!("Hello gave {}", told(&status)))?;
        match control.next().await {
            Ok(Some(to_buddy::Kind::Welcome(welcome))) => {
                Ok(Session { control, welcome, instance_id })
            }
            Ok(Some(to_buddy::Kind::Refusal(refusal))) => Err(format!(
                "Hello was refused with {}: {}",
                refusal.code().as_str_name(),
                refusal.message
            )),
            Ok(other) => Err(format!("Hello was answered with {}", name_of(other.as_ref()))),
            Err(status) => Err(format!("Hello was answered with {}", told(&status))),
        }
    }

    /// Opens a session for a buddy of this name.
    pub(super) async fn buddy(&self, name: &str) -> Result<Session, String> {
        self.session(self.hello(name)).await
    }

    /// Opens an Ingest stream with this frame in it.
    pub(super) async fn ingest(&self, first: Frame) -> Result<Ingest, Status> {
        let (out, requests) = mpsc::channel(QUEUED);
        let used = bytes_of(&first);
        out.try_send(first).map_err(|_| Status::internal("the stream takes no frame"))?;
        let mut client = HeapsterClient::new(self.channel.clone());
        let opening = client.ingest(self.request(requests));
        let opened = timeout(self.timeout, opening).await;
        let incoming = opened.map_err(|_| Status::deadline_exceeded("no answer came"))??;
        let incoming = incoming.into_inner();
        Ok(Ingest { out: Some(out), incoming, used, timeout: self.timeout })
    }
}

/// A session that the master opened.
pub(super) struct Session {
    pub(super) control: Control,
    pub(super) welcome: Welcome,
    pub(super) instance_id: String,
}

/// An open Control stream.
pub(super) struct Control {
    out: Option<mpsc::Sender<FromBuddy>>,
    incoming: Streaming<ToBuddy>,
    timeout: Duration,
}

impl Control {
    pub(super) async fn say(&self, kind: from_buddy::Kind) -> Tried {
        self.send(FromBuddy { kind: Some(kind) }).await
    }

    pub(super) async fn send(&self, message: FromBuddy) -> Tried {
        let Some(out) = &self.out else { return Ok(()) };
        match timeout(self.timeout, out.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err("the master takes no more messages on Control".into()),
        }
    }

    /// Ends this half.
    pub(super) fn end(&mut self) {
        self.out = None;
    }

    /// The next message; none at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<to_buddy::Kind>, Status> {
        self.next_within(self.timeout).await
    }

    pub(super) async fn next_within(
        &mut self,
        within: Duration,
    ) -> Result<Option<to_buddy::Kind>, Status> {
        loop {
            let next = timeout(within, self.incoming.message()).await;
            match next.map_err(|_| Status::deadline_exceeded("nothing came"))?? {
                Some(ToBuddy { kind: Some(kind) }) => return Ok(Some(kind)),
                // Something newer than this program.
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits until the stream ends, however it does.
    pub(super) async fn ends(&mut self, after: &str) -> Tried {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Err(status) if is_silence(&status) => {
                    return Err(format!("the Control stream goes on after {after}").into());
                }
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}

/// An open Ingest stream.
pub(super) struct Ingest {
    out: Option<mpsc::Sender<Frame>>,
    incoming: Streaming<Receipt>,
    /// Bytes that were sent.
    pub(super) used: u64,
    timeout: Duration,
}

impl Ingest {
    pub(super) async fn send(&mut self, frame: Frame) -> Tried {
        self.used = self.used.saturating_add(bytes_of(&frame));
        let Some(out) = &self.out else { return Ok(()) };
        match timeout(self.timeout, out.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Ok(()), // The stream has ended; its receipts say why.
            Err(_) => Err("the master takes no more frames, though there is credit".into()),
        }
    }

    /// The next receipt; none at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<receipt::Kind>, Status> {
        self.next_within(self.timeout).await
    }

    pub(super) async fn next_within(
        &mut self,
        within: Duration,
    ) -> Result<Option<receipt::Kind>, Status> {
        loop {
            let next = timeout(within, self.incoming.message()).await;
            match next.map_err(|_| Status::deadline_exceeded("nothing came"))?? {
                Some(Receipt { kind: Some(kind) }) => return Ok(Some(kind)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits for the end of the stream, which has to have this status and say why.
    pub(super) async fn ends_with(&mut self, code: Code, after: &str) -> Tried {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    return Err(format!(
                        "{after} ended the stream without a status, and not with {code:?}"
                    )
                    .into());
                }
                Err(status) if is_silence(&status) => {
                    return Err(format!("the stream goes on after {after}").into());
                }
                Err(status) => return is_status(&status, code, after),
            }
        }
    }
}

/// Whether a stream ended as it has to.
pub(super) fn is_status(status: &Status, code: Code, after: &str) -> Tried {
    if status.code() != code {
        let told = told(status);
        return Err(format!("{after} ended the stream with {told}, and not with {code:?}").into());
    }
    if status.message().is_empty() {
        return Err(format!("{after} ended the stream with {code:?} and no message").into());
    }
    Ok(())
}

/// Nothing came: what this side makes of a wait that was too long.
pub(super) fn is_silence(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded && status.message() == "nothing came"
}

/// A status in words.
pub(super) fn told(status: &Status) -> String {
    format!("the status {:?} ({:?})", status.code(), status.message())
}

/// What a message of the master is.
pub(super) fn name_of(kind: Option<&to_buddy::Kind>) -> &'static str {
    match kind {
        None => "the end of the stream",
        Some(to_buddy::Kind::Welcome(_)) => "Welcome",
        Some(to_buddy::Kind::Refusal(_)) => "Refusal",
        Some(to_buddy::Kind::SendSnapshot(_)) => "send_snapshot",
        Some(to_buddy::Kind::Assignment(_)) => "Assignment",
        Some(to_buddy::Kind::Settings(_)) => "Settings",
        Some(to_buddy::Kind::Drain(_)) => "Drain",
    }
}

fn bytes_of(frame: &Frame) -> u64 {
    u64::try_from(frame.encoded_len()).unwrap_or(u64::MAX)
}

/// An error with its causes, for transports hide there what went wrong.
fn root(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
