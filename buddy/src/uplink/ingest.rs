//! One Ingest stream: frames up as far as credit goes, receipts down.

use bytes::Bytes;
use heapster_proto::v1::{Receipt, open::Purpose, receipt::Kind};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming, client::Grpc, codec::CompressionEncoding,
    codegen::http::uri::PathAndQuery,
};

use super::{
    codec::IngestCodec,
    config::Line,
    journal::{Journal, NoFrame},
};

const INGEST: PathAndQuery = PathAndQuery::from_static("/heapster.v1.Heapster/Ingest");

/// Frames that are handed to the connection and not yet taken by it.
const HANDED_OVER: usize = 4;

/// Bytes that may be sent.
#[derive(Clone, Copy, Debug, Default)]
struct Credit {
    left: i64,
    /// As first granted: with so much left, nothing is in use.
    whole: i64,
}

impl Credit {
    fn allows(&self, bytes: usize) -> bool {
        self.left >= signed(bytes as u64) || self.left >= self.whole
    }

    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(signed(bytes as u64));
    }

    fn grant(&mut self, bytes: u64) {
        if self.whole == 0 {
            self.whole = signed(bytes);
        }
        self.left = self.left.saturating_add(signed(bytes));
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Sends what the journal has for this purpose until the stream ends, and returns why it ended.
pub(super) async fn run(line: &Line, journal: &Journal, purpose: Purpose) -> Status {
    let mut changes = journal.changes();
    let first = loop {
        match journal.next(purpose) {
            Ok(frame) => break frame,
            Err(NoFrame::Wait(retry_at)) => wait(&mut changes, retry_at).await,
            Err(NoFrame::End) => return dropped(),
        }
    };
    let mut credit = Credit::default();
    credit.spend(first.len());
    let (frames, outgoing) = mpsc::channel(HANDED_OVER);
    if frames.send(first).await.is_err() {
        return Status::internal("the stream ended before it began");
    }
    match open(line, outgoing).await {
        Ok(receipts) => pump(journal, purpose, &mut changes, credit, &frames, receipts).await,
        Err(status) => status,
    }
}

async fn open(line: &Line, outgoing: mpsc::Receiver<Bytes>) -> Result<Streaming<Receipt>, Status> {
    let mut grpc = Grpc::new(line.channel.clone()).accept_compressed(CompressionEncoding::Zstd);
    if line.compressed {
        grpc = grpc.send_compressed(CompressionEncoding::Zstd);
    }
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = line.request(ReceiverStream::new(outgoing));
    Ok(grpc.streaming(request, INGEST, IngestCodec).await?.into_inner())
}

async fn pump(
    journal: &Journal,
    purpose: Purpose,
    changes: &mut watch::Receiver<()>,
    mut credit: Credit,
    frames: &mpsc::Sender<Bytes>,
    mut receipts: Streaming<Receipt>,
) -> Status {
    let mut pending: Option<Bytes> = None;
    loop {
        let mut retry_at = None;
        if pending.is_none() {
            match journal.next(purpose) {
                Ok(frame) => pending = Some(frame),
                Err(NoFrame::Wait(at)) => retry_at = at,
                Err(NoFrame::End) => return dropped(),
            }
        }
        let sendable = pending.as_ref().is_some_and(|frame| credit.allows(frame.len()));
        tokio::select! {
            receipt = receipts.message() => match receipt {
                Ok(Some(receipt)) => take(journal, purpose, &mut credit, &receipt),
                Ok(None) => return Status::new(Code::Unavailable, "the master ended the stream"),
                Err(status) => return status,
            },
            permit = frames.reserve(), if sendable => {
                let (Ok(permit), Some(frame)) = (permit, pending.take()) else {
                    // The connection has dropped the stream; the receipts say why.
                    return end(receipts).await;
                };
                credit.spend(frame.len());
                permit.send(frame);
            }
            () = wait(changes, retry_at), if pending.is_none() => {}
        }
    }
}

fn dropped() -> Status {
    Status::aborted("the spool was full and dropped what was being sent")
}

fn take(journal: &Journal, purpose: Purpose, credit: &mut Credit, receipt: &Receipt) {
    match &receipt.kind {
        Some(Kind::Credit(more)) => credit.grant(more.bytes),
        Some(Kind::Delivery(delivery)) => journal.settle(purpose, delivery),
        None => {}
    }
}

async fn end(mut receipts: Streaming<Receipt>) -> Status {
    loop {
        match receipts.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::unavailable("the master ended the stream"),
            Err(status) => return status,
        }
    }
}

/// Until the journal changes, or this time comes.
async fn wait(changes: &mut watch::Receiver<()>, until: Option<Instant>) {
    let time = async {
        match until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // The journal outlives its streams.
        changed = changes.changed() => if changed.is_err() { std::future::pending().await },
        () = time => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before any grant the Open may go, and nothing after it; a frame that is larger than all
    /// credit may go when none is in use.
    #[test]
    fn credit_is_never_passed_but_by_a_lone_large_frame() {
        let mut credit = Credit::default();
        assert!(credit.allows(50));
        credit.spend(50);
        assert!(!credit.allows(1));
        credit.grant(100);
        assert!(credit.allows(50) && !credit.allows(51));
        credit.grant(50);
        assert!(credit.allows(1_000));
        credit.spend(1_000);
        assert!(!credit.allows(1));
    }
}
