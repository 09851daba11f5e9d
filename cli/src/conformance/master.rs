//! `heapster conformance master`: the checks of a master. Each has a session, or several, of its
//! own, under a buddy_id that no other has.

mod control;
mod frames;
mod ingest;
mod line;
mod player;
mod refusals;

use super::{
    MasterArgs,
    report::{Check, Report},
};
use player::{Player, Tried, Wrong};

const HANDSHAKE: &str = "handshake";
const VERSION: &str = "version-refusal";
const MALFORMED: &str = "malformed-hello";
const UNKNOWN: &str = "unknown-fields";
const DUPLICATE: &str = "duplicate-instance";
const REPLACED: &str = "replacement";
const GAP: &str = "snapshot-after-gap";
const SESSION: &str = "unknown-session";
const OPEN: &str = "open-first";
const CREDIT: &str = "credit";
const DELIVERY: &str = "delivery";
const ROUND: &str = "round-end";
const RESEND: &str = "resend-after-cut";
const BEFORE_USE: &str = "identity-before-use";
const IDS: &str = "ids";
const SEQUENCE: &str = "sequence";
const LIMITS: &str = "limits";
const SHUTDOWN: &str = "shutdown";

const CHECKS: &[Check] = &[
    (HANDSHAKE, "answers Hello with Welcome: version, session, resolution and limits"),
    (VERSION, "refuses a version that it does not speak, in words"),
    (MALFORMED, "refuses a Hello without a cluster, and a stream without a Hello"),
    (UNKNOWN, "ignores fields and enum values that it does not know"),
    (DUPLICATE, "refuses a second live instance of a buddy"),
    (REPLACED, "lets a second Control stream of an instance replace the first"),
    (GAP, "asks for a whole list of hosts after a gap, and only then"),
    (SESSION, "ends an Ingest stream of a session that it does not know"),
    (OPEN, "ends an Ingest stream that does not begin with Open"),
    (CREDIT, "grants Limits.credit_bytes at once, and gives back just what was used"),
    (DELIVERY, "answers each numbered frame with DELIVERED, once"),
    (ROUND, "answers RoundEnd"),
    (RESEND, "takes the replay of a segment after a cut, and answers what was not delivered"),
    (BEFORE_USE, "ends a stream that uses an entity, parent or layout that is not defined"),
    (IDS, "ends a stream with the id 0, or with an id that is used twice"),
    (SEQUENCE, "ends a stream whose sequence jumps or is missing"),
    (LIMITS, "ends a stream that passes its limits"),
    (SHUTDOWN, "ends the stream after Goodbye, and the session with it"),
];

/// Tries the master; the verdicts.
pub(super) async fn run(args: &MasterArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("master", CHECKS);
    let player = match Player::connect(args).await? {
        Ok(player) => player,
        Err(why) => {
            report.fail(HANDSHAKE, why);
            return Ok(report);
        }
    };
    for (name, _) in CHECKS {
        match try_one(&player, name).await {
            Ok(()) => report.pass(name),
            Err(Wrong::Fails(sentence)) => report.fail(name, sentence),
            Err(Wrong::DoesNotApply(why)) => report.skip(name, &why),
        }
        if report.failed(HANDSHAKE) {
            break;
        }
    }
    Ok(report)
}

async fn try_one(player: &Player, name: &str) -> Tried {
    match name {
        HANDSHAKE => control::handshake(player).await,
        VERSION => control::version(player).await,
        MALFORMED => control::malformed(player).await,
        UNKNOWN => control::unknown(player).await,
        DUPLICATE => control::duplicate(player).await,
        REPLACED => control::replaced(player).await,
        GAP => control::gap(player).await,
        SHUTDOWN => control::shutdown(player).await,
        CREDIT => ingest::credit(player).await,
        DELIVERY => ingest::delivery(player).await,
        ROUND => ingest::round(player).await,
        RESEND => ingest::resend(player).await,
        SESSION => refusals::session(player).await,
        OPEN => refusals::open(player).await,
        BEFORE_USE => refusals::before_use(player).await,
        IDS => refusals::ids(player).await,
        SEQUENCE => refusals::sequence(player).await,
        LIMITS => refusals::limits(player).await,
        other => Err(Wrong::Fails(format!("nothing tries {other}"))),
    }
}
