//! One Ingest stream as the master sees it: credit is counted in the bytes that came, frames are
//! read strictly, and answered as the script says.

use std::time::{Duration, Instant};

use heapster_proto::v1::{
    Credit, Delivery, Frame, Open, Receipt, delivery::Outcome, frame::Kind, open::Purpose, receipt,
};
use prost::{Message as _, bytes::Bytes};
use tonic::Status;

use super::{
    CREDIT, LIMITS, OPEN, ROWS, SEQUENCE,
    ledger::{Face, Ledger, RETRY_AFTER_MS, Replay, UNDER_WAY},
    limits,
    reader::{Breach, Segment},
    server::Answers,
};

/// The first Credit is held back for so long: what is sent before it is sent without.
const FIRST_CREDIT_AFTER: Duration = Duration::from_millis(300);

/// How frames are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answering {
    /// Each is delivered, and its credit comes back.
    Deliver,
    /// Credit comes back, and what became of the frame is not said.
    Silent,
    /// Neither: the credit is used up.
    Starve,
}

/// What the script wants of all streams of a session.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) session_id: String,
    /// The session before, and when it was over: an Open of it may be under way.
    pub(super) before: Option<(String, Instant)>,
    pub(super) instance_id: String,
    pub(super) credit_bytes: u64,
    pub(super) answering: Answering,
    /// Said of the next numbered frame of the live stream, once.
    pub(super) next_outcome: Option<Outcome>,
    /// The frame that it was said of.
    pub(super) picked: Option<u64>,
}

impl Wanted {
    /// Of no session yet.
    pub(super) const fn new() -> Self {
        Self {
            session_id: String::new(),
            before: None,
            instance_id: String::new(),
            credit_bytes: limits::CREDIT_BYTES,
            answering: Answering::Deliver,
            next_outcome: None,
            picked: None,
        }
    }
}

/// An open stream.
pub(super) struct Ingest {
    answers: Answers<Receipt>,
    pub(super) opened: Instant,
    pub(super) heard: Instant,
    pub(super) granted: bool,
    /// What it began with.
    pub(super) open: Option<Open>,
    replay: Option<Replay>,
    last_sequence: Option<u64>,
    credit: i64,
    whole: i64,
    /// Not given back yet.
    pub(super) held: u64,
    /// Frames after the Open.
    pub(super) frames: u64,
    segment: Segment,
    /// Frames above `delivered_through`.
    pub(super) numbers: Vec<u64>,
}

impl Ingest {
    pub(super) fn new(answers: Answers<Receipt>, wanted: &Wanted, now: Instant) -> Self {
        Self {
            answers,
            opened: now,
            heard: now,
            granted: false,
            open: None,
            replay: None,
            last_sequence: None,
            credit: 0,
            whole: i64::try_from(wanted.credit_bytes).unwrap_or(i64::MAX),
            held: 0,
            frames: 0,
            segment: Segment::default(),
            numbers: Vec::new(),
        }
    }

    pub(super) fn is(&self, purpose: Purpose) -> bool {
        self.open.as_ref().is_some_and(|open| open.purpose() == purpose)
    }

    /// Whether there were rows of a node of this name.
    pub(super) fn has_rows_of(&self, node: &str) -> bool {
        self.segment.has_rows_of(node)
    }

    /// Credit that is left.
    pub(super) const fn left(&self) -> i64 {
        self.credit
    }

    /// Gives the first credit when it is time.
    pub(super) fn pulse(&mut self, now: Instant) {
        if !self.granted && now.duration_since(self.opened) >= FIRST_CREDIT_AFTER {
            self.granted = true;
            self.give(self.whole.unsigned_abs());
            self.give_held();
        }
    }

