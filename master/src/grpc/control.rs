//! A Control stream: the handshake, then hosts, health and heartbeats up, and requests down.

use std::{net::IpAddr, sync::Arc, time::Duration};

use heapster_proto::{
    VERSION,
    v1::{self, FromBuddy, ToBuddy, from_buddy, refusal::Code, to_buddy},
};
use heapster_shared::{SOFTWARE, tick::unix_ms};
use prost::Message as _;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use super::{
    Context, MAX_INGEST_STREAMS, assignment, convert,
    decode::{DecodeError, ReaderLimits},
    ingest::{paced, status_of},
    sessions::{self, Admission},
};
use crate::{
    access::{BuddyDenied, Rules, Shown, Validity},
    actors::{
        buddy::{Identity, Role},
        cluster::{Cluster, Join, JoinError, Joined, UpdateHealth, UpdateHosts},
        exit::Exit,
        mailbox::Mailbox,
        session::{Close, Downlink, Heartbeat},
        supervisor::{FindCluster, FindError},
    },
    core::{
        assign::Order,
        inventory::{HostsUpdate, NotApplied},
    },
};

/// Messages of the session that may wait for this task.
const DOWNLINK_BOUND: usize = 16;
/// A buddy that takes no messages for this long is cut off.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);
/// When a buddy that finds the master full may come back.
const RETRY_MS: u32 = 30_000;
/// When a buddy whose credential was taken back may come with another one.
const RETRY_WITH_ANOTHER_MS: u32 = 1_000;

type Outbox = mpsc::Sender<Result<ToBuddy, Status>>;

/// Who opens a stream.
pub(super) struct Caller {
    pub(super) peer: String,
    /// Whom it is counted for where nobody is asked for a credential.
    pub(super) origin: Option<IpAddr>,
    pub(super) shown: Shown,
}

/// Serves a stream until either side ends it.
pub(super) async fn serve(
    context: Arc<Context>,
    mut inbound: Streaming<FromBuddy>,
    caller: Caller,
    outbox: Outbox,
) {
    let peer = caller.peer.clone();
    let first = tokio::select! {
        () = context.draining.cancelled() => Err(going_away()),
        first = timeout(context.limits.handshake_timeout, inbound.message()) => {
            first.unwrap_or_else(|_| Err(Status::deadline_exceeded("no Hello came")))
        }
    };
    let hello = match first.map(|first| first.and_then(|message| message.kind)) {
        Ok(Some(from_buddy::Kind::Hello(hello))) => hello,
        Ok(_) => {
            return finish(&outbox, Status::invalid_argument("the first message must be a Hello"));
        }
        Err(status) => return finish(&outbox, status),
    };
    match welcome(&context, hello, caller).await {
        Ok(stream) => stream.run(inbound, outbox).await,
        Err(refusal) => {
            let (code, reason) = (refusal.code().as_str_name(), &refusal.message);
            warn!(peer, code, reason, "a buddy was refused");
            answer(&outbox, to_buddy::Kind::Refusal(refusal));
        }
    }
}

/// Checks a Hello and opens a session.
async fn welcome(
    context: &Arc<Context>,
    hello: v1::Hello,
    Caller { peer, origin, shown }: Caller,
) -> Result<Stream, v1::Refusal> {
    if !hello.versions.contains(&VERSION) {
        let message = format!(
            "this master speaks version {VERSION} of the protocol, the buddy {:?}: upgrade the older of the two",
            hello.versions
        );
        return Err(refusal(Code::Version, message, 0));
    }
    let mut rules = context.door.changes();
    let in_force = Arc::clone(&rules.borrow_and_update());
    // Nothing of what a stranger says is read.
    let who = in_force.recognise(&shown);
    let who = who.map_err(|message| refusal(Code::Credential, message, 0))?;
    let limits = ReaderLimits::from(&context.limits);
    let hello_bytes = hello.encoded_len();
    let mut identity = convert::identity(hello, peer, &limits)
        .map_err(|message| refusal(Code::Malformed, message, 0))?;
    in_force.buddy(&who, &identity.cluster, &identity.roles).map_err(denied)?;
    who.name().clone_into(&mut identity.credential);
    let pass = Pass::new(shown, rules, &identity);
    let admission = sessions::admit(context, &who, origin, &identity).map_err(busy)?;
    let buddy_id = identity.buddy_id.clone();
    let (sender, downlink) = mpsc::channel(DOWNLINK_BOUND);
    let join = Join { identity, rate: admission.rate(), downlink: sender };
    let (cluster, joined) = join_cluster(context, join).await?;
    let per_second = context.limits.max_bytes_per_second.0;
    let resume = joined.record.spend(hello_bytes, per_second, Instant::now());
    Ok(Stream {
        context: Arc::clone(context),
        limits,
        buddy_id,
        cluster,
        joined,
        downlink,
        pass,
        resume,
        _admission: admission,
    })
}

