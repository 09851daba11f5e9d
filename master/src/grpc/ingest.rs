//! An Ingest stream: frames up, receipts and credit down.
//!
//! Two tasks. This one reads: it decodes a frame, gives it to the cluster, waits until the cluster
//! has it, and reads on. The other one (`receipts`) waits for what becomes of the frames, answers
//! them, and gives their credit back. Between them is a bounded queue. The credit bounds the bytes;
//! when it is used up the buddy must wait.
//!
//! Streams take turns to decode, a frame each, so that one that floods takes nobody's turn. One
//! that backfills waits while the sinks that lack its frames are full (`pace`).

mod credit;
mod pace;
mod receipts;
mod submit;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use credit::CreditLine;
use heapster_proto::v1::Receipt;
use heapster_shared::{row::Block, tick::unix_ms};
use receipts::{Entry, Receipts};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use super::{
    Context,
    decode::{Content, DecodeError, Opening, ReadFrame, ReaderLimits, SegmentReader},
};
use crate::{
    access::Shown,
    actors::{
        buddy::BuddyRecord,
        cluster::{Cluster, FindSession, Found},
        ledger::Ledger,
        mailbox::Mailbox,
        session::{OpenStream, StreamPurpose, StreamToken},
        supervisor::FindCluster,
    },
    core::{room::Place, sink_set::SinkSet},
    delivery::Origin,
};

/// Frames that were given to their cluster and that the other task has not taken up.
const MAX_FRAMES_HANDED_OVER: usize = 64;

type Outbox = mpsc::Sender<Result<Receipt, Status>>;

/// Serves a stream until either side ends it.
pub(super) async fn serve(
    context: Arc<Context>,
    inbound: Streaming<Bytes>,
    shown: Shown,
    outbox: Outbox,
) {
    let credential = match context.door.rules().recognise(&shown) {
        Ok(who) => who.name().to_owned(),
        Err(why) => {
            let _ = outbox.try_send(Err(Status::unauthenticated(why)));
            return;
        }
    };
    let credit = Arc::new(CreditLine::new(context.limits.credit_bytes.0));
    let (entries, queue) = mpsc::channel(MAX_FRAMES_HANDED_OVER);
    let receipts = Receipts::new(outbox.clone(), Arc::clone(&credit), context.closing.clone());
    let answering = tokio::spawn(receipts.run(queue));
    let mut stream = Stream {
        reader: SegmentReader::new(ReaderLimits::from(&context.limits)),
        context: Arc::clone(&context),
        credit,
        entries,
        credential,
        segment: None,
        memory: context.streams.take(0),
        lacking: SinkSet::EMPTY,
        impatient: false,
        resume: None,
    };
    let end = stream.read_all(inbound).await;
    if let (Err(status), Some(segment)) = (&end, &stream.segment)
        && matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted)
    {
        tracing::warn!(
            buddy = segment.record.identity.buddy_id,
            error = status.message(),
            "a stream is no good"
        );
        segment.record.failed(status.message());
    }
    // Without a sender the queue ends when the last frame is answered.
    drop(stream);
    let Err(status) = end else { return };
    if context.draining.is_cancelled() {
        tokio::select! {
            _ = answering => {}
            () = context.closing.cancelled() => {}
        }
    }
    // A buddy that does not read sees the stream end without it.
    let _ = outbox.try_send(Err(status));
}

/// The status that tells a buddy what is wrong with its bytes.
pub(super) fn status_of(error: DecodeError) -> Status {
    match error {
        DecodeError::Malformed(what) => Status::invalid_argument(what),
        DecodeError::Limit(what) => Status::resource_exhausted(what),
    }
}

/// The next message, once it may be read.
pub(super) async fn paced<T>(
    resume: Option<Instant>,
    inbound: &mut Streaming<T>,
) -> Result<Option<T>, Status> {
    if let Some(resume) = resume {
        sleep_until(resume).await;
    }
    inbound.message().await
}

