//! An Ingest stream: frames up, receipts and credit down.
//!
//! Two tasks. This one reads: it decodes a frame, gives it to the cluster, waits until the cluster
//! has it, and reads on. The other one (`receipts`) waits for what becomes of the frames, in their
//! order, answers them, and gives their credit back. Between them is a bounded queue. The credit
//! bounds the bytes; when it is used up the buddy must wait.

mod credit;
mod receipts;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use credit::CreditLine;
use heapster_proto::v1::Receipt;
use heapster_shared::{row::Block, tick::unix_ms};
use receipts::{Entry, Fate, Receipts};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use super::{
    Context,
    control::may,
    decode::{Content, DecodeError, Opening, ReadFrame, ReaderLimits, SegmentReader},
};
use crate::{
    access::Shown,
    actors::{
        buddy::{BuddyRecord, Role},
        cluster::{Cluster, EndRound, FindSession, Found, SubmitEvents, SubmitRows},
        ledger::{Admission, Ledger},
        mailbox::Mailbox,
        session::{OpenStream, StreamPurpose, StreamToken},
        supervisor::FindCluster,
    },
    delivery::{Outcome, Ticket},
};

/// Frames of a stream that may be under way to the sinks.
const MAX_FRAMES_UNDER_WAY: usize = 1024;

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
    let (entries, queue) = mpsc::channel(MAX_FRAMES_UNDER_WAY);
    let receipts = Receipts::new(outbox.clone(), Arc::clone(&credit), context.closing.clone());
    let answering = tokio::spawn(receipts.run(queue));
    let mut stream = Stream {
        reader: SegmentReader::new(ReaderLimits::from(&context.limits)),
        context: Arc::clone(&context),
        credit,
        entries,
        credential,
        segment: None,
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
    delivered_through: u64,
    closed: CancellationToken,
}

impl Stream {
    async fn read_all(&mut self, mut inbound: Streaming<Bytes>) -> Result<(), Status> {
        while let Some(frame) = self.next(&mut inbound).await? {
            self.take_credit(frame.len())?;
            self.take(frame).await?;
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

    async fn take(&mut self, frame: Bytes) -> Result<(), Status> {
        let bytes = frame.len();
        let ReadFrame { sequence, content } = self.reader.read(&frame).map_err(status_of)?;
        drop(frame);
        if let Content::Open(opening) = content {
            self.open(opening).await?;
            return self.push(Entry::uncounted(bytes)).await;
        }
        let Some(segment) = &self.segment else { return Err(session_gone()) };
        segment.record.heard(unix_ms());
        segment.record.received_frames.fetch_add(1, Relaxed);
        segment.record.received_bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Relaxed);
        let per_second = self.context.limits.max_bytes_per_second.0;
        let cost = cost(bytes, &content);
        self.resume = segment.record.rate.spend(cost, per_second, Instant::now());
        let entry = match content {
            Content::Define(mut definitions) => {
                let request = std::mem::take(&mut definitions.request);
                let resolved = segment.cluster.ask(request).await.map_err(|_| unavailable())?;
                let resolved =
                    resolved.map_err(|error| Status::resource_exhausted(error.to_string()))?;
                self.reader.define(definitions, resolved);
                Entry::uncounted(bytes)
            }
            content if sequence > segment.delivered_through => {
                segment.submit(sequence, bytes, content).await?
            }
            // Read for what later rows are increases over.
            _ => Entry::uncounted(bytes),
        };
        self.push(entry).await
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
        self.segment = Some(Segment {
            session_id: opening.session_id,
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

impl Segment {
    /// Gives a frame to the cluster, unless it was given before.
    async fn submit(&self, sequence: u64, bytes: usize, content: Content) -> Result<Entry, Status> {
        match &content {
            Content::Rows(_) | Content::RoundEnd(_) => may(&self.record.identity, Role::Polls)?,
            Content::Events(_) => may(&self.record.identity, Role::ObservesEvents)?,
            Content::Unknown | Content::Open(_) | Content::Define(_) => {}
        }
        let (ledger, record) = (Arc::clone(&self.ledger), Arc::clone(&self.record));
        let mut entry =
            Entry { sequence, bytes, fate: Fate::Free, refused: Vec::new(), reason: "" };
        let admission = ledger.admit(sequence);
        if admission == Admission::Known {
            entry.fate = Fate::Known { ledger };
            return Ok(entry);
        }
        let required_only = admission == Admission::Again;
        let follows = ledger.follows(sequence);
        let (ticket, outcome) = Ticket::new();
        entry.fate = Fate::New { outcome, ledger: Arc::clone(&ledger), record };
        // Where the cluster is gone, the ticket is dropped, and the frame is to be sent again.
        let handed = match content {
            Content::Rows(rows) => {
                let (tick, refused) = (rows.tick, rows.refused.len());
                entry.refused = rows.refused;
                entry.reason = rows.reason;
                let blocks = rows.blocks;
                let buddy_id = self.record.identity.buddy_id.clone();
                let submit =
                    SubmitRows { buddy_id, tick, blocks, refused, follows, required_only, ticket };
                self.cluster.ask(submit).await
            }
            Content::Events(events) => {
                self.cluster.ask(SubmitEvents { events, required_only, ticket }).await
            }
            Content::RoundEnd(tick) => {
                let buddy_id = self.record.identity.buddy_id.clone();
                let ended = self.cluster.ask(EndRound { buddy_id, tick }).await;
                ticket.settle(Outcome::Delivered);
                ended.map(|()| true)
            }
            Content::Unknown | Content::Open(_) | Content::Define(_) => {
                ticket.settle(Outcome::Delivered);
                Ok(true)
            }
        };
        match handed {
            Ok(true) => ledger.handed(sequence),
            Ok(false) => {}
            Err(_) => {
                ledger.settle(sequence, false);
                return Err(unavailable());
            }
        }
        Ok(entry)
    }
}
