//! Frames that sinks hold, and that nothing can be said of yet.
//!
//! After a while such a frame gives its credit back: it is in the queue of a sink then, which has a
//! bound of its own, and the buddy is to send what others want meanwhile. Their number is bounded:
//! past it the oldest is answered as to be sent again.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use heapster_proto::v1::Delivery;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{answer, retry};

/// How long a frame keeps its credit.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Frames of a stream that may wait.
pub(super) const MOST: usize = 1024;

/// An answer, and the credit that comes back with it.
pub(super) struct Answered {
    pub(super) delivery: Option<Delivery>,
    pub(super) bytes: usize,
}

/// See the module's header.
#[derive(Default)]
pub(super) struct Parked {
    frames: FuturesUnordered<BoxFuture<'static, (u64, Option<Delivery>)>>,
    /// By number, which grows.
    slips: BTreeMap<u64, Slip>,
    last: u64,
    /// Slips up to this number have given their credit back.
    credited: u64,
}

struct Slip {
    since: Instant,
    /// Credit that it still has.
    bytes: usize,
    /// Without it the frame is given up.
    _keep: oneshot::Sender<Infallible>,
}

impl Parked {
    /// Waits with a frame.
    pub(super) fn add(
        &mut self,
        sequence: u64,
        bytes: usize,
        settled: BoxFuture<'static, Option<Delivery>>,
    ) {
        self.last += 1;
        let number = self.last;
        let (keep, given_up) = oneshot::channel();
        let frame = async move {
            tokio::select! {
                biased;
                delivery = settled => (number, delivery),
                _ = given_up => {
                    let outcome = retry("too many frames before it wait for a sink");
                    (number, Some(answer(sequence, outcome, Vec::new(), "")))
                }
            }
        };
        self.frames.push(frame.boxed());
        self.slips.insert(number, Slip { since: Instant::now(), bytes, _keep: keep });
        if self.slips.len() > MOST
            && let Some(mut oldest) = self.slips.first_entry()
        {
            let (keep, _) = oneshot::channel();
            // It stays until its future says that it was given up.
            oldest.get_mut()._keep = keep;
        }
    }

    /// Waits for the next that is answered; for ever when nothing waits.
    pub(super) async fn next(&mut self) -> Answered {
        match self.frames.next().await {
            Some((number, delivery)) => {
                let bytes = self.slips.remove(&number).map_or(0, |slip| slip.bytes);
                Answered { delivery, bytes }
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until a frame is to give its credit back.
    pub(super) fn credit_due(&self) -> impl Future<Output = ()> + use<> {
        let first = self.slips.range(self.credited + 1..).next();
        let due = first.map(|(_, slip)| slip.since + PATIENCE);
        async move {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }

    /// The credit of the frames that have waited for long.
    pub(super) fn take_credit_due(&mut self) -> usize {
        let now = Instant::now();
        let mut freed = 0;
        for (number, slip) in self.slips.range_mut(self.credited + 1..) {
            if slip.since + PATIENCE > now {
                break;
            }
            freed += std::mem::take(&mut slip.bytes);
            self.credited = *number;
        }
        freed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slips.is_empty()
    }
}