/// What a frame costs: its bytes, or its values where these are more, for a column of one value may
/// stand for any number of them.
fn cost(bytes: usize, content: &Content) -> usize {
    let Content::Rows(rows) = content else { return bytes };
    let values = |block: &Block| block.len() * block.layout().fields().len();
    bytes.max(rows.blocks.iter().map(values).sum())
}

fn session_gone() -> Status {
    Status::unauthenticated("this session is not known: open Control again")
}

fn unavailable() -> Status {
    Status::unavailable("the master is going away: reconnect with backoff")
}

struct Stream {
    context: Arc<Context>,
    reader: SegmentReader,
    credit: Arc<CreditLine>,
    entries: mpsc::Sender<Entry>,
    /// The name of what was shown for this stream.
    credential: String,
    segment: Option<Segment>,
    /// What the reader takes.
    memory: Place,
    /// The sinks that the last frame was given to.
    lacking: SinkSet,
    /// It has waited for them in vain.
    impatient: bool,
    /// When the next frame may be read, of a buddy that sends too fast. Until then its credit is used
    /// up and not given back.
    resume: Option<Instant>,
}

/// The segment that is being read.
struct Segment {
    session_id: String,
    purpose: StreamPurpose,
    cluster: Mailbox<Cluster>,
    record: Arc<BuddyRecord>,
    ledger: Arc<Ledger>,
    origin: Origin,
    delivered_through: u64,
    closed: CancellationToken,
}

impl Stream {
    async fn read_all(&mut self, mut inbound: Streaming<Bytes>) -> Result<(), Status> {
        while let Some(frame) = self.next(&mut inbound).await? {
            self.take_credit(frame.len())?;
            let entry = self.take(frame).await?;
            self.push(entry).await?;
            self.pace().await;
        }
        Ok(())
    }

    async fn next(&self, inbound: &mut Streaming<Bytes>) -> Result<Option<Bytes>, Status> {
        let Some(segment) = &self.segment else {
            return tokio::select! {
                () = self.context.draining.cancelled() => Err(unavailable()),
                first = timeout(self.context.limits.handshake_timeout, inbound.message()) => {
                    first.unwrap_or_else(|_| Err(Status::deadline_exceeded("no Open came")))
                }
            };
        };
        tokio::select! {
            biased;
            () = segment.closed.cancelled() => Err(Status::unavailable(
                "the stream was ended: its session is over, or a newer stream took its place",
            )),
            () = self.context.draining.cancelled() => Err(unavailable()),
            frame = paced(self.resume, inbound) => frame.map_err(|status| self.transport(status)),
        }
    }

    /// tonic's words for what is not a Frame, in the protocol's.
    fn transport(&self, status: Status) -> Status {
        match status.code() {
            Code::OutOfRange | Code::ResourceExhausted => Status::resource_exhausted(format!(
                "a frame has more than max_frame_bytes ({})",
                self.context.limits.max_frame_bytes.0
            )),
            Code::Internal => Status::invalid_argument(status.message()),
            _ => status,
        }
    }

    fn take_credit(&self, bytes: usize) -> Result<(), Status> {
        if self.credit.take(bytes) {
            return Ok(());
        }
        Err(Status::resource_exhausted(format!(
            "a frame of {bytes} bytes came without the credit for it: wait for more credit, see credit_bytes"
        )))
    }

    /// Waits for a turn, which goes with the frame until it is handed to the sinks.
    async fn take(&mut self, frame: Bytes) -> Result<Entry, Status> {
        let purpose = self.segment.as_ref().map_or(StreamPurpose::Live, |segment| segment.purpose);
        let turn = self.context.turns.wait(purpose).await;
        self.lacking = SinkSet::EMPTY;
        let entry = self.read(frame, turn).await?;
        if self.memory.resize(self.reader.size_bytes()) {
            return Ok(entry);
        }
        Err(Status::resource_exhausted(
            "what the streams of all buddies define takes as much memory as --streams-max-bytes allows",
        ))
    }

