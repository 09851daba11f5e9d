//! The checks of what a master makes of frames that are wrong: the stream has to end with the
//! status that the protocol names, and a message that says why.

use heapster_proto::v1::{Entity, Frame, Level};
use tonic::Code;

use super::{
    frames,
    player::{Player, Tried, Wrong, is_status},
};

/// Larger frames are not tried.
const MOST_BYTES: u64 = 64 << 20;

/// Sends frames in a session of their own, the Open before them; the stream has to end.
async fn ends(player: &Player, name: &str, frames: Vec<Frame>, code: Code, after: &str) -> Tried {
    let session = player.buddy(name).await?;
    let mut ingest = match player.ingest(frames::open(&session)).await {
        Ok(ingest) => ingest,
        Err(status) => return is_status(&status, code, after),
    };
    for frame in frames {
        ingest.send(frame).await?;
    }
    ingest.ends_with(code, after).await
}

async fn first_frame(player: &Player, frame: Frame, code: Code, after: &str) -> Tried {
    match player.ingest(frame).await {
        Ok(mut ingest) => ingest.ends_with(code, after).await,
        Err(status) => is_status(&status, code, after),
    }
}

pub(super) async fn session(player: &Player) -> Tried {
    let mut session = player.buddy("session").await?;
    session.welcome.session_id.push_str("-unknown");
    let open = frames::open(&session);
    first_frame(player, open, Code::Unauthenticated, "an Open of an unknown session").await
}

pub(super) async fn open(player: &Player) -> Tried {
    let _session = player.buddy("open").await?;
    first_frame(player, frames::define(), Code::InvalidArgument, "a Define before any Open").await
}

pub(super) async fn before_use(player: &Player) -> Tried {
    let node = || frames::entity(frames::NODE, 0, Level::Node.into());
    let orphan = frames::entity(7, 6, Level::SysContainer.into());
    let cases = [
        (
            "entity",
            vec![frames::define(), frames::batch(1, 1000, 1, vec![9])],
            "a row of an entity that is not defined",
        ),
        (
            "layout",
            vec![frames::define(), frames::batch(1, 1000, 9, vec![1])],
            "a block of a layout that is not defined",
        ),
        (
            "parent",
            vec![frames::defining(vec![node(), orphan], vec![], vec![])],
            "an entity whose parent is not defined",
        ),
    ];
    for (name, frames, after) in cases {
        ends(player, name, frames, Code::InvalidArgument, after).await?;
    }
    Ok(())
}

pub(super) async fn ids(player: &Player) -> Tried {
    let entity = |id: u32| frames::entity(id, 0, Level::Node.into());
    let defining = |entities: Vec<Entity>| frames::defining(entities, vec![], vec![]);
    let layouts = frames::defining(vec![], vec![frames::layout(1)], vec![]);
    let end = frames::defining(vec![], vec![], vec![frames::CONTAINER]);
    let row = frames::batch(1, 1000, 1, vec![2]);
    let cases = [
        ("zero", vec![defining(vec![entity(0)])], "an entity of the id 0"),
        ("twice", vec![frames::define(), defining(vec![entity(1)])], "an id that is defined twice"),
        ("layout-twice", vec![frames::define(), layouts], "a layout that is defined twice"),
        ("ended", vec![frames::define(), end, row], "a row of an entity that has ended"),
    ];
    for (name, frames, after) in cases {
        ends(player, name, frames, Code::InvalidArgument, after).await?;
    }
    Ok(())
}

pub(super) async fn sequence(player: &Player) -> Tried {
    let rows = |sequence| frames::rows(sequence, 1000);
    let cases = [
        ("jump", vec![frames::define(), rows(1), rows(3)], "the sequence 3 after 1"),
        ("again", vec![frames::define(), rows(1), rows(1)], "the sequence 1 after 1"),
        ("none", vec![frames::define(), rows(0)], "a Batch without a sequence"),
    ];
    for (name, frames, after) in cases {
        ends(player, name, frames, Code::InvalidArgument, after).await?;
    }
    Ok(())
}

pub(super) async fn limits(player: &Player) -> Tried {
    let probe = player.buddy("limits").await?;
    let limits = probe.welcome.limits.unwrap_or_default();
    let mut labelled = frames::entity(frames::NODE, 0, Level::Node.into());
    let labels = limits.max_labels.saturating_add(1).min(1_000_000);
    labelled.labels = (0..labels).map(|label| (format!("l{label}"), String::new())).collect();
    let many = vec![frames::defining(vec![labelled], vec![], vec![])];
    let after = "an entity with more than max_labels labels";
    ends(player, "labels", many, Code::ResourceExhausted, after).await?;
    if limits.max_frame_bytes > MOST_BYTES {
        let why = "max_frame_bytes is so large that no frame is made to pass it";
        return Err(Wrong::DoesNotApply(why.to_owned()));
    }
    let length = usize::try_from(limits.max_frame_bytes).unwrap_or(usize::MAX);
    let after = "a frame of more than max_frame_bytes";
    ends(player, "bytes", vec![frames::event(1, length)], Code::ResourceExhausted, after).await
}