    /// Gives back all that was held.
    pub(super) fn give_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.give(held);
    }

    /// Ends the stream.
    pub(super) fn cut(&self) {
        let _ = self.answers.try_send(Err(Status::unavailable("cut by the conformance check")));
    }

    /// Takes what came.
    pub(super) fn take(
        &mut self,
        bytes: &Bytes,
        wanted: &mut Wanted,
        ledger: &mut Ledger,
        now: Instant,
    ) -> Vec<Breach> {
        let mut found = Vec::new();
        self.heard = now;
        self.spend(bytes.len(), &mut found);
        let frame = match Frame::decode(bytes.as_ref()) {
            Ok(frame) => frame,
            Err(error) => {
                found.push((ROWS, format!("a frame is no message of protobuf: {error}")));
                return found;
            }
        };
        found.extend(self.segment.read(&frame));
        if let Some(Kind::Open(open)) = &frame.kind {
            self.begin(open, wanted, ledger, now, &mut found);
        } else if self.open.is_none() {
            found.push((OPEN, "the first frame of an Ingest stream is no Open".to_owned()));
        } else {
            self.frames += 1;
        }
        let is_open = matches!(frame.kind, Some(Kind::Open(_)));
        if is_open || matches!(frame.kind, Some(Kind::Define(_))) {
            if frame.sequence != 0 {
                let what = format!("an Open or Define has the sequence {}", frame.sequence);
                found.push((SEQUENCE, format!("{what}; they carry 0")));
            }
        } else {
            self.number(&frame, wanted, ledger, now, &mut found);
        }
        self.return_credit(bytes.len(), wanted.answering, is_open);
        found
    }

    fn spend(&mut self, bytes: usize, found: &mut Vec<Breach>) {
        let size = i64::try_from(bytes).unwrap_or(i64::MAX);
        if u64::try_from(bytes).is_ok_and(|bytes| bytes > limits::MAX_FRAME_BYTES) {
            let max = limits::MAX_FRAME_BYTES;
            found.push((LIMITS, format!("a frame has {bytes} bytes; max_frame_bytes is {max}")));
        }
        let is_first = self.open.is_none();
        if !is_first && !self.granted {
            found.push((CREDIT, "a frame after the Open came before the first Credit".to_owned()));
        } else if !is_first && self.credit < size && self.credit < self.whole {
            found.push((CREDIT, format!(
                "a frame of {bytes} bytes came with {} bytes of credit left of {}: wait for more Credit",
                self.credit, self.whole
            )));
        }
        self.credit = self.credit.saturating_sub(size);
    }

    fn begin(
        &mut self,
        open: &Open,
        wanted: &Wanted,
        ledger: &Ledger,
        now: Instant,
        found: &mut Vec<Breach>,
    ) {
        let mut wrong = |what: String| found.push((OPEN, what));
        let crossed = wanted.before.as_ref().is_some_and(|(session, over)| {
            *session == open.session_id && now.duration_since(*over) < UNDER_WAY
        });
        if crossed {
            let _ = self.answers.try_send(Err(Status::unauthenticated("the session is over")));
        } else if open.session_id != wanted.session_id {
            let (is, told) = (&open.session_id, &wanted.session_id);
            wrong(format!("Open has the session_id {is:?}, and Welcome said {told:?}"));
        }
        if open.instance_id.is_empty() {
            wrong("Open has no instance_id".to_owned());
        } else if open.instance_id != wanted.instance_id && open.purpose() != Purpose::Backfill {
            let (is, said) = (&open.instance_id, &wanted.instance_id);
            wrong(format!("Open has the instance_id {is:?}, and Hello said {said:?}"));
        }
        if open.purpose() == Purpose::Unspecified {
            wrong("the purpose of an Open is neither LIVE nor BACKFILL".to_owned());
        }
        if let Some(before) = &self.open
            && before.purpose != open.purpose
        {
            wrong("a second Open on a stream has another purpose".to_owned());
        }
        // A restarted buddy may replay what its predecessor wrote.
        let own = open.instance_id == wanted.instance_id;
        self.replay = own.then(|| ledger.replay(open.delivered_through, now));
        self.last_sequence = None;
        self.open = Some(open.clone());
    }

    fn number(
        &mut self,
        frame: &Frame,
        wanted: &mut Wanted,
        ledger: &mut Ledger,
        now: Instant,
        found: &mut Vec<Breach>,
    ) {
        let sequence = frame.sequence;
        let face = Face::of(frame);
        if sequence == 0 {
            return found.push((SEQUENCE, format!("a {} has no sequence", face.kind)));
        }
        let before = self.last_sequence.replace(sequence);
        if let Some(before) = before
            && before.checked_add(1) != Some(sequence)
        {
            let what = "it grows by exactly one within a segment";
            found.push((SEQUENCE, format!("the sequence {sequence} came after {before}: {what}")));
        }
        let Some(replay) = self.replay else {
            let through = self.open.as_ref().map_or(u64::MAX, |open| open.delivered_through);
            if sequence > through {
                self.deliver(sequence, Outcome::Delivered);
            }
            return;
        };
        let (breaches, counts) = ledger.take(sequence, face, &replay, now);
        found.extend(breaches);
        if !counts {
            return;
        }
        self.numbers.push(sequence);
        let outcome = match wanted.next_outcome {
            Some(outcome) if self.is(Purpose::Live) => {
                wanted.next_outcome = None;
                wanted.picked = Some(sequence);
                outcome
            }
            _ if wanted.answering == Answering::Deliver => Outcome::Delivered,
            _ => return,
        };
        ledger.answer(sequence, outcome, now);
        self.deliver(sequence, outcome);
    }

    fn deliver(&self, sequence: u64, outcome: Outcome) {
        let (message, retry_after_ms) = match outcome {
            Outcome::Retry => ("put off by the conformance check", RETRY_AFTER_MS),
            Outcome::Rejected => ("rejected by the conformance check", 0),
            _ => ("", 0),
        };
        self.say(receipt::Kind::Delivery(Delivery {
            first_sequence: sequence,
            last_sequence: sequence,
            outcome: outcome.into(),
            message: message.to_owned(),
            retry_after_ms,
            rejected_entities: Vec::new(),
        }));
    }

    fn return_credit(&mut self, bytes: usize, answering: Answering, is_open: bool) {
        self.held = self.held.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.granted && (is_open || answering != Answering::Starve) {
            self.give_held();
        }
    }

    fn give(&mut self, bytes: u64) {
        if bytes > 0 {
            self.credit = self.credit.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
            self.say(receipt::Kind::Credit(Credit { bytes }));
        }
    }

    /// A buddy that does not read its answers runs into its credit.
    fn say(&self, kind: receipt::Kind) {
        let _ = self.answers.try_send(Ok(Receipt { kind: Some(kind) }));
    }
}
