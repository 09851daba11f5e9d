//! Gives a frame to its cluster, for the sinks that lack it.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::{
    Segment,
    receipts::{Entry, Fate},
    unavailable,
};
use crate::{
    actors::{
        buddy::Role,
        cluster::{EndRound, SubmitEvents, SubmitRows},
        ledger::Admitted,
    },
    core::sink_set::SinkSet,
    delivery::{Outcome, Passage},
    grpc::{
        control::may,
        decode::{Content, DecodedRows},
    },
};

impl Segment {
    /// Gives a frame to the cluster, unless every sink has it or holds it; with the sinks that it
    /// was given to.
    pub(super) async fn submit(
        &self,
        sequence: u64,
        bytes: usize,
        content: Content,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<(Entry, SinkSet), Status> {
        match &content {
            Content::Rows(_) | Content::RoundEnd(_) => may(&self.record.identity, Role::Polls)?,
            Content::Events(_) => may(&self.record.identity, Role::ObservesEvents)?,
            Content::Unknown | Content::Open(_) | Content::Define(_) => {}
        }
        let (ledger, record) = (Arc::clone(&self.ledger), Arc::clone(&self.record));
        let Some(Admitted { to, ticket, outcome }) = ledger.admit(sequence) else {
            let fate = Fate::Known { ledger, record };
            return Ok((Entry::new(sequence, bytes, fate), SinkSet::EMPTY));
        };
        // Where it does not arrive, the ticket is dropped, and the frame is to be sent again.
        let passage = Passage { to, origin: self.origin.clone(), ticket, turn };
        let fate = Fate::Routed { outcome, ledger, record };
        let mut entry = Entry::new(sequence, bytes, fate);
        match content {
            Content::Rows(mut rows) => {
                entry.refused = std::mem::take(&mut rows.refused);
                entry.reason = rows.reason;
                self.submit_rows(sequence, rows, entry.refused.len(), passage).await?;
            }
            Content::Events(events) => {
                let submit = SubmitEvents { events, passage };
                self.cluster.ask(submit).await.map_err(|_| unavailable())?;
            }
            Content::RoundEnd(tick) => {
                let buddy_id = self.record.identity.buddy_id.clone();
                let ended = self.cluster.ask(EndRound { buddy_id, tick }).await;
                ended.map_err(|_| unavailable())?;
                passage.ticket.settle(Outcome::Delivered);
            }
            Content::Unknown | Content::Open(_) | Content::Define(_) => {
                passage.ticket.settle(Outcome::Delivered);
            }
        }
        Ok((entry, to))
    }

    async fn submit_rows(
        &self,
        sequence: u64,
        rows: DecodedRows,
        refused: usize,
        passage: Passage,
    ) -> Result<bool, Status> {
        let submit = SubmitRows {
            buddy_id: self.record.identity.buddy_id.clone(),
            tick: rows.tick,
            blocks: rows.blocks,
            refused,
            follows: self.ledger.follows(sequence),
            passage,
        };
        self.cluster.ask(submit).await.map_err(|_| unavailable())
    }
}
