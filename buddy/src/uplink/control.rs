//! The Control stream of one session: says who is there, tells of hosts and how they are, and takes
//! assignments and settings.

use std::{sync::Arc, time::Duration};

use heapster_proto::v1::{
    Assignment, FromBuddy, Goodbye, Heartbeat, Hello, Refusal, Role, ToBuddy, Welcome, from_buddy,
    heapster_client::HeapsterClient, refusal, to_buddy,
};
use heapster_shared::{SOFTWARE, tick::unix_ms};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, codec::CompressionEncoding};

use super::{
    Identity, Lost, ObserverPort, SessionEnd, UplinkPorts, assigned::Assigned, config::Line,
    inventory::Inventory, journal::Journal,
};

/// The master is to answer Hello within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a buddy waits for its credential to become good again.
const ANOTHER_CREDENTIAL_AFTER: Duration = Duration::from_secs(10);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// The capability of a buddy that is given hosts only where no other can take them.
const STANDBY: &str = "standby";
/// Messages that the connection has not taken yet.
const QUEUED: usize = 16;

/// An open Control stream.
pub(super) struct Control {
    outgoing: mpsc::Sender<FromBuddy>,
    incoming: Streaming<ToBuddy>,
    inventory: Inventory,
    observer: ObserverPort,
}

/// What the master answers to Hello.
pub(super) enum Greeting {
    Welcome(Box<Control>, Welcome),
    Refusal(Refusal),
}

impl Control {
    /// Opens the stream and says Hello.
    pub(super) async fn open(
        line: &Line,
        identity: &Identity,
        observer: ObserverPort,
        assignment_version: u64,
    ) -> Result<Greeting, Status> {
        let client = HeapsterClient::new(line.channel.clone());
        let mut client = client.accept_compressed(CompressionEncoding::Zstd);
        if line.compressed {
            client = client.send_compressed(CompressionEncoding::Zstd);
        }
        let (outgoing, requests) = mpsc::channel(QUEUED);
        let hello = from_buddy::Kind::Hello(hello(identity, &observer, assignment_version));
        let sent = outgoing.send(FromBuddy { kind: Some(hello) }).await;
        sent.map_err(|_| Status::internal("the stream ended before it began"))?;
        let request = line.request(ReceiverStream::new(requests));
        let greeted = async {
            let mut incoming = client.control(request).await?.into_inner();
            let first = incoming.message().await?;
            Ok::<_, Status>((incoming, first))
        };
        let (incoming, first) = timeout(ANSWER_WITHIN, greeted)
            .await
            .map_err(|_| Status::deadline_exceeded("the master did not answer Hello"))??;
        match first.and_then(|message| message.kind) {
            Some(to_buddy::Kind::Welcome(welcome)) => {
                let inventory = Inventory::default();
                let control = Self { outgoing, incoming, inventory, observer };
                Ok(Greeting::Welcome(Box::new(control), welcome))
            }
            Some(to_buddy::Kind::Refusal(refusal)) => Ok(Greeting::Refusal(refusal)),
            _ => Err(Status::internal("the master answered Hello with something else")),
        }
    }

    /// Serves the stream until it ends, or until `drain` and all is delivered or out of time.
    pub(super) async fn run(
        &mut self,
        ports: &mut UplinkPorts,
        assigned: &mut Assigned,
        journal: &Journal,
        drain: &CancellationToken,
    ) -> SessionEnd {
        assigned.begin();
        match self.serve(ports, assigned, journal, drain).await {
            Ok(end) => end,
            Err(status) => SessionEnd::Lost(Lost::from_status(&status)),
        }
    }

    async fn serve(
        &mut self,
        ports: &mut UplinkPorts,
        assigned: &mut Assigned,
        journal: &Journal,
        drain: &CancellationToken,
    ) -> Result<SessionEnd, Status> {
        let mut heartbeat = interval(HEARTBEAT_EVERY);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hosts = Arc::clone(&ports.listing.borrow_and_update().hosts);
        let snapshot = self.inventory.snapshot(&hosts);
        self.send_all(snapshot).await?;
        self.send_health(ports).await?;
        let drained = drained(journal, drain);
        tokio::pin!(drained);
        loop {
            tokio::select! {
                () = &mut drained => {
                    self.goodbye().await;
                    return Ok(SessionEnd::Drained);
                }
                message = self.incoming.message() => {
                    let Some(message) = message? else {
                        return Err(Status::unavailable("the master ended the stream"));
                    };
                    if let Some(end) = self.take(message, ports, assigned).await? {
                        return Ok(end);
                    }
                }
                _ = heartbeat.tick() => self.heartbeat(journal).await?,
                Ok(()) = ports.listing.changed() => {
                    let hosts = Arc::clone(&ports.listing.borrow_and_update().hosts);
                    let change = self.inventory.change(&hosts);
                    self.send_all(change).await?;
                    self.send_health(ports).await?;
                }
                Ok(()) = ports.states.changed() => self.send_health(ports).await?,
                health = self.observer.next() => self.send(health).await?,
            }
        }
    }

    async fn take(
        &mut self,
        message: ToBuddy,
        ports: &UplinkPorts,
        assigned: &mut Assigned,
    ) -> Result<Option<SessionEnd>, Status> {
        match message.kind {
            Some(to_buddy::Kind::SendSnapshot(_)) => {
                let hosts = Arc::clone(&ports.listing.borrow().hosts);
                let snapshot = self.inventory.snapshot(&hosts);
                self.send_all(snapshot).await?;
            }
            Some(to_buddy::Kind::Assignment(assignment)) => {
                self.take_assignment(assignment, ports, assigned).await?;
            }
            Some(to_buddy::Kind::Settings(settings)) => {
                ports.set_resolution(settings.resolution_ms)
            }
            Some(to_buddy::Kind::Drain(drain)) => {
                let wait = Duration::from_millis(u64::from(drain.deadline_ms.min(1_000)));
                return Ok(Some(SessionEnd::Lost(Lost {
                    reason: "the master asks to reconnect".to_owned(),
                    retry_after: Some(wait),
                    redirect: drain.redirect,
                })));
            }
            // It was welcome, or it would not be here.
            Some(to_buddy::Kind::Refusal(refusal)) => return Ok(Some(refused(refusal, true))),
            Some(to_buddy::Kind::Welcome(_)) | None => {}
        }
        Ok(None)
    }

