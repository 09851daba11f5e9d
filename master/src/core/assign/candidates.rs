//! Which buddies may poll a host.
//!
//! A host that only its lister can poll is the lister's. Others are first for the buddies that
//! list them and poll, and for those that only poll: a buddy that discovers knows how to reach what
//! it finds, and is not asked for what others find as long as somebody else can poll it. Then come
//! all other buddies that poll, and at last those that stand by.

use std::sync::Arc;

use heapster_shared::Map;

use super::share::Choice;
use crate::core::inventory::Merged;

/// A buddy that polls.
#[derive(Clone, Debug)]
pub(super) struct Poller {
    pub(super) name: Arc<str>,
    pub(super) discovers: bool,
    pub(super) standby: bool,
}

/// The hosts with those of these pollers that may have them.
pub(super) fn choices(hosts: &[Merged<'_>], pollers: &[Poller]) -> Vec<Choice> {
    let field = Field::of(pollers);
    hosts
        .iter()
        .map(|merged| Choice { host: merged.host.id.clone(), candidates: field.of_host(merged) })
        .collect()
}

/// The pollers by what they are good for, as places in their list.
struct Field<'a> {
    listers: Map<&'a str, usize>,
    only_polling: Arc<[usize]>,
    all: Arc<[usize]>,
    standby: Arc<[usize]>,
}

impl<'a> Field<'a> {
    fn of(pollers: &'a [Poller]) -> Self {
        let places = |passes: fn(&Poller) -> bool| -> Arc<[usize]> {
            let numbered = pollers.iter().enumerate();
            numbered.filter(|(_, poller)| passes(poller)).map(|(place, _)| place).collect()
        };
        let numbered = pollers.iter().enumerate();
        let listers = numbered.filter(|(_, poller)| !poller.standby);
        Self {
            listers: listers.map(|(place, poller)| (&*poller.name, place)).collect(),
            only_polling: places(|poller| !poller.discovers && !poller.standby),
            all: places(|poller| !poller.standby),
            standby: places(|poller| poller.standby),
        }
    }

    fn of_host(&self, merged: &Merged<'_>) -> Arc<[usize]> {
        let listers = || merged.listers.iter().filter_map(|name| self.listers.get(name).copied());
        if merged.host.local {
            return listers().collect();
        }
        let mut first = listers().peekable();
        if first.peek().is_some() {
            let mut first: Vec<usize> = first.chain(self.only_polling.iter().copied()).collect();
            first.sort_unstable();
            first.dedup();
            return first.into();
        }
        let next = [&self.only_polling, &self.all, &self.standby];
        let any = next.into_iter().find(|places| !places.is_empty());
        any.map_or_else(|| [].into(), Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use heapster_shared::host::Host;

    use super::*;
    use crate::core::inventory::{HostsUpdate, Inventory};

    /// `d` discovers and polls, `p` only polls, `s` stands by.
    fn poller(name: &str) -> Poller {
        Poller {
            name: name.into(),
            discovers: name.starts_with('d'),
            standby: name.starts_with('s'),
        }
    }

    /// Who may have a host that these buddies list.
    fn candidates(listers: &[&str], local: bool, pollers: &[&str]) -> Vec<String> {
        let mut inventory = Inventory::new(10);
        for lister in listers {
            let hosts = vec![Host { local, ..Host::named("h") }];
            let list = HostsUpdate::Snapshot { version: 1, hosts, last: true };
            inventory.apply(lister, list).unwrap();
        }
        let all: Vec<Poller> = pollers.iter().map(|name| poller(name)).collect();
        let choices = choices(&inventory.merged(), &all);
        choices[0].candidates.iter().map(|place| pollers[*place].to_owned()).collect()
    }

    #[test]
    fn who_lists_a_host_polls_it_and_who_only_polls_helps() {
        assert_eq!(candidates(&["d1"], false, &["d1", "d2"]), ["d1"]);
        assert_eq!(candidates(&["d1", "d2"], false, &["d1", "d2", "s"]), ["d1", "d2"]);
        assert_eq!(candidates(&["d1"], false, &["d1", "d2", "p", "s"]), ["d1", "p"]);
    }

    #[test]
    fn what_nobody_there_lists_is_for_who_is_there() {
        assert_eq!(candidates(&["x"], false, &["d1", "p1", "p2"]), ["p1", "p2"]);
        assert_eq!(candidates(&["x"], false, &["d1", "s"]), ["d1"]);
        assert_eq!(candidates(&["x"], false, &["s1", "s2"]), ["s1", "s2"]);
        assert!(candidates(&["x"], false, &[]).is_empty());
    }

    /// Another machine may have the same address, as 127.0.0.1.
    #[test]
    fn a_local_host_is_for_its_lister_alone() {
        assert_eq!(candidates(&["d1"], true, &["d1", "p"]), ["d1"]);
        assert!(candidates(&["d1"], true, &["d2", "p", "s"]).is_empty());
    }
}
