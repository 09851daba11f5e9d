//! The checks of what a master makes of frames that are right.

use std::{collections::BTreeSet, ops::RangeInclusive};

use heapster_proto::v1::{Delivery, delivery::Outcome, open::Purpose, receipt};

use super::{
    frames,
    player::{Ingest, Player, Session, Tried, Wrong, is_silence, told},
};

/// Opens the live stream of a new buddy.
async fn live(player: &Player, name: &str) -> Result<(Session, Ingest), Wrong> {
    let session = player.buddy(name).await?;
    let ingest = player.ingest(frames::open(&session)).await;
    let ingest = ingest.map_err(|status| format!("Ingest gave {}", told(&status)))?;
    Ok((session, ingest))
}

pub(super) async fn credit(player: &Player) -> Tried {
    let (session, mut ingest) = live(player, "credit").await?;
    let wanted = session.welcome.limits.map_or(0, |limits| limits.credit_bytes);
    match next(&mut ingest, "the first Credit").await? {
        receipt::Kind::Credit(credit) if credit.bytes == wanted => {}
        receipt::Kind::Credit(credit) => {
            let bytes = credit.bytes;
            return Err(format!("the first Credit is {bytes}, and credit_bytes {wanted}").into());
        }
        receipt::Kind::Delivery(_) => {
            return Err("the first Receipt is a Delivery, and no Credit".into());
        }
    }
    let tick = frames::tick(&session);
    ingest.send(frames::define()).await?;
    ingest.send(frames::rows(1, tick)).await?;
    ingest.send(frames::round_end(2, tick)).await?;
    let mut returned = 0_u64;
    loop {
        if returned > ingest.used {
            let used = ingest.used;
            return Err(
                format!("{returned} bytes of credit came back, and {used} were used").into()
            );
        }
        let within = if returned < ingest.used { player.timeout } else { player.quiet };
        match ingest.next_within(within).await {
            Ok(Some(receipt::Kind::Credit(credit))) => {
                returned = returned.saturating_add(credit.bytes);
            }
            Ok(Some(receipt::Kind::Delivery(_))) => {}
            Err(status) if is_silence(&status) && returned == ingest.used => return Ok(()),
            Err(status) if is_silence(&status) => {
                let used = ingest.used;
                return Err(format!(
                    "of {used} bytes of credit that were used {returned} came back"
                )
                .into());
            }
            Ok(None) => return Err("the stream ended".into()),
            Err(status) => return Err(format!("the stream ended with {}", told(&status)).into()),
        }
    }
}

pub(super) async fn delivery(player: &Player) -> Tried {
    let (session, mut ingest) = live(player, "delivery").await?;
    let tick = frames::tick(&session);
    ingest.send(frames::define()).await?;
    for sequence in 1..=3 {
        ingest.send(frames::rows(sequence, tick)).await?;
    }
    all_delivered(&mut ingest, 1..=3).await?;
    // Whatever else comes must not answer them again.
    loop {
        match ingest.next_within(player.quiet).await {
            Ok(Some(receipt::Kind::Delivery(delivery))) => {
                let (first, last) = (delivery.first_sequence, delivery.last_sequence);
                return Err(format!("the frames {first} to {last} were answered again").into());
            }
            Ok(Some(receipt::Kind::Credit(_))) => {}
            Ok(None) => return Err("the stream ended by itself".into()),
            Err(status) if is_silence(&status) => return Ok(()),
            Err(status) => return Err(format!("the stream ended with {}", told(&status)).into()),
        }
    }
}

pub(super) async fn round(player: &Player) -> Tried {
    let (session, mut ingest) = live(player, "round").await?;
    let tick = frames::tick(&session);
    ingest.send(frames::define()).await?;
    ingest.send(frames::rows(1, tick)).await?;
    ingest.send(frames::round_end(2, tick)).await?;
    all_delivered(&mut ingest, 1..=2).await
}

/// Frame 1 is delivered, then everything is cut with 2 and 3 under way.
pub(super) async fn resend(player: &Player) -> Tried {
    let (session, mut ingest) = live(player, "resend").await?;
    let tick = frames::tick(&session);
    let segment = [
        frames::define(),
        frames::rows(1, tick),
        frames::rows(2, tick),
        frames::round_end(3, tick),
    ];
    for frame in &segment[..2] {
        ingest.send(frame.clone()).await?;
    }
    all_delivered(&mut ingest, 1..=1).await?;
    for frame in &segment[2..] {
        ingest.send(frame.clone()).await?;
    }
    drop((session, ingest));
    let session = player.buddy("resend").await?;
    let open = frames::segment(&session, Purpose::Backfill, 1, 1);
    let gave = |status: &tonic::Status| format!("the replay gave {}", told(status));
    let mut replay = player.ingest(open).await.map_err(|status| gave(&status))?;
    for frame in segment {
        replay.send(frame).await?;
    }
    all_delivered(&mut replay, 2..=3).await?;
    // New rows go on beside it, in a segment of their own.
    let open = frames::segment(&session, Purpose::Live, 2, 3);
    let mut live = player.ingest(open).await.map_err(|status| gave(&status))?;
    live.send(frames::define()).await?;
    live.send(frames::rows(4, tick)).await?;
    all_delivered(&mut live, 4..=4).await
}

async fn next(ingest: &mut Ingest, what: &str) -> Result<receipt::Kind, Wrong> {
    match ingest.next().await {
        Ok(Some(kind)) => Ok(kind),
        Ok(None) => Err(format!("the stream ended before {what} came").into()),
        Err(status) if is_silence(&status) => Err(format!("{what} did not come in time").into()),
        Err(status) => Err(format!("{} came in place of {what}", told(&status)).into()),
    }
}

/// Waits until these frames are delivered; any other answer is wrong.
pub(super) async fn all_delivered(ingest: &mut Ingest, frames: RangeInclusive<u64>) -> Tried {
    let mut open: BTreeSet<u64> = frames.clone().collect();
    while let Some(first) = open.first().copied() {
        let what = format!("the answer to frame {first}");
        match next(ingest, &what).await? {
            receipt::Kind::Credit(_) => {}
            receipt::Kind::Delivery(delivery) => settle(&delivery, &frames, &mut open)?,
        }
    }
    Ok(())
}

fn settle(delivery: &Delivery, frames: &RangeInclusive<u64>, open: &mut BTreeSet<u64>) -> Tried {
    let (first, last) = (delivery.first_sequence, delivery.last_sequence);
    if first > last || !frames.contains(&first) || !frames.contains(&last) {
        let (from, to) = (frames.start(), frames.end());
        return Err(format!(
            "a Delivery is about the frames {first} to {last}, and {from} to {to} wait for one"
        )
        .into());
    }
    if delivery.outcome() != Outcome::Delivered {
        let (outcome, why) = (delivery.outcome().as_str_name(), &delivery.message);
        return Err(
            format!("the frames {first} to {last} were answered with {outcome}: {why}").into()
        );
    }
    for sequence in first..=last {
        if !open.remove(&sequence) {
            return Err(format!("the frame {sequence} was answered twice").into());
        }
    }
    Ok(())
}