async fn join_cluster(
    context: &Context,
    join: Join,
) -> Result<(Mailbox<Cluster>, Joined), v1::Refusal> {
    let (identity, buddy_id) = (&join.identity, join.identity.buddy_id.clone());
    let find = FindCluster { name: identity.cluster.clone(), create: true };
    let found = context.supervisor.send(find).await;
    let cluster = match found.unwrap_or(Err(FindError::Unavailable)) {
        Ok(cluster) => cluster,
        Err(error) => return Err(busy(error.to_string())),
    };
    match cluster.ask(join).await {
        Ok(Ok(joined)) => Ok((cluster, joined)),
        Ok(Err(error)) => Err(join_refusal(&error, &buddy_id)),
        Err(_) => Err(busy(FindError::Unavailable.to_string())),
    }
}

fn busy(message: String) -> v1::Refusal {
    refusal(Code::Overloaded, message, RETRY_MS)
}

fn denied(denied: BuddyDenied) -> v1::Refusal {
    match denied {
        BuddyDenied::Cluster(message) => refusal(Code::ClusterNotAllowed, message, 0),
        BuddyDenied::Role(message) => refusal(Code::RoleNotAllowed, message, 0),
    }
}

fn join_refusal(error: &JoinError, buddy_id: &str) -> v1::Refusal {
    match error {
        JoinError::Duplicate { peer, retry_after_ms } => {
            let message = format!(
                "another instance of buddy {buddy_id} is connected from {peer}: stop it, or give this one an id of its own (--buddy-id)"
            );
            refusal(Code::DuplicateInstance, message, *retry_after_ms)
        }
        JoinError::TooMany => {
            refusal(Code::Overloaded, "the cluster has too many buddies".to_owned(), RETRY_MS)
        }
    }
}

fn refusal(code: Code, message: String, retry_after_ms: u32) -> v1::Refusal {
    v1::Refusal { code: code.into(), message, retry_after_ms, redirect: String::new() }
}

fn going_away() -> Status {
    Status::unavailable("the master is going away: reconnect with backoff")
}

/// What cannot be queued at once is left out: a buddy that does not read is soon cut off.
fn answer(outbox: &Outbox, kind: to_buddy::Kind) {
    let _ = outbox.try_send(Ok(ToBuddy { kind: Some(kind) }));
}

fn finish(outbox: &Outbox, status: Status) {
    let _ = outbox.try_send(Err(status));
}

/// What the session was opened with, held against the rules as they change, and against the clock.
struct Pass {
    shown: Shown,
    validity: Validity,
    rules: watch::Receiver<Arc<Rules>>,
    cluster: String,
    roles: Vec<Role>,
}

impl Pass {
    fn new(shown: Shown, rules: watch::Receiver<Arc<Rules>>, identity: &Identity) -> Self {
        let (cluster, roles) = (identity.cluster.clone(), identity.roles.clone());
        Self { validity: Validity::of(&shown), shown, rules, cluster, roles }
    }

