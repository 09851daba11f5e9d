//! The checks of a master's Control stream.

use heapster_proto::v1::{
    FromBuddy, Goodbye, Heartbeat, Hello, Host, HostChange, HostSnapshot, Refusal, Welcome,
    from_buddy::Kind, refusal::Code, to_buddy,
};

use super::{
    frames,
    ingest::all_delivered,
    player::{Control, Player, Session, Tried, is_silence, is_status, name_of, told},
};

/// A version that nobody speaks.
const NO_VERSION: u32 = 4_000_000_000;

pub(super) async fn handshake(player: &Player) -> Tried {
    let session = player.buddy("handshake").await?;
    let Welcome { version, session_id, resolution_ms, limits, .. } = &session.welcome;
    if *version != 1 {
        return Err(format!("Welcome has the version {version}; Hello offered 1 alone").into());
    }
    if session_id.is_empty() || *resolution_ms == 0 {
        return Err("Welcome has no session_id or no resolution_ms".into());
    }
    let Some(limits) = limits else { return Err("Welcome has no limits".into()) };
    let zero = [
        ("max_frame_bytes", limits.max_frame_bytes),
        ("credit_bytes", limits.credit_bytes),
        ("max_entities", limits.max_entities.into()),
        ("max_labels", limits.max_labels.into()),
        ("max_label_bytes", limits.max_label_bytes.into()),
        ("max_streams", limits.max_streams.into()),
    ];
    match zero.iter().find(|(_, limit)| *limit == 0) {
        Some((name, _)) => {
            Err(format!("Welcome.limits.{name} is 0, which nobody can keep to").into())
        }
        None => Ok(()),
    }
}

pub(super) async fn version(player: &Player) -> Tried {
    let hello = Hello { versions: vec![NO_VERSION], ..player.hello("version") };
    let (refusal, mut control) =
        refused(player, hello, "a Hello of a version that is unknown").await?;
    if refusal.code() != Code::Version {
        let code = refusal.code().as_str_name();
        return Err(format!("the Refusal has the code {code}, and not VERSION").into());
    }
    if refusal.message.is_empty() {
        return Err("the Refusal has no message for a person".into());
    }
    control.ends("a Refusal").await
}

pub(super) async fn malformed(player: &Player) -> Tried {
    let hello = Hello { cluster: String::new(), ..player.hello("malformed") };
    let (refusal, _) = refused(player, hello, "a Hello without a cluster").await?;
    if refusal.code() != Code::Malformed {
        let code = refusal.code().as_str_name();
        return Err(format!("the Refusal has the code {code}, and not MALFORMED").into());
    }
    let Ok(mut control) = player.control(Kind::Heartbeat(Heartbeat::default())).await else {
        return Ok(());
    };
    match control.next().await {
        Ok(Some(to_buddy::Kind::Welcome(_))) => Err("a Heartbeat was answered with Welcome".into()),
        Err(status) if is_silence(&status) => {
            Err("a Control stream that does not begin with Hello goes on".into())
        }
        _ => Ok(()),
    }
}

/// Says Hello and wants a Refusal.
async fn refused(
    player: &Player,
    hello: Hello,
    what: &str,
) -> Result<(Refusal, Control), super::Wrong> {
    let control = player.control(Kind::Hello(hello)).await;
    let mut control =
        control.map_err(|status| format!("{what} gave {}, and not a Refusal", told(&status)))?;
    match control.next().await {
        Ok(Some(to_buddy::Kind::Refusal(refusal))) => Ok((refusal, control)),
        Ok(other) => {
            let name = name_of(other.as_ref());
            Err(format!("{what} was answered with {name}, and not with a Refusal").into())
        }
        Err(status) => Err(format!("{what} gave {}, and not a Refusal", told(&status)).into()),
    }
}

