//! The uplink: the gRPC client that brings the journal to the master.
//!
//! One session is a Control stream and up to two Ingest streams: live, which follows the tail of
//! the journal, and backfill, for what could not be delivered before. When Control or the live
//! stream ends, the session is over and the next one is tried with backoff; meanwhile the journal
//! goes on and fills the spool.

mod assigned;
mod codec;
mod config;
mod control;
mod convert;
#[doc(hidden)]
pub mod door;
mod encode;
mod gather;
mod ingest;
mod inventory;
mod journal;
mod observe;
mod ports;
mod remains;
mod trouble;

use std::{sync::Arc, time::Duration};

use heapster_proto::v1::{Welcome, open::Purpose};
use heapster_shared::backoff::Backoff;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{events::Observation, poller::Polled, spool::SpoolConfig};
use assigned::Assigned;
use config::Line;
pub use config::{Connect, UplinkConfig};
use control::{Control, Greeting};
#[doc(hidden)]
pub use encode::{Encoded, SegmentWriter, WriteLimits};
use gather::Gather;
#[doc(hidden)]
pub use journal::{Cut, DiskDamage, Journal, NoFrame, Recalling};
use observe::ObserverPort;
pub use ports::UplinkPorts;
pub use remains::Remains;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A session of this length was a good one: the next trouble starts with short waits again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// Who the buddy is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The same over restarts, unique in the cluster.
    pub buddy_id: String,
    /// New at each start.
    pub instance_id: Arc<str>,
    /// The cluster it speaks for.
    pub cluster: Arc<str>,
    /// What runs the cluster.
    pub manager: String,
    /// What it does.
    pub duties: Duties,
}

/// What a buddy does, besides telling of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duties {
    /// Finds hosts.
    pub discovers: bool,
    /// Polls hosts: those it finds, or those that the master gives it.
    pub polls: bool,
    /// Wants hosts only where no other buddy can have them.
    pub standby: bool,
}

impl Default for Duties {
    fn default() -> Self {
        Self { discovers: true, polls: true, standby: false }
    }
}

/// The journal and its way to the master.
pub struct Uplink {
    config: UplinkConfig,
    identity: Identity,
    ports: UplinkPorts,
    assigned: Assigned,
    observer: ObserverPort,
    journal: Arc<Journal>,
    backoff: Backoff,
    /// Where the master sent us instead of the place that the options name.
    redirect: Option<UplinkConfig>,
    /// Whether a master has ever welcomed this buddy.
    was_welcome: bool,
}

/// The master does not want this buddy: a sentence that says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Why a session ended.
#[derive(Debug)]
enum SessionEnd {
    /// The buddy was stopped, and all is delivered.
    Drained,
    /// The master says not to come back like this.
    Refused(String),
    /// Anything else: try again.
    Lost(Lost),
}

#[derive(Debug)]
struct Lost {
    reason: String,
    retry_after: Option<Duration>,
    redirect: String,
}

impl Lost {
    fn because(reason: String) -> Self {
        Self { reason, retry_after: None, redirect: String::new() }
    }

    fn from_status(status: &Status) -> Self {
        Self::because(trouble::of_session(status))
    }
}

impl Uplink {
    /// An uplink that has not connected yet.
    #[must_use]
    pub fn new(
        config: UplinkConfig,
        identity: Identity,
        ports: UplinkPorts,
        spool: SpoolConfig,
    ) -> Self {
        let journal = Arc::new(Journal::with_spool(Arc::clone(&identity.instance_id), spool));
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let observer = ObserverPort::default();
        let assigned = Assigned::default();
        Self {
            config,
            identity,
            ports,
            assigned,
            observer,
            journal,
            backoff,
            redirect: None,
            was_welcome: false,
        }
    }

    /// Whether it keeps what a poller gives of samples for the next start.
    #[must_use]
    pub fn keeps_samples(&self) -> bool {
        self.journal.keeps_samples()
    }

    /// What an earlier start kept of samples, for the poller to go on with.
    #[must_use]
    pub fn recalling(&self) -> Recalling {
        self.journal.recalling()
    }

    /// Writes what was polled to the journal, until the poller ends. To be run beside
    /// [`Uplink::run`], whether there is a connection or not.
    pub fn writer(&self, polled: mpsc::Receiver<Polled>) -> impl Future<Output = ()> + use<> {
        let journal = Arc::clone(&self.journal);
        let mut gather = Gather::new(polled);
        async move {
            while let Some(polled) = gather.next().await {
                journal.write(&polled);
            }
        }
    }

    /// Makes this a buddy that observes events. What it gives writes them to the journal until there
    /// are no more, and is to be run beside [`Uplink::run`].
    pub fn observe(&mut self, observation: Observation) -> impl Future<Output = ()> + use<> {
        let Observation { mut events, state, tally } = observation;
        self.observer = ObserverPort::of(state);
        let journal = Arc::clone(&self.journal);
        async move {
            while let Some(batch) = events.recv().await {
                let written = journal.write_events(&batch);
                tally.count_sent(written);
                tally.count_dropped(batch.len() - written);
            }
        }
    }