    /// Polls exactly the assigned hosts from the chunk with `last` on, and says so.
    async fn take_assignment(
        &mut self,
        assignment: Assignment,
        ports: &UplinkPorts,
        assigned: &mut Assigned,
    ) -> Result<(), Status> {
        match assigned.take(assignment, &ports.assignment) {
            Some(reply) => self.send(from_buddy::Kind::AssignmentReply(reply)).await,
            None => Ok(()),
        }
    }

    async fn send_health(&mut self, ports: &mut UplinkPorts) -> Result<(), Status> {
        let states = Arc::clone(&ports.states.borrow_and_update());
        let health = self.inventory.host_health(&states);
        self.send_all(health).await?;
        let discoveries = ports.listing.borrow().states.clone();
        match self.inventory.discovery_health(&discoveries) {
            Some(health) => self.send(health).await,
            None => Ok(()),
        }
    }

    async fn heartbeat(&self, journal: &Journal) -> Result<(), Status> {
        let spool = journal.spool_state();
        let heartbeat = Heartbeat {
            unix_ms: u64::try_from(unix_ms()).unwrap_or(0),
            spool_bytes: spool.bytes as u64,
            spool_frames: spool.frames as u64,
            dropped_frames: spool.dropped_frames,
            oldest_unix_ms: u64::try_from(spool.oldest_unix_ms).unwrap_or(0),
            damaged_frames: journal.disk_damage().frames,
            spool_error: journal.disk_error().unwrap_or_default(),
        };
        self.send(from_buddy::Kind::Heartbeat(heartbeat)).await
    }

    /// Says goodbye, ends its half of the stream, and waits a moment for the master to end the other.
    async fn goodbye(&mut self) {
        let goodbye = Goodbye { reason: "the buddy was stopped".to_owned() };
        if self.send(from_buddy::Kind::Goodbye(goodbye)).await.is_ok() {
            self.outgoing = mpsc::channel(1).0;
            let ended = async { while let Ok(Some(_)) = self.incoming.message().await {} };
            let _ = timeout(Duration::from_secs(1), ended).await;
        }
    }

    async fn send_all(&self, kinds: Vec<from_buddy::Kind>) -> Result<(), Status> {
        for kind in kinds {
            self.send(kind).await?;
        }
        Ok(())
    }

    async fn send(&self, kind: from_buddy::Kind) -> Result<(), Status> {
        let sent = timeout(ANSWER_WITHIN, self.outgoing.send(FromBuddy { kind: Some(kind) }));
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::unavailable("the master ended the stream")),
            Err(_) => Err(Status::deadline_exceeded("the master takes no messages")),
        }
    }
}

/// What a refusal means: some can be tried again. A buddy that was welcome before stays and tries
/// again when its credential is not good any more: it, or what the master knows of it, may just be
/// exchanged, and what is in the spool should not be lost by that.
pub(super) fn refused(refusal: Refusal, was_welcome: bool) -> SessionEnd {
    use refusal::Code::{ClusterNotAllowed, Credential, NotOwner, RoleNotAllowed};
    let reason = format!("the master refuses: {}", refusal.message);
    let elsewhere = refusal.code() == NotOwner && !refusal.redirect.is_empty();
    let may_change = matches!(refusal.code(), Credential | ClusterNotAllowed | RoleNotAllowed);
    let retry_after = Duration::from_millis(u64::from(refusal.retry_after_ms));
    if retry_after.is_zero() && was_welcome && may_change {
        let retry_after = Some(ANOTHER_CREDENTIAL_AFTER);
        return SessionEnd::Lost(Lost { reason, retry_after, redirect: String::new() });
    }
    if retry_after.is_zero() && !elsewhere {
        return SessionEnd::Refused(reason);
    }
    let retry_after = Some(retry_after);
    SessionEnd::Lost(Lost { reason, retry_after, redirect: refusal.redirect })
}

fn hello(identity: &Identity, observer: &ObserverPort, assignment_version: u64) -> Hello {
    let duties = identity.duties;
    let roles = [
        (duties.discovers, Role::Discovers),
        (duties.polls, Role::Polls),
        (observer.observes(), Role::ObservesEvents),
    ];
    let roles = roles.into_iter().filter(|(has, _)| *has).map(|(_, role)| role.into()).collect();
    let standby = duties.standby.then(|| STANDBY.to_owned());
    Hello {
        versions: vec![heapster_proto::VERSION],
        buddy_id: identity.buddy_id.clone(),
        instance_id: identity.instance_id.to_string(),
        cluster: identity.cluster.to_string(),
        manager: identity.manager.clone(),
        roles,
        capabilities: standby.into_iter().collect(),
        software: SOFTWARE.to_owned(),
        labels: std::collections::HashMap::new(),
        assignment_version: Some(assignment_version),
    }
}

/// When the buddy is to stop and all is delivered.
async fn drained(journal: &Journal, drain: &CancellationToken) {
    drain.cancelled().await;
    let mut changes: watch::Receiver<()> = journal.changes();
    while journal.spool_state().frames > 0 {
        if changes.changed().await.is_err() {
            return;
        }
    }
}