    async fn read(
        &mut self,
        frame: Bytes,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Entry, Status> {
        let bytes = frame.len();
        let ReadFrame { sequence, content } = self.reader.read(&frame).map_err(status_of)?;
        drop(frame);
        if let Content::Open(opening) = content {
            self.impatient = false;
            self.open(opening).await?;
            // What was sent on connections of before is waited for before more is read.
            self.resume = self.segment.as_ref().and_then(|segment| self.spend(segment, bytes));
            return Ok(Entry::uncounted(bytes));
        }
        let Some(segment) = &self.segment else { return Err(session_gone()) };
        segment.record.heard(unix_ms());
        segment.record.received_frames.fetch_add(1, Relaxed);
        segment.record.received_bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Relaxed);
        self.resume = self.spend(segment, cost(bytes, &content));
        Ok(match content {
            Content::Define(mut definitions) => {
                let request = std::mem::take(&mut definitions.request);
                let resolved = segment.cluster.ask(request).await.map_err(|_| unavailable())?;
                let resolved =
                    resolved.map_err(|error| Status::resource_exhausted(error.to_string()))?;
                self.reader.define(definitions, resolved);
                Entry::uncounted(bytes)
            }
            content if sequence > segment.delivered_through => {
                let (entry, to) = segment.submit(sequence, bytes, content, turn).await?;
                self.lacking = to;
                entry
            }
            // Read for what later rows are increases over.
            _ => Entry::uncounted(bytes),
        })
    }

    fn spend(&self, segment: &Segment, cost: usize) -> Option<Instant> {
        let per_second = self.context.limits.max_bytes_per_second.0;
        segment.record.spend(cost, per_second, Instant::now())
    }

    async fn push(&self, entry: Entry) -> Result<(), Status> {
        self.entries.send(entry).await.map_err(|_| unavailable())
    }

    async fn open(&mut self, opening: Opening) -> Result<(), Status> {
        if let Some(segment) = &mut self.segment
            && segment.session_id == opening.session_id
            && segment.purpose == opening.purpose
        {
            let found = find(&segment.cluster, &opening).await?;
            segment.ledger = found.ledger;
            segment.delivered_through = opening.delivered_through;
            return Ok(());
        }
        if self.segment.is_some() {
            return Err(Status::invalid_argument("a stream stays with its session and purpose"));
        }
        let (name, _) = opening.session_id.rsplit_once('/').ok_or_else(session_gone)?;
        let find_cluster = FindCluster { name: name.to_owned(), create: false };
        let cluster = self.context.supervisor.send(find_cluster).await;
        let cluster = cluster.map_err(|_| unavailable())?.map_err(|_| session_gone())?;
        let found = find(&cluster, &opening).await?;
        if found.record.identity.credential != self.credential {
            return Err(Status::unauthenticated(
                "this session was opened with another credential: open Control again",
            ));
        }
        let open = OpenStream { purpose: opening.purpose };
        let StreamToken(closed) = found.session.ask(open).await.map_err(|_| session_gone())?;
        let source = format!("{name}/{}", found.record.identity.buddy_id).into();
        let backfill = opening.purpose == StreamPurpose::Backfill;
        self.segment = Some(Segment {
            origin: Origin { source, backfill },
            session_id: opening.session_id.clone(),
            purpose: opening.purpose,
            cluster,
            record: found.record,
            ledger: found.ledger,
            delivered_through: opening.delivered_through,
            closed,
        });
        Ok(())
    }
}

async fn find(cluster: &Mailbox<Cluster>, opening: &Opening) -> Result<Found, Status> {
    let find = FindSession {
        session_id: opening.session_id.clone(),
        instance_id: opening.instance_id.clone(),
    };
    cluster.ask(find).await.ok().flatten().ok_or_else(session_gone)
}