    /// What is left, for when [`Uplink::run`] has ended.
    #[must_use]
    pub fn remains(&self) -> Remains {
        Remains::of(Arc::clone(&self.journal))
    }

    /// Keeps a session with the master. After `drain` it ends when all is delivered; without a
    /// connection it ends at once.
    ///
    /// # Errors
    /// When the master refuses this buddy for good.
    pub async fn run(mut self, drain: CancellationToken) -> Result<(), Refused> {
        loop {
            let started = Instant::now();
            let end = self.session(&drain).await;
            self.journal.end_session();
            let lost = match end {
                SessionEnd::Drained => return Ok(()),
                SessionEnd::Refused(reason) => return Err(Refused(reason)),
                SessionEnd::Lost(lost) => lost,
            };
            if started.elapsed() > GOOD_SESSION {
                self.backoff.reset();
            }
            let wait = self.backoff.next_wait().max(lost.retry_after.unwrap_or_default());
            tracing::warn!(
                master = self.target().url(),
                reason = lost.reason,
                wait_ms = wait.as_millis() as u64,
                "no session with the master; rows are kept in the spool"
            );
            self.follow(&lost.redirect);
            tokio::select! {
                () = drain.cancelled() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }

    fn target(&self) -> &UplinkConfig {
        self.redirect.as_ref().unwrap_or(&self.config)
    }

    /// Goes where the master says next, and back to where the user says when that fails.
    fn follow(&mut self, redirect: &str) {
        self.redirect = None;
        if redirect.is_empty() {
            return;
        }
        match self.config.redirected(redirect) {
            Ok(target) => self.redirect = Some(target),
            Err(error) => tracing::warn!(
                redirect,
                error,
                "the master names a place to go to that cannot be used"
            ),
        }
    }

    async fn session(&mut self, drain: &CancellationToken) -> SessionEnd {
        let connected = tokio::select! {
            () = drain.cancelled() => return SessionEnd::Drained,
            connected = self.connect() => connected,
        };
        let (line, mut control, welcome) = match connected {
            Ok(connected) => connected,
            Err(end) => return end,
        };
        self.was_welcome = true;
        tracing::info!(
            master = self.target().url(),
            software = welcome.software,
            resolution_ms = welcome.resolution_ms,
            "connected to the master"
        );
        self.ports.set_resolution(welcome.resolution_ms);
        let limits = WriteLimits::told(&welcome.limits.unwrap_or_default());
        self.journal.start_session(welcome.session_id, limits);
        let journal = Arc::clone(&self.journal);
        // Without rows and events there is no log: such a buddy is one of Control alone.
        let has_log = self.identity.duties.polls || self.observer.observes();
        let end = tokio::select! {
            end = control.run(&mut self.ports, &mut self.assigned, &journal, drain) => end,
            status = ingest::run(&line, &journal, Purpose::Live), if has_log => {
                SessionEnd::Lost(Lost::from_status(&status))
            }
            status = backfill(&line, &journal), if has_log => {
                SessionEnd::Lost(Lost::from_status(&status))
            }
        };
        match end {
            // Of the streams of a session that was said goodbye to, any may end first.
            SessionEnd::Lost(_) if drain.is_cancelled() && journal.spool_state().frames == 0 => {
                SessionEnd::Drained
            }
            end => end,
        }
    }

    async fn connect(&self) -> Result<(Line, Control, Welcome), SessionEnd> {
        let lost = |reason| SessionEnd::Lost(Lost::because(reason));
        let line = self.target().connect().await.map_err(lost)?;
        let observer = self.observer.clone();
        let in_force = self.assigned.version();
        let opened = Control::open(&line, &self.identity, observer, in_force).await;
        match opened.map_err(|status| lost(trouble::of_greeting(&status)))? {
            Greeting::Welcome(control, welcome) => Ok((line, *control, welcome)),
            Greeting::Refusal(refusal) => Err(control::refused(refusal, self.was_welcome)),
        }
    }
}

/// Keeps a backfill stream open while there is something for it; returns when the session has to
/// end.
async fn backfill(line: &Line, journal: &Journal) -> Status {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let started = Instant::now();
        let status = ingest::run(line, journal, Purpose::Backfill).await;
        match status.code() {
            Code::Unauthenticated => return status,
            Code::InvalidArgument => journal.cut_backfill(Cut::Unreadable(status.message())),
            Code::ResourceExhausted => journal.cut_backfill(Cut::Limit(status.message())),
            _ => journal.cut_backfill(Cut::Lost),
        }
        if started.elapsed() > GOOD_SESSION {
            backoff.reset();
        }
        tracing::debug!(%status, "the backfill stream ended");
        sleep(backoff.next_wait()).await;
    }
}
