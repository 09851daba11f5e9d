//! What the first round waits for.

use std::{sync::Arc, time::Duration};

use heapster_shared::{host::Host, tick::Resolution};
use tokio::{sync::watch, time::timeout};

use crate::discovery::Listing;

/// What discoveries may take for their first lists, before the first round goes without them.
const FIRST_LISTS_WITHIN: Duration = Duration::from_secs(10);

/// What the master may take to answer for the first time, before polling begins without it.
const MASTER_WITHIN: Duration = Duration::from_secs(3);

/// Until it is known which hosts there are: each discovery has given a list, or has had its time and
/// there are hosts without it. The master takes the end of a round for the end of all hosts: a first
/// round with a part of them would be summed up as if it were whole, together with what an earlier
/// start may have sent for the same tick.
pub(super) async fn hosts(
    mut listing: watch::Receiver<Listing>,
    mut assignment: watch::Receiver<Option<Arc<Vec<Host>>>>,
) {
    // Where a sender goes everything ends, and there is nothing to wait for.
    if timeout(FIRST_LISTS_WITHIN, listing.wait_for(Listing::is_whole)).await.is_ok() {
        return;
    }
    tokio::select! {
        _ = listing.wait_for(Listing::is_known) => {}
        _ = assignment.wait_for(Option::is_some) => {}
    }
}

/// Until it is known what runs in the cluster, for as long as discoveries may take: rows without
/// labels would be other series than those that follow.
pub(super) async fn cluster(mut known: watch::Receiver<bool>) {
    let _ = timeout(FIRST_LISTS_WITHIN, known.wait_for(|known| *known)).await;
}

/// Until the master has told its resolution, as far as it answers soon: a round at another distance,
/// with its hosts spread over more time, would be under way still when the rounds of all others
/// begin, and their sums would lack these hosts.
pub(super) async fn resolution(mut told: watch::Receiver<Resolution>) {
    let _ = timeout(MASTER_WITHIN, told.changed()).await;
}

#[cfg(test)]
mod tests {
    use heapster_shared::host::DiscoveryState;
    use tokio::time::Instant;

    use super::*;

    /// A listing of two discoveries, by when they listed last.
    fn listing(ids: &[&str], listed: [i64; 2]) -> Listing {
        let state = |listed_unix_ms| DiscoveryState {
            name: "etcd:http://127.0.0.1:2379".to_owned(),
            ok: listed_unix_ms > 0,
            error: String::new(),
            hosts: 0,
            listed_unix_ms,
        };
        let hosts = ids.iter().map(|id| Host::named(id)).collect();
        Listing { hosts: Arc::new(hosts), states: listed.map(state).into() }
    }

    struct Bench {
        listing: watch::Sender<Listing>,
        assignment: watch::Sender<Option<Arc<Vec<Host>>>>,
        began: Instant,
        waiting: tokio::task::JoinHandle<()>,
    }

    impl Bench {
        fn start(first: Listing) -> Self {
            let (listing, listing_out) = watch::channel(first);
            let (assignment, assignment_out) = watch::channel(None);
            let waiting = tokio::spawn(hosts(listing_out, assignment_out));
            Self { listing, assignment, began: Instant::now(), waiting }
        }

        async fn ended_after(self) -> Duration {
            self.waiting.await.unwrap();
            self.began.elapsed()
        }
    }

    /// The first round has the hosts of all discoveries, unless one takes long: then those that are
    /// there are not left waiting for it.
    #[tokio::test(start_paused = true)]
    async fn polling_begins_when_all_discoveries_have_given_a_list() {
        let bench = Bench::start(listing(&[], [0, 0]));
        bench.listing.send_replace(listing(&["a"], [1, 0]));
        tokio::time::sleep(FIRST_LISTS_WITHIN / 2).await;
        assert!(!bench.waiting.is_finished());
        bench.listing.send_replace(listing(&["a"], [1, 1]));
        assert_eq!(bench.ended_after().await, FIRST_LISTS_WITHIN / 2);
        let bench = Bench::start(listing(&[], [1, 0]));
        assert_eq!(bench.ended_after().await, FIRST_LISTS_WITHIN);
        let own_host = Bench::start(listing(&["own"], [0, 0]));
        assert_eq!(own_host.ended_after().await, FIRST_LISTS_WITHIN);
        let alone = Listing { hosts: Arc::default(), states: Vec::new() };
        assert_eq!(Bench::start(alone).ended_after().await, Duration::ZERO);
    }

    /// An empty listing says nothing before there is a list: there is no round, however long that
    /// takes, unless the master knows of hosts.
    #[tokio::test(start_paused = true)]
    async fn nothing_begins_while_nothing_is_known() {
        let long = FIRST_LISTS_WITHIN * 10;
        for is_assigned in [false, true] {
            let bench = Bench::start(listing(&[], [0, 0]));
            tokio::time::sleep(long).await;
            assert!(!bench.waiting.is_finished());
            if is_assigned {
                bench.assignment.send_replace(Some(Arc::default()));
            } else {
                bench.listing.send_replace(listing(&[], [0, 1]));
            }
            assert_eq!(bench.ended_after().await, long);
        }
    }

    /// The master's resolution counts from the first round on, also where it is the default; a
    /// master that is away is not waited for.
    #[tokio::test(start_paused = true)]
    async fn the_master_is_waited_for_a_moment() {
        let began = Instant::now();
        let (master, told) = watch::channel(Resolution::DEFAULT);
        let waiting = tokio::spawn(resolution(told.clone()));
        tokio::time::sleep(MASTER_WITHIN / 3).await;
        assert!(!waiting.is_finished());
        master.send_replace(Resolution::DEFAULT);
        waiting.await.unwrap();
        assert_eq!(began.elapsed(), MASTER_WITHIN / 3);
        let began = Instant::now();
        let (_away, told) = watch::channel(Resolution::DEFAULT);
        resolution(told).await;
        assert_eq!(began.elapsed(), MASTER_WITHIN);
    }
}
