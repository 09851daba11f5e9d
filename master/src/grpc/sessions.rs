//! How many sessions one credential may have at a time.

use std::net::IpAddr;

use super::Context;
use crate::access::{Share, Who};

/// One of the sessions that a credential may have, or an address where nobody is asked for any; none
/// is counted within this process.
///
/// # Errors
/// When they are all taken: a sentence for the buddy.
pub(super) fn share(
    context: &Context,
    who: &Who,
    origin: Option<IpAddr>,
) -> Result<Option<Share<String>>, String> {
    let (key, whose) = match (who.name(), origin) {
        ("", None) => return Ok(None),
        ("", Some(address)) => (address.to_string(), format!("the address {address}")),
        // No address looks like this.
        (name, _) => (format!("={name}"), format!("the credential {name:?}")),
    };
    context.sessions.take(key).map(Some).map_err(|_| {
        format!(
            "{whose} has {} buddies connected, which is all that it may have: give this one another credential, or raise --max-sessions-per-credential of the master",
            context.sessions.most_each()
        )
    })
}
