//! The act of a master that does what masters do: step by step, from the first list of hosts to the
//! end of the buddy.

mod assigned;

use std::time::Duration;

use heapster_proto::v1::{
    Drain, Role, SnapshotRequest, delivery::Outcome, open::Purpose, to_buddy,
};

use super::{
    CONTROL, DEFINITIONS, DRAIN, FINAL, HEARTBEAT, HOSTS, IDS, LIMITS, OPEN, RECONNECT, RESEND,
    RETRY, ROUND, ROWS, SEQUENCE, SNAPSHOT,
    ingest::Answering,
    served::ServedHost,
    stage::{HEARTBEAT_EVERY, HEARTBEAT_SLACK, Stage},
};
use crate::conformance::BuddyArgs;

/// Frames that are left without an answer before a cut.
const UNANSWERED: usize = 2;
/// What the buddy is told in Drain.
const DRAIN_MS: u32 = 1000;

/// What the steps need to know.
struct Steps<'a> {
    stage: &'a mut Stage,
    timeout: Duration,
    resolution: Duration,
    discovers: bool,
    polls: bool,
    sends: bool,
}

/// Plays all steps.
pub(super) async fn all(stage: &mut Stage, args: &BuddyArgs, roles: &[Role]) -> anyhow::Result<()> {
    let served = ServedHost::start(args.listen).await?;
    let has = |role: Role| roles.contains(&role);
    let mut steps = Steps {
        stage,
        timeout: args.common.timeout,
        resolution: args.resolution,
        discovers: has(Role::Discovers),
        polls: has(Role::Polls),
        sends: has(Role::Polls) || has(Role::ObservesEvents),
    };
    steps.hosts().await;
    steps.assignment().await;
    let is_polled = steps.polls_the_assigned(&served).await;
    let flows = steps.sends && steps.frames().await;
    if flows {
        steps.put_off().await;
        steps.rejected().await;
    } else if steps.sends && !steps.polls {
        let why = "the buddy sends events alone, and none came while it was watched";
        let names = [OPEN, DEFINITIONS, IDS, ROWS, LIMITS, SEQUENCE, RETRY, FINAL, RESEND];
        names.iter().for_each(|name| steps.stage.report.skip(name, why));
    }
    if is_polled {
        steps.leaves_the_assigned(&served).await;
    }
    steps.heartbeats().await;
    steps.drain().await;
    steps.cut(flows).await;
    steps.end().await;
    Ok(())
}