/// Roles, capabilities, messages and levels that no version has yet.
pub(super) async fn unknown(player: &Player) -> Tried {
    let mut hello = player.hello("unknown");
    hello.roles.push(77);
    hello.capabilities.push("conformance/none".to_owned());
    let mut session = player.session(hello).await?;
    let offered = |name: &String| name == "conformance/none";
    if let Some(other) = session.welcome.capabilities.iter().find(|name| !offered(name)) {
        return Err(format!("Welcome has the capability {other:?}, which Hello has not").into());
    }
    session.control.send(FromBuddy { kind: None }).await?;
    is_alive(&mut session, "a message of a kind that it does not know").await?;
    let tick = frames::tick(&session);
    let mut ingest = player.ingest(frames::open(&session)).await.map_err(|status| told(&status))?;
    ingest.send(frames::define()).await?;
    let foreign = frames::entity(3, frames::NODE, 77);
    ingest.send(frames::defining(vec![foreign], Vec::new(), Vec::new())).await?;
    ingest.send(frames::batch(1, tick, 1, vec![1, 1, 1])).await?;
    all_delivered(&mut ingest, 1..=1).await
}

/// Whether the master still asks for a list after a gap.
async fn is_alive(session: &mut Session, after: &str) -> Tried {
    let change = HostChange { from_version: 70, version: 71, ..HostChange::default() };
    session.control.say(Kind::HostChange(change)).await?;
    asked(session, after).await
}

async fn asked(session: &mut Session, after: &str) -> Tried {
    loop {
        match session.control.next().await {
            Ok(Some(to_buddy::Kind::SendSnapshot(_))) => return Ok(()),
            Ok(Some(_)) => {}
            Ok(None) => return Err(format!("the stream ended after {after}").into()),
            Err(status) if is_silence(&status) => {
                return Err(format!("no send_snapshot came after {after}").into());
            }
            Err(status) => return Err(format!("{after} gave {}", told(&status)).into()),
        }
    }
}

pub(super) async fn duplicate(player: &Player) -> Tried {
    let _first = player.buddy("duplicate").await?;
    let mut hello = player.hello("duplicate");
    hello.instance_id.push_str("-other");
    let what = "a second instance of a buddy_id that is connected";
    let (refusal, _) = refused(player, hello, what).await?;
    if refusal.code() != Code::DuplicateInstance {
        let code = refusal.code().as_str_name();
        return Err(format!("the Refusal has the code {code}, and not DUPLICATE_INSTANCE").into());
    }
    Ok(())
}

pub(super) async fn replaced(player: &Player) -> Tried {
    let mut first = player.buddy("replaced").await?;
    let second = player.buddy("replaced").await?;
    if first.welcome.session_id == second.welcome.session_id {
        return Err("both Control streams of an instance have one session_id".into());
    }
    first.control.ends("a second one of the same instance").await
}

pub(super) async fn gap(player: &Player) -> Tried {
    let mut session = player.buddy("gap").await?;
    let host = |id: &str| Host { id: id.into(), name: id.into(), ready: true, ..Host::default() };
    let list = HostSnapshot { version: 1, hosts: vec![host("conformance-host")], last: true };
    session.control.say(Kind::Hosts(list)).await?;
    let step = |from_version, version| HostChange {
        from_version,
        version,
        upserted: vec![host("conformance-other")],
        removed: Vec::new(),
    };
    session.control.say(Kind::HostChange(step(1, 2))).await?;
    match session.control.next_within(player.quiet).await {
        Ok(Some(to_buddy::Kind::SendSnapshot(request))) => {
            let reason = request.reason;
            return Err(format!("send_snapshot came without a gap: {reason}").into());
        }
        Err(status) if !is_silence(&status) => {
            return Err(format!("a HostChange without a gap gave {}", told(&status)).into());
        }
        _ => {}
    }
    session.control.say(Kind::HostChange(step(7, 8))).await?;
    asked(&mut session, "a HostChange from version 7 to a master that has 2").await
}

pub(super) async fn shutdown(player: &Player) -> Tried {
    let mut session = player.buddy("shutdown").await?;
    let goodbye = Goodbye { reason: "the conformance check is done".to_owned() };
    session.control.say(Kind::Goodbye(goodbye)).await?;
    session.control.end();
    session.control.ends("Goodbye").await?;
    let after = "an Open of a session that said Goodbye";
    match player.ingest(frames::open(&session)).await {
        Ok(mut ingest) => ingest.ends_with(tonic::Code::Unauthenticated, after).await,
        Err(status) => is_status(&status, tonic::Code::Unauthenticated, after),
    }
}