    /// Waits for other rules, or for the end of the certificate; returns when the session is not
    /// allowed any more.
    async fn taken_back(&mut self) -> v1::Refusal {
        loop {
            tokio::select! {
                changed = self.rules.changed() => if changed.is_err() {
                    // The master ends; nobody takes anything back.
                    std::future::pending::<()>().await;
                },
                () = self.validity.over() => {}
            }
            let rules = Arc::clone(&self.rules.borrow_and_update());
            let allowed = match rules.recognise(&self.shown) {
                Ok(who) => rules.buddy(&who, &self.cluster, &self.roles).map_err(denied),
                Err(message) => Err(refusal(Code::Credential, message, 0)),
            };
            if let Err(refusal) = allowed {
                return v1::Refusal { retry_after_ms: RETRY_WITH_ANOTHER_MS, ..refusal };
            }
            self.validity.confirm();
        }
    }
}

struct Stream {
    context: Arc<Context>,
    limits: ReaderLimits,
    buddy_id: String,
    cluster: Mailbox<Cluster>,
    joined: Joined,
    downlink: mpsc::Receiver<Downlink>,
    pass: Pass,
    /// When the next message may be read, of a buddy that sends too fast.
    resume: Option<Instant>,
    _admission: Admission,
}

impl Stream {
    async fn run(mut self, mut inbound: Streaming<FromBuddy>, outbox: Outbox) {
        answer(&outbox, to_buddy::Kind::Welcome(self.welcome()));
        let exit = match self.exchange(&mut inbound, &outbox).await {
            Ok(exit) => exit,
            Err(status) => {
                debug!(buddy = self.buddy_id, %status, "a Control stream ends");
                if status.code() == tonic::Code::InvalidArgument {
                    self.joined.record.failed(status.message());
                }
                finish(&outbox, status);
                Exit::Done
            }
        };
        // It may have ended by itself, and this stream with it.
        let _ = self.joined.session.ask(Close { exit }).await;
    }

    fn welcome(&self) -> v1::Welcome {
        let limits = &self.context.limits;
        let bytes = |size: heapster_shared::units::ByteSize| size.0;
        v1::Welcome {
            version: VERSION,
            session_id: self.joined.session_id.clone(),
            resolution_ms: self.context.resolution.ms(),
            limits: Some(v1::Limits {
                max_frame_bytes: bytes(limits.max_frame_bytes),
                credit_bytes: bytes(limits.credit_bytes),
                max_entities: limits.max_entities,
                max_labels: limits.max_labels,
                max_label_bytes: u32::try_from(bytes(limits.max_label_bytes)).unwrap_or(u32::MAX),
                max_streams: MAX_INGEST_STREAMS,
            }),
            capabilities: Vec::new(),
            software: SOFTWARE.to_owned(),
        }
    }

    /// Until the stream ends: how the buddy left.
    async fn exchange(
        &mut self,
        inbound: &mut Streaming<FromBuddy>,
        outbox: &Outbox,
    ) -> Result<Exit, Status> {
        loop {
            tokio::select! {
                // What the session says goes out before the end.
                biased;
                Some(downlink) = self.downlink.recv() => answer(outbox, down(downlink)),
                () = self.context.closing.cancelled() => return Err(going_away()),
                refusal = self.pass.taken_back() => {
                    let (code, reason) = (refusal.code().as_str_name(), &refusal.message);
                    warn!(buddy = self.buddy_id, code, reason, "a buddy may not stay");
                    self.joined.record.failed(reason);
                    answer(outbox, to_buddy::Kind::Refusal(refusal));
                    return Ok(Exit::Done);
                }
                () = self.joined.closed.cancelled() => return Err(Status::unavailable(
                    "the session has ended: a newer connection took its place, or no heartbeat came",
                )),
                Ok(()) = self.joined.orders.changed() => {
                    let order = self.joined.orders.borrow_and_update().clone();
                    self.assign(order, outbox).await?;
                }
                message = paced(self.resume, inbound) => match message? {
                    Some(FromBuddy { kind: Some(from_buddy::Kind::Goodbye(_)) }) => {
                        return Ok(Exit::Drained);
                    }
                    None => return Ok(Exit::Done),
                    Some(message) => self.take(message, outbox).await?,
                },
            }
        }
    }