impl Steps<'_> {
    /// Waits, and says what did not come.
    async fn expect(
        &mut self,
        check: &'static str,
        what: &str,
        done: impl Fn(&Stage) -> bool,
    ) -> bool {
        let came = self.stage.until(self.timeout, done).await;
        if came {
            self.stage.report.pass(check);
        } else {
            let (timeout, state) = (self.timeout, self.stage.state());
            self.stage.report.fail(check, format!("{what} within {timeout:?}: {state}"));
        }
        came
    }

    async fn hosts(&mut self) {
        if !self.discovers {
            let why = "the buddy has not the role DISCOVERS";
            self.stage.report.skip(HOSTS, why);
            return self.stage.report.skip(SNAPSHOT, why);
        }
        let what = "no whole HostSnapshot (last: true) came";
        if !self.expect(HOSTS, what, |stage| stage.hosts.snapshots > 0).await {
            return;
        }
        let before = self.stage.hosts.snapshots;
        let reason = "the conformance check pretends a gap".to_owned();
        self.stage.tell(to_buddy::Kind::SendSnapshot(SnapshotRequest { reason }));
        let what = "no whole HostSnapshot came after send_snapshot";
        self.expect(SNAPSHOT, what, |stage| stage.hosts.snapshots > before).await;
    }

    /// Waits for rows and rounds; whether frames come at all.
    async fn frames(&mut self) -> bool {
        let opened = |stage: &Stage| stage.live().is_some();
        if !self.polls {
            self.stage.report.skip(ROUND, "the buddy does not poll, and has no rounds");
            let came = self.stage.until(self.timeout, |stage| stage.ledger.last() > 0).await;
            if came {
                [OPEN, SEQUENCE].iter().for_each(|check| self.stage.report.pass(check));
                let why = "the buddy sends events, and no rows";
                let names = [DEFINITIONS, IDS, ROWS, LIMITS];
                names.iter().for_each(|check| self.stage.report.skip(check, why));
            }
            return came;
        }
        if !self.expect(OPEN, "no Ingest stream with an Open of LIVE came", opened).await {
            return false;
        }
        let enough = |stage: &Stage| {
            stage.ledger.count("RoundEnd") > 1
                && stage.ledger.count("Batch") > 0
                && stage.ledger.missing().is_none()
        };
        self.stage.until(self.timeout, enough).await;
        let ledger = &self.stage.ledger;
        let (last, rounds, batches) =
            (ledger.last(), ledger.count("RoundEnd"), ledger.count("Batch"));
        let missing = ledger.missing();
        let (timeout, state) = (self.timeout, self.stage.state());
        let report = &mut self.stage.report;
        match missing {
            Some(missing) => report.fail(SEQUENCE, format!("the sequence {missing} never came")),
            None if last == 0 => {
                report.fail(SEQUENCE, format!("no numbered frame came within {timeout:?}: {state}"))
            }
            None => report.pass(SEQUENCE),
        }
        if rounds > 1 {
            report.pass(ROUND);
        } else {
            let what = format!("{rounds} RoundEnds came within {timeout:?}; one ends each tick");
            report.fail(ROUND, what);
        }
        for check in [DEFINITIONS, IDS, ROWS, LIMITS] {
            match batches {
                0 => report.skip(check, "no host answered the buddy, so no rows came"),
                _ => report.pass(check),
            }
        }
        last > 0
    }

    async fn put_off(&mut self) {
        self.stage.pick(Outcome::Retry);
        let again = |stage: &Stage| {
            stage.wanted.picked.is_some_and(|sequence| stage.was_backfilled(sequence))
        };
        let what = "a frame that was answered with RETRY did not come on a BACKFILL stream";
        self.expect(RETRY, what, again).await;
        self.stage.wanted.next_outcome = None;
    }

    /// Rejects a frame; if it comes again, that is seen when it does.
    async fn rejected(&mut self) {
        self.stage.pick(Outcome::Rejected);
        let what = "no frame came after one that was rejected";
        let went_on = |stage: &Stage| {
            let picked = stage.wanted.picked;
            picked.is_some_and(|sequence| stage.ledger.last() > sequence)
        };
        if !self.stage.until(self.timeout, went_on).await {
            let state = self.stage.state();
            self.stage.report.fail(FINAL, format!("{what}: {state}"));
        }
        self.stage.wanted.next_outcome = None;
    }

    async fn heartbeats(&mut self) {
        let within = HEARTBEAT_EVERY + HEARTBEAT_SLACK;
        let seen = self.stage.until(within, |stage| stage.heartbeats.len() > 1).await;
        let enough = seen || self.stage.until(within, |stage| stage.heartbeats.len() > 1).await;
        if !enough {
            let count = self.stage.heartbeats.len();
            let state = self.stage.state();
            let what = format!("{count} heartbeats came within {within:?}; send one every 10 s");
            self.stage.report.fail(HEARTBEAT, format!("{what}: {state}"));
        }
        self.stage.report.pass(HEARTBEAT);
    }

    async fn drain(&mut self) {
        let before = self.stage.hellos.len();
        let drain = Drain { deadline_ms: DRAIN_MS, redirect: String::new() };
        self.stage.tell(to_buddy::Kind::Drain(drain));
        let what = "no Hello came on a new Control stream after Drain";
        self.expect(DRAIN, what, |stage| stage.hellos.len() > before).await;
    }

    /// Goes away in the middle, with frames that are not answered.
    async fn cut(&mut self, flows: bool) {
        let mut lost = Vec::new();
        if flows {
            self.stage.wanted.answering = Answering::Silent;
            let enough = |stage: &Stage| {
                stage.live().is_some() && stage.ledger.pending().len() >= UNANSWERED
            };
            self.stage.until(self.timeout, enough).await;
            lost = self.stage.ledger.pending();
        }
        let before = self.stage.hellos.len();
        self.stage.cut();
        self.stage.wanted.answering = Answering::Deliver;
        let discovers = self.discovers;
        let back = |stage: &Stage| {
            stage.hellos.len() > before && (!discovers || stage.hosts.snapshots > 0)
        };
        let what = "no Hello with a whole HostSnapshot after it (of a buddy that discovers) came after a cut";
        let is_back = self.expect(RECONNECT, what, back).await;
        if flows && is_back {
            self.resent(&lost).await;
        }
    }

    async fn resent(&mut self, lost: &[u64]) {
        if lost.len() < UNANSWERED {
            let what = "too few frames came after Drain to try it";
            return self.stage.report.fail(RESEND, what);
        }
        let all = |stage: &Stage| {
            let missing = stage.ledger.missing().is_none();
            missing && lost.iter().all(|sequence| stage.ledger.is_final(*sequence))
        };
        if !self.stage.until(self.timeout, all).await {
            let late = lost.iter().find(|sequence| !self.stage.ledger.is_final(**sequence));
            let what = match (late, self.stage.ledger.missing()) {
                (Some(sequence), _) => {
                    format!(
                        "the frame {sequence} had no answer before the cut and did not come again"
                    )
                }
                (None, Some(missing)) => format!("the sequence {missing} never came"),
                (None, None) => "what was not answered came too late".to_owned(),
            };
            let state = self.stage.state();
            self.stage.report.fail(RESEND, format!("{what}: {state}"));
        }
        self.stage.report.pass(RESEND);
        self.stage.report.pass(FINAL);
        // Live data goes on beside what was late.
        let live = |stage: &Stage| stage.ingests.values().any(|ingest| ingest.is(Purpose::Live));
        if !self.stage.until(self.timeout, live).await {
            self.stage.report.fail(OPEN, "no LIVE stream came after the cut");
        }
    }

    async fn end(&mut self) {
        let timeout = self.timeout;
        self.stage.terminate();
        let deadline = std::time::Instant::now() + timeout;
        while !self.stage.has_ended() && std::time::Instant::now() < deadline {
            self.stage.until(Duration::from_millis(100), |_| false).await;
        }
        if !self.stage.has_ended() {
            let what = format!("the command runs on {timeout:?} after SIGTERM");
            self.stage.report.fail(CONTROL, what);
        }
        self.stage.report.pass(CONTROL);
    }
}
