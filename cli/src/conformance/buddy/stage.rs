//! What the played master knows: the streams that are open and what came on them. Breaches are
//! reported as they are seen; the script (`play`) waits for what it wants to see.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use heapster_proto::v1::{
    AssignmentReply, FromBuddy, Health, Hello, HostState, Refusal, Role, ToBuddy, Welcome,
    delivery::Outcome, from_buddy::Kind, open::Purpose, to_buddy,
};
use tokio::{sync::mpsc, time::timeout};
use tonic::Status;

use super::{
    CHECKS, CONTROL, CREDENTIAL, HANDSHAKE, HEARTBEAT, HOSTS, OPEN, REFUSAL, TRUST, hello,
    hosts::Hosts,
    ingest::{Ingest, Wanted},
    ledger::Ledger,
    limits, served,
    server::{Answers, Event, What},
    trust::Guard,
};
use crate::conformance::{
    BuddyArgs,
    command::{Launch, Program},
    report::Report,
};

/// How often is looked at what no event tells of.
const PULSE: Duration = Duration::from_millis(50);
/// The longest that a buddy may be silent, and what the way and the clocks may add.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
pub(super) const HEARTBEAT_SLACK: Duration = Duration::from_secs(2);

/// A stream that was refused ends after so long: what is sent on it meanwhile is seen.
const REFUSED_STAYS: Duration = Duration::from_millis(500);

/// How a Hello is answered.
#[derive(Clone, Debug)]
pub(super) enum Greet {
    Refuse(Refusal),
    Welcome,
}

/// The open Control stream.
struct Control {
    stream: u64,
    answers: Answers<ToBuddy>,
    greeted: bool,
}

pub(super) struct Stage {
    events: mpsc::Receiver<Event>,
    launch: Launch,
    program: Option<Program>,
    pub(super) guard: Guard,
    pub(super) report: Report,
    cluster: String,
    resolution_ms: u32,
    pub(super) greet: Greet,
    pub(super) wanted: Wanted,
    pub(super) ledger: Ledger,
    control: Option<Control>,
    pub(super) ingests: BTreeMap<u64, Ingest>,
    pub(super) hosts: Hosts,
    /// Each Hello, and when it came.
    pub(super) hellos: Vec<(Instant, Hello)>,
    /// Of this Control stream.
    pub(super) heartbeats: Vec<Instant>,
    pub(super) replies: Vec<AssignmentReply>,
    /// The newest of the host that the check serves.
    pub(super) served_state: Option<HostState>,
    /// Refused for good: what comes now is wrong.
    pub(super) refused: bool,
    said_goodbye: bool,
    sessions: u64,
}

impl Stage {
    pub(super) fn new(
        args: &BuddyArgs,
        events: mpsc::Receiver<Event>,
        launch: Launch,
        guard: Guard,
    ) -> Self {
        Self {
            events,
            launch,
            program: None,
            guard,
            report: Report::new("buddy", CHECKS),
            cluster: args.common.cluster.clone(),
            resolution_ms: u32::try_from(args.resolution.as_millis()).unwrap_or(u32::MAX),
            greet: Greet::Welcome,
            wanted: Wanted::new(),
            ledger: Ledger::default(),
            control: None,
            ingests: BTreeMap::new(),
            hosts: Hosts::default(),
            hellos: Vec::new(),
            heartbeats: Vec::new(),
            replies: Vec::new(),
            served_state: None,
            refused: false,
            said_goodbye: false,
            sessions: 0,
        }
    }