    async fn take(&mut self, message: FromBuddy, outbox: &Outbox) -> Result<(), Status> {
        let (record, limits) = (&self.joined.record, &self.context.limits);
        record.heard(unix_ms());
        let per_second = limits.max_bytes_per_second.0;
        self.resume = record.spend(message.encoded_len(), per_second, Instant::now());
        match message.kind {
            Some(from_buddy::Kind::Hello(_)) => {
                return Err(Status::invalid_argument("Hello comes once, and first"));
            }
            Some(from_buddy::Kind::Hosts(hosts)) => {
                may(&self.joined.record.identity, Role::Discovers)?;
                let update = convert::snapshot(hosts, &self.limits).map_err(status_of)?;
                self.update(update, outbox).await?;
            }
            Some(from_buddy::Kind::HostChange(change)) => {
                may(&self.joined.record.identity, Role::Discovers)?;
                let update = convert::change(change, &self.limits).map_err(status_of)?;
                self.update(update, outbox).await?;
            }
            Some(from_buddy::Kind::Health(health)) => {
                let hosts = convert::host_states(health.hosts);
                let discoveries = convert::discovery_states(health.discoveries);
                let observers = convert::observer_states(health.observers);
                self.joined.record.observes(observers);
                let buddy_id = self.buddy_id.clone();
                let health = UpdateHealth { buddy_id, hosts, discoveries };
                self.cluster.ask(health).await.map_err(|_| going_away())?;
            }
            Some(from_buddy::Kind::Heartbeat(heartbeat)) => {
                let pulse = Heartbeat(convert::pulse(&heartbeat));
                self.joined.session.ask(pulse).await.map_err(|_| going_away())?;
            }
            Some(from_buddy::Kind::AssignmentReply(reply)) => {
                let answer = convert::order_answer(self.buddy_id.clone(), reply);
                self.cluster.ask(answer).await.map_err(|_| going_away())?;
            }
            // What is newer is ignored.
            Some(from_buddy::Kind::Goodbye(_)) | None => {}
        }
        Ok(())
    }

    /// Sends an order whole: other than requests, which come again, it is said once.
    async fn assign(&self, order: Option<Order>, outbox: &Outbox) -> Result<(), Status> {
        let Some(order) = order else { return Ok(()) };
        for chunk in assignment::chunks(&order, self.limits.max_frame_bytes) {
            let message = ToBuddy { kind: Some(to_buddy::Kind::Assignment(chunk)) };
            let sent = timeout(TAKEN_WITHIN, outbox.send(Ok(message))).await;
            let too_slow = || Status::deadline_exceeded("the buddy takes no messages");
            sent.map_err(|_| too_slow())?.map_err(|_| Status::cancelled("the buddy has gone"))?;
        }
        Ok(())
    }

    async fn update(&self, update: HostsUpdate, outbox: &Outbox) -> Result<(), Status> {
        let update = UpdateHosts { buddy_id: self.buddy_id.clone(), update };
        match self.cluster.ask(update).await.map_err(|_| going_away())? {
            Ok(()) => Ok(()),
            Err(NotApplied::Gap(reason)) => {
                let request = v1::SnapshotRequest { reason };
                answer(outbox, to_buddy::Kind::SendSnapshot(request));
                Ok(())
            }
            Err(NotApplied::TooMany) => {
                let max = self.limits.max_entities;
                Err(status_of(DecodeError::Limit(format!("more hosts than max_entities ({max})"))))
            }
        }
    }
}

/// Whether a buddy that had to show a credential has a role, which it has only where that allows it.
pub(super) fn may(identity: &Identity, role: Role) -> Result<(), Status> {
    if identity.credential.is_empty() || identity.roles.contains(&role) {
        return Ok(());
    }
    Err(Status::permission_denied(format!(
        "this is for buddies with the role {}, which was not in Hello",
        role.name()
    )))
}

fn down(downlink: Downlink) -> to_buddy::Kind {
    match downlink {
        Downlink::SendSnapshot { reason } => {
            to_buddy::Kind::SendSnapshot(v1::SnapshotRequest { reason })
        }
        Downlink::Drain { deadline_ms } => {
            to_buddy::Kind::Drain(v1::Drain { deadline_ms, redirect: String::new() })
        }
    }
}
