//! The acts: a master that refuses, one that does what masters do, and one that is sparing of
//! credit.

use std::time::Duration;

use heapster_proto::v1::{Refusal, Role, refusal::Code};

use super::{
    CREDENTIAL, CREDIT, HANDSHAKE, IDENTITY, OF_INGEST, REFUSAL, RETRY_LATER, TRUST, hello,
    ingest::Answering,
    limits,
    stage::{Greet, Stage},
    steps, trust,
};
use crate::conformance::BuddyArgs;

/// When a buddy that is refused for now may come back.
const RETRY_AFTER: Duration = Duration::from_millis(1500);
/// Clocks and timers of two programs may differ by so much.
const EARLY: Duration = Duration::from_millis(50);
/// Credit that is soon used up.
const LITTLE_CREDIT: u64 = 512;

/// Plays all acts.
pub(super) async fn all(stage: &mut Stage, args: &BuddyArgs) -> anyhow::Result<()> {
    if args.tls.is_some() {
        trust::all(stage, args).await?;
    } else {
        let why = "the connection is plain text; --tls token or --tls certificate tries it";
        [TRUST, CREDENTIAL].iter().for_each(|name| stage.report.skip(name, why));
    }
    refusing(stage, args).await?;
    let refused_id = stage.hellos.last().map(|(_, hello)| hello.clone());
    stage.hellos.clear();
    stage.greet = Greet::Welcome;
    stage.start()?;
    if !stage.until(args.common.timeout, |stage| !stage.hellos.is_empty()).await {
        let what = format!("no Hello came within {:?}: {}", args.common.timeout, stage.state());
        stage.report.fail(HANDSHAKE, what);
        return Ok(());
    }
    let Some((_, hello)) = stage.hellos.last().cloned() else { return Ok(()) };
    stage.report.pass(HANDSHAKE);
    stage.report.pass(CREDENTIAL);
    match refused_id {
        Some(first) if first.buddy_id != hello.buddy_id => stage.report.fail(
            IDENTITY,
            format!("the buddy_id was {:?} and is {:?} now", first.buddy_id, hello.buddy_id),
        ),
        Some(first) if first.instance_id == hello.instance_id => stage.report.fail(
            IDENTITY,
            format!("the instance_id is {:?} again after a restart", hello.instance_id),
        ),
        Some(_) => stage.report.pass(IDENTITY),
        None => stage.report.skip(IDENTITY, "there was no Hello in the act before to compare with"),
    }
    let roles = hello::roles(&hello);
    let sends = roles.iter().any(|role| matches!(role, Role::Polls | Role::ObservesEvents));
    if !sends {
        let why = "the buddy only discovers, and such a buddy opens no Ingest stream";
        OF_INGEST.iter().for_each(|name| stage.report.skip(name, why));
    }
    steps::all(stage, args, &roles).await?;
    if sends {
        sparing(stage, args).await?;
    }
    Ok(())
}

/// Refuses first for now, then for good.
async fn refusing(stage: &mut Stage, args: &BuddyArgs) -> anyhow::Result<()> {
    let retry_after_ms = u32::try_from(RETRY_AFTER.as_millis()).unwrap_or(u32::MAX);
    stage.greet = Greet::Refuse(refusal(Code::Overloaded, retry_after_ms));
    stage.start()?;
    let timeout = args.common.timeout;
    if !stage.until(timeout, |stage| !stage.hellos.is_empty()).await {
        let what = format!("no Hello came within {timeout:?}: {}", stage.state());
        stage.report.fail(HANDSHAKE, what);
        return Ok(());
    }
    stage.greet = Greet::Refuse(refusal(Code::Version, 0));
    if !stage.until(RETRY_AFTER + timeout, |stage| stage.hellos.len() > 1).await {
        let what = format!("no Hello came again within {timeout:?} of that: {}", stage.state());
        stage.report.fail(RETRY_LATER, what);
        stage.hellos.clear();
        stage.start()?;
        if !stage.until(timeout, |stage| !stage.hellos.is_empty()).await {
            return Ok(());
        }
    } else {
        let waited = stage.hellos[1].0.duration_since(stage.hellos[0].0);
        if waited + EARLY < RETRY_AFTER {
            let what = format!("it came back after {waited:.1?}, and was told {RETRY_AFTER:?}");
            stage.report.fail(RETRY_LATER, what);
        }
        stage.report.pass(RETRY_LATER);
    }
    stage.until(args.common.quiet, |stage| stage.report.failed(REFUSAL)).await;
    stage.report.pass(REFUSAL);
    Ok(())
}

fn refusal(code: Code, retry_after_ms: u32) -> Refusal {
    let message = "refused by the conformance check: nothing is wrong".to_owned();
    Refusal { code: code.into(), message, retry_after_ms, redirect: String::new() }
}

/// Gives little credit, and none back until it is used up.
async fn sparing(stage: &mut Stage, args: &BuddyArgs) -> anyhow::Result<()> {
    let timeout = args.common.timeout;
    stage.wanted.credit_bytes = LITTLE_CREDIT;
    stage.wanted.answering = Answering::Starve;
    stage.start()?;
    let sent = |stage: &Stage| stage.live().is_some_and(|live| live.frames > 0);
    if !stage.until(timeout, sent).await {
        let why = format!("with {LITTLE_CREDIT} bytes of credit no frame but Open came: ");
        let what = why + &stage.state();
        stage.report.fail(CREDIT, what);
        return Ok(());
    }
    // It is used up when the buddy is silent where it would have sent.
    let silence = args.resolution * 5 / 2;
    let half = i64::try_from(LITTLE_CREDIT / 2).unwrap_or(i64::MAX);
    stage
        .until(timeout, |stage| {
            let used =
                |live: &super::ingest::Ingest| live.left() < half && live.heard.elapsed() > silence;
            stage.report.failed(CREDIT) || stage.live().is_none_or(used)
        })
        .await;
    let before = stage.live().map_or(u64::MAX, |live| live.frames);
    stage.wanted.answering = Answering::Deliver;
    stage.ingests.values_mut().for_each(super::ingest::Ingest::give_held);
    let goes_on = |stage: &Stage| stage.live().is_some_and(|live| live.frames > before);
    if !stage.until(timeout, goes_on).await {
        let what = format!("nothing came after the credit was given back: {}", stage.state());
        stage.report.fail(CREDIT, what);
    }
    stage.report.pass(CREDIT);
    stage.wanted.credit_bytes = limits::CREDIT_BYTES;
    Ok(())
}