    /// Starts the buddy, after the one before is gone.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.refused = false;
        self.program = Some(self.launch.start()?);
        Ok(())
    }

    /// Ends the buddy, and forgets what it said.
    pub(super) fn stop(&mut self) {
        self.program = None;
        while self.events.try_recv().is_ok() {}
        self.control = None;
        self.ingests.clear();
        self.guard.forget();
    }

    pub(super) fn terminate(&self) {
        if let Some(program) = &self.program {
            program.terminate();
        }
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.program.as_mut().is_none_or(|program| program.exited().is_some())
    }

    /// How the command is, for the end of a sentence.
    pub(super) fn state(&mut self) -> String {
        let program = self.program.as_mut().map_or_else(String::new, Program::state);
        program + &self.guard.state()
    }

    /// Looks at what happens until the condition holds; false when it does not in time, or when the
    /// buddy has ended.
    pub(super) async fn until(&mut self, within: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.has_ended();
            let left = deadline.saturating_duration_since(Instant::now());
            if done(self) {
                return true;
            }
            match timeout(left.min(PULSE), self.events.recv()).await {
                Ok(Some(event)) => self.take(event),
                Ok(None) => return false,
                Err(_) if left.is_zero() || ended => return done(self),
                Err(_) => {}
            }
            self.pulse();
        }
    }

    fn pulse(&mut self) {
        let now = Instant::now();
        self.ingests.values_mut().for_each(|ingest| ingest.pulse(now));
        self.count_streams(now);
        let greeted = self.hellos.last().map(|(at, _)| now.duration_since(*at));
        if self.refused && greeted.is_some_and(|since| since > REFUSED_STAYS) {
            self.control = None;
        }
    }

    /// Tells the buddy something.
    pub(super) fn tell(&self, kind: to_buddy::Kind) {
        if let Some(control) = &self.control {
            // One that does not read will not do what it is told either.
            let _ = control.answers.try_send(Ok(ToBuddy { kind: Some(kind) }));
        }
    }

    /// Ends all streams as a master does that goes away.
    pub(super) fn cut(&mut self) {
        self.ingests.values().for_each(Ingest::cut);
        self.end_ingests();
        if let Some(control) = self.control.take() {
            let gone = Status::unavailable("cut by the conformance check");
            let _ = control.answers.try_send(Err(gone));
        }
    }

    fn end_ingests(&mut self) {
        if !self.ingests.is_empty() {
            self.ingests.clear();
            self.ledger.stream_ended(Instant::now());
        }
    }

    /// The live stream.
    pub(super) fn live(&self) -> Option<&Ingest> {
        self.ingests.values().find(|ingest| ingest.is(Purpose::Live))
    }

    /// Whether a frame came again on a backfill stream.
    pub(super) fn was_backfilled(&self, sequence: u64) -> bool {
        let backfills = self.ingests.values().filter(|ingest| ingest.is(Purpose::Backfill));
        backfills.into_iter().any(|ingest| ingest.numbers.contains(&sequence))
    }

    /// Whether there were rows of a node of this name.
    pub(super) fn has_rows_of(&self, node: &str) -> bool {
        self.ingests.values().any(|ingest| ingest.has_rows_of(node))
    }

    /// The next numbered live frame is answered so.
    pub(super) fn pick(&mut self, outcome: Outcome) {
        self.wanted.picked = None;
        self.wanted.next_outcome = Some(outcome);
    }

    fn take(&mut self, event: Event) {
        let Event { stream, what } = event;
        if let Some(wrong) = self.guard.wrong_with(&what) {
            return self.report.fail(TRUST, wrong);
        }
        match what {
            What::Shaken(_) => {}
            What::Unproven(wrong) => self.report.fail(CREDENTIAL, wrong),
            What::ControlOpened(answers) => {
                self.control = Some(Control { stream, answers, greeted: false });
            }
            What::Control(message) => self.control_message(stream, *message),
            What::IngestOpened(answers) if self.refused => {
                drop(answers);
                self.report.fail(REFUSAL, "the buddy opened Ingest after the Refusal");
            }
            What::IngestOpened(answers) => {
                let ingest = Ingest::new(answers, &self.wanted, Instant::now());
                self.ingests.insert(stream, ingest);
                self.may_ingest();
            }
            What::Frame(bytes) => {
                let Some(ingest) = self.ingests.get_mut(&stream) else { return };
                let now = Instant::now();
                let found = ingest.take(&bytes, &mut self.wanted, &mut self.ledger, now);
                found.into_iter().for_each(|(check, what)| self.report.fail(check, what));
            }
            What::Ended => {
                if self.ingests.remove(&stream).is_some() {
                    self.ledger.stream_ended(Instant::now());
                }
                if self.control.as_ref().is_some_and(|control| control.stream == stream) {
                    self.control = None;
                }
            }
        }
    }

    fn may_ingest(&mut self) {
        let hello = self.hellos.last();
        let roles = hello.map(|(_, hello)| hello::roles(hello)).unwrap_or_default();
        if roles == [Role::Discovers] {
            self.report.fail(OPEN, "a buddy with the role DISCOVERS alone opened Ingest");
        }
    }

    /// The end of a stream may be told after the beginning of the next, so both may be there a moment.
    fn count_streams(&mut self, now: Instant) {
        let lasting = |ingest: &&Ingest| now.duration_since(ingest.opened) > Duration::from_secs(1);
        if self.ingests.values().filter(lasting).count() > 2 {
            self.report.fail(OPEN, "more than Limits.max_streams (2) Ingest streams are open");
        }
    }

    fn control_message(&mut self, stream: u64, message: FromBuddy) {
        let Some(control) = &self.control else { return };
        if control.stream != stream {
            return;
        }
        let greeted = control.greeted;
        match message.kind {
            Some(Kind::Hello(hello)) if !greeted => self.greet(hello),
            Some(Kind::Hello(_)) => self.report.fail(HANDSHAKE, "Hello came twice on a stream"),
            _ if !greeted => {
                self.report.fail(HANDSHAKE, "the first message of a Control stream is no Hello");
            }
            _ if self.refused => {
                self.report.fail(REFUSAL, "the buddy went on sending after the Refusal");
            }
            _ if self.said_goodbye => {
                self.report.fail(CONTROL, "a message came after Goodbye");
            }
            Some(kind) => self.greeted_message(kind),
            None => {}
        }
    }

    fn greeted_message(&mut self, kind: Kind) {
        match kind {
            Kind::Hosts(chunk) => {
                let wrong = self.hosts.snapshot(&chunk);
                wrong.into_iter().for_each(|what| self.report.fail(HOSTS, what));
            }
            Kind::HostChange(change) => {
                let wrong = self.hosts.change(&change);
                wrong.into_iter().for_each(|what| self.report.fail(HOSTS, what));
            }
            Kind::Heartbeat(_) => self.heartbeat(),
            Kind::AssignmentReply(reply) => self.replies.push(reply),
            Kind::Goodbye(_) => self.said_goodbye = true,
            Kind::Health(health) => self.health(health),
            Kind::Hello(_) => {}
        }
    }

    fn health(&mut self, health: Health) {
        let served = health.hosts.into_iter().rfind(|state| state.host_id == served::NAME);
        self.served_state = served.or_else(|| self.served_state.take());
    }

    fn heartbeat(&mut self) {
        let now = Instant::now();
        let welcomed = self.hellos.last().map(|(at, _)| *at);
        let before = self.heartbeats.last().copied().or(welcomed);
        let silent = before.map(|before| now.duration_since(before)).unwrap_or_default();
        if silent > HEARTBEAT_EVERY + HEARTBEAT_SLACK {
            let silent = silent.as_secs_f64();
            let what = format!("a heartbeat came after {silent:.1} s; send one every 10 s");
            self.report.fail(HEARTBEAT, what);
        }
        self.heartbeats.push(now);
    }

    fn greet(&mut self, hello: Hello) {
        if self.refused {
            let what = "the buddy came back unchanged after a Refusal with retry_after_ms 0";
            self.report.fail(REFUSAL, what);
        }
        let wrong = hello::wrong_with(&hello, &self.cluster);
        wrong.into_iter().for_each(|what| self.report.fail(HANDSHAKE, what));
        if self.wanted.instance_id != hello.instance_id {
            self.wanted.instance_id = hello.instance_id.clone();
            self.ledger = Ledger::default();
        }
        self.hellos.push((Instant::now(), hello));
        self.hosts = Hosts::default();
        self.heartbeats.clear();
        self.replies.clear();
        self.served_state = None;
        self.said_goodbye = false;
        self.end_ingests();
        match self.greet.clone() {
            Greet::Refuse(refusal) => self.refuse(refusal),
            Greet::Welcome => {
                let welcome = self.welcome();
                self.tell(to_buddy::Kind::Welcome(welcome));
                if let Some(control) = &mut self.control {
                    control.greeted = true;
                }
            }
        }
    }

    /// Refuses, and ends the stream: at once where the buddy may come back.
    fn refuse(&mut self, refusal: Refusal) {
        self.refused = refusal.retry_after_ms == 0;
        self.tell(to_buddy::Kind::Refusal(refusal));
        match &mut self.control {
            Some(control) if self.refused => control.greeted = true,
            _ => self.control = None,
        }
    }

    fn welcome(&mut self) -> Welcome {
        self.sessions += 1;
        let session_id = format!("conformance-session-{}", self.sessions);
        let before = std::mem::replace(&mut self.wanted.session_id, session_id);
        self.wanted.before = Some((before, Instant::now()));
        Welcome {
            version: 1,
            session_id: self.wanted.session_id.clone(),
            resolution_ms: self.resolution_ms,
            limits: Some(limits::told(self.wanted.credit_bytes)),
            capabilities: Vec::new(),
            software: "heapster-conformance/1".to_owned(),
        }
    }
}
