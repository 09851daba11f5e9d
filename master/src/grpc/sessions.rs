//! How many sessions one credential may have at a time, and what its buddies may send.

use std::{net::IpAddr, sync::Arc};

use tokio::time::Instant;

use super::Context;
use crate::{
    access::{Share, Who},
    actors::{
        buddy::Identity,
        rate::{Lent, Rate},
    },
};

/// What a session takes for as long as it lasts. Within this process nothing is counted.
#[derive(Default)]
pub(super) struct Admission(Option<(Share<String>, Lent)>);

impl Admission {
    /// What the buddy has sent of late.
    pub(super) fn rate(&self) -> Arc<Rate> {
        self.0.as_ref().map(|(_, lent)| Arc::clone(lent.rate())).unwrap_or_default()
    }
}

/// One of the sessions that a credential may have, or an address where nobody is asked for any.
///
/// # Errors
/// When they are all taken: a sentence for the buddy.
pub(super) fn admit(
    context: &Context,
    who: &Who,
    origin: Option<IpAddr>,
    identity: &Identity,
) -> Result<Admission, String> {
    let (owner, whose) = match (who.name(), origin) {
        ("", None) => return Ok(Admission::default()),
        ("", Some(address)) => (address.to_string(), format!("the address {address}")),
        // No address looks like this.
        (name, _) => (format!("={name}"), format!("the credential {name:?}")),
    };
    let most = context.sessions.most_each();
    let lent = context.rates.lend(&owner, (&identity.cluster, &identity.buddy_id), Instant::now());
    let lent = lent.map_err(|_| {
        format!(
            "{whose} has {most} buddies that are connected or have just sent more than --max-bytes-per-second, which is all that it may have: come back later"
        )
    });
    let share = context.sessions.take(owner).map_err(|_| {
        format!(
            "{whose} has {most} buddies connected, which is all that it may have: give this one another credential, or raise --max-sessions-per-credential of the master"
        )
    })?;
    Ok(Admission(Some((share, lent?))))
}
