//! Who is to poll what, and where buddies and clusters contradict each other.

use std::collections::BTreeMap;

use super::super::html::{count, span};
use crate::status::{BuddyStatus, ClusterStatus, HostStatus};

/// A clock that is further off than this makes ticks of its own.
const WRONG_CLOCK_MS: i64 = 30_000;
/// A buddy that has not said for so long whether it polls what it was given does not know how to.
const UNANSWERED_MS: i64 = 60_000;
/// An instance that was turned away tries again about every half minute.
const DUPLICATE_MS: i64 = 180_000;
/// Names in one sentence.
const NAMED: usize = 5;

/// Sentences, the ones that concern most first.
pub(super) fn problems(
    clusters: &[ClusterStatus],
    buddies: &[BuddyStatus],
    now_ms: i64,
) -> Vec<String> {
    let mut problems: Vec<String> = clusters.iter().flat_map(unpolled).collect();
    problems.extend(buddies.iter().filter_map(|buddy| untaken(buddy, now_ms)));
    problems.extend(buddies.iter().filter_map(wrong_clock));
    let fresh = |buddy: &&BuddyStatus| now_ms - buddy.duplicate_unix_ms < DUPLICATE_MS;
    let duplicates = buddies.iter().filter(|buddy| !buddy.duplicate.is_empty()).filter(fresh);
    problems.extend(
        duplicates.map(|it| format!("buddy {} of {}: {}", it.id, it.cluster, it.duplicate)),
    );
    for cluster in clusters {
        let said = |dispute: &String| format!("cluster {}: {dispute}", cluster.name);
        problems.extend(cluster.disputes.iter().map(said));
    }
    problems.extend(claimed_twice(clusters));
    problems
}

/// Whether it is decided that nobody can poll a host.
pub(super) fn is_unpolled(host: &HostStatus) -> bool {
    let never = host.state.as_ref().is_some_and(|state| state.source.is_empty() && !state.ok);
    never && host.polled_by.is_empty()
}

/// Who polls a host, as a part of its line.
pub(super) fn of_buddy(host: &HostStatus) -> String {
    if host.polled_by.is_empty() { String::new() } else { format!(" of {}", host.polled_by) }
}

/// By what a buddy was let in, as a part of its line.
pub(super) fn credential(buddy: &BuddyStatus) -> String {
    match buddy.credential.as_str() {
        "" => String::new(),
        name => format!(" by credential {name}"),
    }
}

/// What a buddy does, as a line.
pub(super) fn duties(buddy: &BuddyStatus) -> String {
    let roles = buddy.roles.join(", ");
    let Some(assignment) = &buddy.assignment else { return roles };
    let hosts = count(assignment.hosts, "host");
    let version = match (assignment.version, assignment.acknowledged_version) {
        _ if assignment.own_hosts => "its own".to_owned(),
        (0, _) => "by no assignment of this master".to_owned(),
        (sent, accepted) if sent == accepted => format!("assignment {sent}, acknowledged"),
        (sent, 0) => format!("assignment {sent}, none acknowledged"),
        (sent, accepted) => format!("assignment {sent}, acknowledged is {accepted}"),
    };
    let refused = match assignment.refused_version {
        0 => String::new(),
        version => format!("; refused {version}: {}", assignment.refusal),
    };
    format!("{roles}: {hosts}, {version}{refused}")
}

/// The hosts that nobody polls, a sentence for each reason.
fn unpolled(cluster: &ClusterStatus) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in cluster.hosts.iter().filter(|host| is_unpolled(host)) {
        let error = host.state.as_ref().map_or("", |state| &state.error);
        reasons.entry(error).or_default().push(&host.host.name);
    }
    let say = |(error, hosts): (&str, Vec<&str>)| {
        let more = if hosts.len() > NAMED { ", ..." } else { "" };
        let names = hosts[..hosts.len().min(NAMED)].join(", ");
        let (cluster, hosts) = (&cluster.name, count(hosts.len(), "host"));
        format!("cluster {cluster}: {hosts} polled by nobody ({names}{more}): {error}")
    };
    reasons.into_iter().map(say).collect()
}

/// A buddy that has refused what it was given, or does not answer.
fn untaken(buddy: &BuddyStatus, now_ms: i64) -> Option<String> {
    let assignment = buddy.assignment.as_ref().filter(|_| buddy.connected)?;
    let (id, cluster) = (&buddy.id, &buddy.cluster);
    if assignment.refused_version > assignment.acknowledged_version
        && assignment.refused_version == assignment.version
    {
        let refusal = &assignment.refusal;
        return Some(format!(
            "buddy {id} of {cluster} refuses the hosts that it is given, and goes on with those before: {refusal}"
        ));
    }
    let since_ms = assignment.unanswered_since_unix_ms;
    let waited_s = (now_ms - since_ms) / 1_000;
    (since_ms > 0 && now_ms - since_ms > UNANSWERED_MS).then(|| {
        let waited = span(waited_s);
        format!("buddy {id} of {cluster} has not said for {waited} whether it polls the hosts that it was given: it may not know of assignments")
    })
}

fn wrong_clock(buddy: &BuddyStatus) -> Option<String> {
    let offset_ms = buddy.clock_offset_ms;
    if !buddy.connected || offset_ms.abs() <= WRONG_CLOCK_MS {
        return None;
    }
    let side = if offset_ms > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "buddy {} of {}: its clock is {} {side} the master's, and so are its ticks: keep both in step with NTP",
        buddy.id,
        buddy.cluster,
        span(offset_ms.abs() / 1_000),
    ))
}

/// Hosts of one id at one address that several clusters have.
fn claimed_twice(clusters: &[ClusterStatus]) -> Vec<String> {
    let mut claims: BTreeMap<(&str, &str, u16), Vec<&str>> = BTreeMap::new();
    for cluster in clusters {
        for host in cluster.hosts.iter().map(|status| &status.host).filter(|host| !host.local) {
            let Some(address) = host.addresses.first() else { continue };
            let port = host.endpoints.first().map_or(0, |endpoint| endpoint.port);
            claims.entry((&host.id, address, port)).or_default().push(&cluster.name);
        }
    }
    let claimed = claims.into_iter().filter(|(_, clusters)| clusters.len() > 1);
    let mut problems: Vec<String> = Vec::new();
    let mut more = 0;
    for ((id, address, _), clusters) in claimed {
        if problems.len() == NAMED {
            more += 1;
            continue;
        }
        problems.push(format!(
            "host {id} ({address}) is in the clusters {}, and each polls it: take it out of all but one, if it is one machine",
            clusters.join(", ")
        ));
    }
    if more > 0 {
        problems.push(format!("{} in several clusters too", count(more, "more host")));
    }
    problems
}
