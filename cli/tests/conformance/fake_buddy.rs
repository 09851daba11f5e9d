//! A small buddy that keeps to the protocol but for one fault. The test below is it: `heapster
//! conformance` starts this test's own program again, with where its master is in the environment.

mod assigned;
mod line;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use assigned::Assigned;
use line::Line;

use heapster_proto::v1::{
    Batch, Block, Column, CustomMetric, Define, Entity, Field, Frame, FromBuddy, Heartbeat, Hello,
    Host, HostSnapshot, Layout, Level, Open, Receipt, Role, RoundEnd, ToBuddy, delivery::Outcome,
    field::What, frame::Kind, from_buddy, heapster_client::HeapsterClient, open::Purpose, receipt,
    to_buddy,
};
use prost::Message as _;
use tokio::{
    sync::{Mutex, mpsc},
    time::{interval, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// The variable that names the fault.
pub(crate) const FAULT: &str = "FAKE_BUDDY_FAULT";
/// The test that is the buddy.
pub(crate) const TEST: &str = "fake_buddy::is_a_buddy_where_it_is_started_as_one";

const TICK: Duration = Duration::from_millis(200);
const AGAIN: Duration = Duration::from_millis(200);
/// The entity of the host that is assigned.
const ASSIGNED: u32 = 2;

/// Without a master there is nothing to play; then this test has nothing to say.
#[tokio::test]
async fn is_a_buddy_where_it_is_started_as_one() {
    let (Ok(fault), Ok(master)) = (std::env::var(FAULT), std::env::var("HEAPSTER_MASTER")) else {
        return;
    };
    let cluster = std::env::var("HEAPSTER_CLUSTER").unwrap();
    let instance = std::process::id().to_string();
    let assigned = Assigned::new(&fault);
    let buddy = Buddy { fault, cluster, instance, assigned, log: Arc::default() };
    let life = async {
        while buddy.session(&master).await {
            sleep(AGAIN).await;
        }
    };
    // Nobody is to be left behind by a run that was killed.
    let _ = timeout(Duration::from_secs(120), life).await;
}

struct Buddy {
    fault: String,
    cluster: String,
    instance: String,
    assigned: Assigned,
    log: Arc<Mutex<Log>>,
}

/// Frames that were not answered for good, by their numbers.
#[derive(Default)]
struct Log {
    frames: BTreeMap<u64, Frame>,
    last: u64,
    segment: u64,
    /// Put off until then, or cut off.
    again: Option<Instant>,
}

impl Buddy {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    /// Keeps a session; whether there is to be another.
    async fn session(&self, master: &str) -> bool {
        let Some(line) = Line::connect(master, &self.fault).await else { return true };
        let mut client = HeapsterClient::new(line.channel.clone());
        let (out, requests) = mpsc::channel(16);
        say(&out, from_buddy::Kind::Hello(self.hello())).await;
        let Ok(answer) = client.control(line.request(ReceiverStream::new(requests))).await else {
            return true;
        };
        let mut control = answer.into_inner();
        let Ok(Some(ToBuddy { kind: Some(first) })) = control.message().await else { return true };
        match first {
            to_buddy::Kind::Welcome(welcome) => {
                let follow = self.follow(&mut control, &out);
                let log = &self.log;
                let line = if self.has("forgetful") { line.nameless() } else { line };
                tokio::select! {
                    () = follow => {}
                    () = self.send(&line, &welcome.session_id, Purpose::Live) => {}
                    () = self.backfill(&line, &welcome.session_id) => {}
                }
                let mut log = log.lock().await;
                log.again = Some(Instant::now());
                if self.has("forgets") {
                    log.frames.clear();
                }
                true
            }
            to_buddy::Kind::Refusal(refusal) => {
                sleep(Duration::from_millis(refusal.retry_after_ms.into())).await;
                refusal.retry_after_ms > 0 || self.has("refusal")
            }
            other => panic!("{other:?}"),
        }
    }

    fn hello(&self) -> Hello {
        let mut roles = vec![Role::Discovers.into()];
        if !self.has("discovers") {
            roles.push(Role::Polls.into());
        }
        Hello {
            versions: vec![1],
            buddy_id: "fake".to_owned(),
            instance_id: self.instance.clone(),
            cluster: self.cluster.clone(),
            roles,
            ..Hello::default()
        }
    }

    /// Does what Control says until it ends.
    async fn follow(&self, control: &mut Streaming<ToBuddy>, out: &mpsc::Sender<FromBuddy>) {
        let mut heartbeat = interval(TICK);
        let mut version = 1;
        say(out, hosts(version)).await;
        loop {
            let message = tokio::select! {
                _ = heartbeat.tick() => {
                    say(out, from_buddy::Kind::Heartbeat(Heartbeat::default())).await;
                    if let Some(health) = self.assigned.health() {
                        say(out, from_buddy::Kind::Health(health)).await;
                    }
                    continue;
                }
                message = control.message() => message,
            };
            match message {
                Ok(Some(ToBuddy { kind: Some(to_buddy::Kind::SendSnapshot(_)) })) => {
                    version += 1;
                    say(out, hosts(version)).await;
                }
                Ok(Some(ToBuddy { kind: Some(to_buddy::Kind::Assignment(given)) })) => {
                    if let Some(reply) = self.assigned.take(given) {
                        say(out, from_buddy::Kind::AssignmentReply(reply)).await;
                    }
                }
                Ok(Some(ToBuddy { kind: Some(to_buddy::Kind::Drain(_)) })) | Ok(None) | Err(_) => {
                    return;
                }
                Ok(Some(_)) => {}
            }
        }
    }

    /// Replays what was put off, while there is a session.
    async fn backfill(&self, line: &Line, session: &str) {
        loop {
            sleep(TICK).await;
            let again = self.log.lock().await.again.take_if(|at| *at <= Instant::now());
            if again.is_some() {
                self.send(line, session, Purpose::Backfill).await;
            }
            if self.has("discovers") {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Serves a stream: the live one makes a frame each tick, the other one ends when all is sent.
    async fn send(&self, line: &Line, session: &str, purpose: Purpose) {
        if self.has("discovers") {
            std::future::pending::<()>().await;
        }
        let mut queue = self.begin(session, purpose).await;
        if purpose == Purpose::Backfill && queue.len() < 3 {
            return;
        }
        let live = purpose == Purpose::Live;
        let replayed: Vec<u64> = queue.iter().map(|frame| frame.sequence).collect();
        let (out, requests) = mpsc::channel(64);
        let mut left = -size(&queue[0]);
        out.send(queue.remove(0)).await.unwrap();
        let mut client = HeapsterClient::new(line.channel.clone());
        let requests = line.request(ReceiverStream::new(requests));
        let Ok(answer) = client.ingest(requests).await else { return };
        let mut receipts = answer.into_inner();
        let (mut whole, mut tick) = (0, interval(TICK));
        loop {
            while let Some(frame) = queue.first() {
                let enough = whole > 0 && (left >= size(frame) || left >= whole);
                if !(enough || self.has("credit") && whole > 0) {
                    break;
                }
                left -= size(frame);
                let _ = out.send(queue.remove(0)).await;
            }
            tokio::select! {
                _ = tick.tick(), if live => queue.extend(self.measure().await),
                receipt = receipts.message() => match receipt {
                    Ok(Some(Receipt { kind: Some(receipt::Kind::Credit(credit)) })) => {
                        let bytes = i64::try_from(credit.bytes).unwrap();
                        whole = whole.max(bytes * i64::from(whole == 0));
                        left += bytes;
                    }
                    Ok(Some(Receipt { kind: Some(receipt::Kind::Delivery(given)) })) => {
                        let mut log = self.log.lock().await;
                        if given.outcome() == Outcome::Retry {
                            let told = Duration::from_millis(given.retry_after_ms.into());
                            let wait = if self.has("hasty") { Duration::ZERO } else { told };
                            log.again = Some(Instant::now() + wait);
                        } else {
                            let answered = given.first_sequence..=given.last_sequence;
                            log.frames.retain(|sequence, _| !answered.contains(sequence));
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
            }
            let log = self.log.lock().await;
            if !live && !replayed.iter().any(|sequence| log.frames.contains_key(sequence)) {
                return;
            }
        }
    }

    /// The frames that a stream begins with.
    async fn begin(&self, session: &str, purpose: Purpose) -> Vec<Frame> {
        let mut log = self.log.lock().await;
        log.segment += 1;
        let first = log.frames.keys().next().copied().unwrap_or(log.last + 1);
        let live = purpose == Purpose::Live;
        let open = Open {
            session_id: session.to_owned(),
            instance_id: self.instance.clone(),
            segment: log.segment,
            purpose: purpose.into(),
            delivered_through: if live { log.last } else { first - 1 },
        };
        let mut frames = vec![unnumbered(Kind::Open(open)), unnumbered(Kind::Define(define()))];
        if !live {
            // A segment has no gaps: those without one are left to the next replay.
            let whole = log.frames.iter().zip(first..).take_while(|((at, _), want)| *at == want);
            frames.extend(whole.map(|((_, frame), _)| frame.clone()));
            if frames.len() - 2 < log.frames.len() {
                log.again = Some(Instant::now());
            }
        }
        frames
    }

    /// The frames of a tick.
    async fn measure(&self) -> [Frame; 2] {
        let polled = self.assigned.poll().await;
        let mut log = self.log.lock().await;
        log.last += if self.has("jump") && log.last == 4 { 2 } else { 1 };
        let tick = log.last * 1000;
        let entity = if self.has("undefined") && log.last > 2 { 9 } else { 1 };
        let value = Column { ints: vec![7], ..Column::default() };
        let mut entities = vec![entity];
        if polled {
            // The difference to the one before.
            entities.push(i32::try_from(ASSIGNED).unwrap() - entity);
        }
        let columns = vec![value];
        let block = Block { layout: 1, entities, columns, ..Block::default() };
        let batch = Batch { tick_unix_ms: tick, blocks: vec![block] };
        let end = RoundEnd { tick_unix_ms: tick, hosts_ok: 1, ..RoundEnd::default() };
        let batch = Frame { sequence: log.last, kind: Some(Kind::Batch(batch)) };
        log.last += 1;
        let end = Frame { sequence: log.last, kind: Some(Kind::RoundEnd(end)) };
        for frame in [&batch, &end] {
            log.frames.insert(frame.sequence, frame.clone());
        }
        [batch, end]
    }
}

async fn say(out: &mpsc::Sender<FromBuddy>, kind: from_buddy::Kind) {
    let _ = out.send(FromBuddy { kind: Some(kind) }).await;
}

fn hosts(version: u64) -> from_buddy::Kind {
    let host = Host { id: "a".into(), name: "a".into(), ready: true, ..Host::default() };
    from_buddy::Kind::Hosts(HostSnapshot { version, hosts: vec![host], last: true })
}

fn define() -> Define {
    let node = |id: u32, name: &str| {
        let (level, name) = (Level::Node.into(), name.to_owned());
        Entity { id, level, name, ..Entity::default() }
    };
    let entities = vec![node(1, "a"), node(ASSIGNED, assigned::HOST)];
    let metric = CustomMetric { name: "load".to_owned(), ..CustomMetric::default() };
    let field = Field { what: Some(What::Custom(metric)), ..Field::default() };
    let layout = Layout { id: 1, fields: vec![field] };
    Define { entities, layouts: vec![layout], ended: vec![] }
}

const fn unnumbered(kind: Kind) -> Frame {
    Frame { sequence: 0, kind: Some(kind) }
}

fn size(frame: &Frame) -> i64 {
    i64::try_from(frame.encoded_len()).unwrap()
}
