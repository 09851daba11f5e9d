//! `heapster conformance buddy`: the checks of a buddy, and the acts in which they are tried. Each
//! act starts the command anew.

mod hello;
mod hosts;
mod ingest;
mod keys;
mod ledger;
mod limits;
mod play;
mod reader;
mod rows;
mod served;
mod server;
mod stage;
mod steps;
mod tls;
mod trust;

use std::sync::Arc;

use super::{
    BuddyArgs,
    command::{Launch, Place},
    report::{Check, Report},
};
use keys::Keys;
use stage::Stage;
use trust::Guard;

const TRUST: &str = "master-certificate";
const CREDENTIAL: &str = "credential";
const RETRY_LATER: &str = "refusal-for-now";
const REFUSAL: &str = "version-refusal";
const HANDSHAKE: &str = "handshake";
const IDENTITY: &str = "buddy-identity";
const HOSTS: &str = "hosts";
const SNAPSHOT: &str = "snapshot-after-gap";
const HEARTBEAT: &str = "heartbeat";
const ASSIGNMENT: &str = "assignment";
const ASSIGNED_HOST: &str = "assigned-host";
const OPEN: &str = "open";
const DEFINITIONS: &str = "identity-before-use";
const IDS: &str = "ids";
const ROWS: &str = "rows";
const LIMITS: &str = "limits";
const SEQUENCE: &str = "sequence";
const ROUND: &str = "round-end";
const RETRY: &str = "retry";
const FINAL: &str = "final-answers";
const DRAIN: &str = "drain";
const RECONNECT: &str = "reconnect";
const RESEND: &str = "resend-after-cut";
const CREDIT: &str = "credit";
const CONTROL: &str = "shutdown";

const CHECKS: &[Check] = &[
    (TRUST, "talks to none but the master whose certificate its authority has signed"),
    (CREDENTIAL, "shows on each stream who it is"),
    (RETRY_LATER, "comes back after a Refusal with retry_after_ms, and no sooner"),
    (REFUSAL, "stays away after a Refusal of its version"),
    (HANDSHAKE, "says Hello first, once, with all that is needed"),
    (IDENTITY, "keeps its buddy_id over a restart, and has a new instance_id"),
    (HOSTS, "lists its hosts, each once, and then steps from version to version"),
    (SNAPSHOT, "sends a whole list again when asked for one"),
    (HEARTBEAT, "sends a heartbeat at least every 10 seconds"),
    (ASSIGNMENT, "answers an Assignment with ACK or NACK"),
    (ASSIGNED_HOST, "polls a host that it is assigned, says how it is, and leaves it again"),
    (OPEN, "opens Ingest with the session of Welcome and its own instance"),
    (DEFINITIONS, "defines entities, parents and layouts before it uses them"),
    (IDS, "gives ids from 1, each once in a segment"),
    (ROWS, "sends rows in the shape of their layout"),
    (LIMITS, "keeps to the limits of Welcome"),
    (SEQUENCE, "numbers frames from 1, each one more"),
    (ROUND, "ends a round with RoundEnd"),
    (RETRY, "sends a frame that was put off again, on a BACKFILL stream, and no sooner than told"),
    (FINAL, "forgets what was delivered or rejected"),
    (DRAIN, "reconnects when asked to by Drain"),
    (RECONNECT, "comes back after a cut, and lists its hosts anew"),
    (RESEND, "sends again what was not answered before a cut, under the same numbers"),
    (CONTROL, "ends in time on SIGTERM, and says nothing after Goodbye"),
    (CREDIT, "never sends more than its credit, and goes on with more"),
];

/// Checks of a buddy that sends frames.
const OF_INGEST: &[&str] =
    &[OPEN, DEFINITIONS, IDS, ROWS, LIMITS, SEQUENCE, ROUND, RETRY, FINAL, RESEND, CREDIT];

/// Tries the command; the verdicts.
pub(super) async fn run(args: &BuddyArgs) -> anyhow::Result<Report> {
    let keys = args.tls.map(|proof| Keys::new(proof, args.listen.ip())).transpose()?;
    let keys = keys.as_ref();
    let (address, events) = server::serve(args.listen, keys).await?;
    let (address, cluster) = (&address.to_string(), &args.common.cluster);
    let place = Place { address, cluster, files: keys.map(Keys::files) };
    let launch = Launch::new(&args.command, place)?;
    let guard = Guard::new(keys.map(|keys| Arc::clone(&keys.faces)));
    let mut stage = Stage::new(args, events, launch, guard);
    play::all(&mut stage, args).await?;
    stage.stop();
    Ok(stage.report)
}
