//! Which polling buddy has which host: rendezvous hashing on the hosts' identities, with bounded
//! load, from what was before.
//!
//! Each pair of a host and a buddy has a weight, and a host wants the buddy with the greatest. A
//! host stays where it is as long as it may, so that a buddy that leaves moves its own hosts and no
//! others, and one that joins moves no more than its share.

use std::{cmp::Reverse, sync::Arc};

use compact_str::CompactString;
use heapster_shared::{Map, Set};

/// Who has what.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    owners: Map<CompactString, Arc<str>>,
    pollers: Set<Arc<str>>,
}

/// A host, and the buddies that may have it, as places in the list of pollers.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) host: CompactString,
    pub(super) candidates: Arc<[usize]>,
}

impl Shares {
    /// The buddy that has a host.
    pub(super) fn owner(&self, host: &str) -> Option<&Arc<str>> {
        self.owners.get(host)
    }

    /// How many hosts each buddy has; none that has no host.
    pub(super) fn loads(&self) -> Map<Arc<str>, usize> {
        let mut loads: Map<Arc<str>, usize> = Map::default();
        for owner in self.owners.values() {
            *loads.entry(Arc::clone(owner)).or_default() += 1;
        }
        loads
    }

    /// The same for these hosts and these buddies, both in order of their names.
    pub(super) fn renewed(&self, pollers: &[Arc<str>], hosts: &[Choice]) -> Self {
        let mut division = Division::of(self, pollers, hosts);
        for (place, poller) in pollers.iter().enumerate() {
            if !self.pollers.contains(poller) {
                division.welcome(place);
            }
        }
        division.shed();
        division.place();
        let owned = hosts.iter().zip(&division.owners);
        let owners = owned.filter_map(|(choice, owner)| {
            owner.map(|place| (choice.host.clone(), Arc::clone(&pollers[place])))
        });
        Self { owners: owners.collect(), pollers: pollers.iter().cloned().collect() }
    }
}

/// Hosts being shared out.
struct Division<'a> {
    hosts: &'a [Choice],
    /// Hashes of the hosts and the pollers.
    host_hashes: Vec<u64>,
    poller_hashes: Vec<u64>,
    owners: Vec<Option<usize>>,
    loads: Vec<usize>,
    /// What a joiner may take.
    share: usize,
    /// No poller is given more, unless nobody else may have the host.
    most: usize,
}

impl<'a> Division<'a> {
    /// Each host with the buddy that has it, where that one is still a candidate.
    fn of(before: &Shares, pollers: &[Arc<str>], hosts: &'a [Choice]) -> Self {
        let places: Map<&str, usize> =
            pollers.iter().enumerate().map(|(place, name)| (&**name, place)).collect();
        let mut used = vec![false; pollers.len()];
        let mut loads = vec![0; pollers.len()];
        let mut owners = Vec::with_capacity(hosts.len());
        for choice in hosts {
            choice.candidates.iter().for_each(|place| used[*place] = true);
            let owner = before.owner(&choice.host).and_then(|name| places.get(&**name).copied());
            let owner = owner.filter(|place| choice.candidates.contains(place));
            owner.into_iter().for_each(|place| loads[place] += 1);
            owners.push(owner);
        }
        let sharing = used.iter().filter(|used| **used).count().max(1);
        let share = hosts.len().div_ceil(sharing);
        Self {
            hosts,
            host_hashes: hosts.iter().map(|choice| hash(&choice.host)).collect(),
            poller_hashes: pollers.iter().map(|name| hash(name)).collect(),
            owners,
            loads,
            share,
            // A quarter over the mean; where there are few hosts a quarter is less than one.
            most: (hosts.len() * 5).div_ceil(sharing * 4).max(share + 1),
        }
    }

    fn weight(&self, host: usize, poller: usize) -> u64 {
        mix(self.host_hashes[host] ^ self.poller_hashes[poller].rotate_left(32))
    }

    /// The candidate that a host wants most, of those that pass.
    fn best(&self, host: usize, passes: impl Fn(usize) -> bool) -> Option<usize> {
        let candidates = self.hosts[host].candidates.iter().copied();
        candidates
            .filter(|place| passes(*place))
            .max_by_key(|place| (self.weight(host, *place), Reverse(*place)))
    }

    fn give(&mut self, host: usize, poller: usize) {
        if let Some(before) = self.owners[host].replace(poller) {
            self.loads[before] -= 1;
        }
        self.loads[poller] += 1;
    }

    fn is_over(&self, poller: usize) -> bool {
        self.loads[poller] > self.most
    }

    /// A new buddy takes up to its share: first from those that have too many by now, then what
    /// wants it most.
    fn welcome(&mut self, joiner: usize) {
        let mut hosts: Vec<usize> = (0..self.hosts.len())
            .filter(|host| self.hosts[*host].candidates.contains(&joiner))
            .collect();
        hosts.sort_by_key(|host| Reverse(self.weight(*host, joiner)));
        for host in &hosts {
            if self.loads[joiner] < self.share
                && self.owners[*host].is_some_and(|owner| owner != joiner && self.is_over(owner))
            {
                self.give(*host, joiner);
            }
        }
        for host in hosts {
            if self.loads[joiner] >= self.share {
                return;
            }
            if self.owners[host] != Some(joiner) && self.best(host, |_| true) == Some(joiner) {
                self.give(host, joiner);
            }
        }
    }

    /// Who has too many gives away what wants it least.
    fn shed(&mut self) {
        for poller in 0..self.loads.len() {
            if !self.is_over(poller) {
                continue;
            }
            let mut hosts: Vec<usize> =
                (0..self.hosts.len()).filter(|host| self.owners[*host] == Some(poller)).collect();
            hosts.sort_by_key(|host| self.weight(*host, poller));
            for host in hosts {
                if !self.is_over(poller) {
                    break;
                }
                if let Some(other) = self.best(host, |place| self.loads[place] < self.most) {
                    self.give(host, other);
                }
            }
        }
    }

    /// Hosts without a buddy go to the one that they want most and that has room; where none has,
    /// to the one that has least.
    fn place(&mut self) {
        for host in 0..self.hosts.len() {
            if self.owners[host].is_some() {
                continue;
            }
            let least = || {
                let candidates = self.hosts[host].candidates.iter().copied();
                candidates.min_by_key(|place| (self.loads[*place], *place))
            };
            let roomy = self.best(host, |place| self.loads[place] < self.most);
            if let Some(poller) = roomy.or_else(least) {
                self.give(host, poller);
            }
        }
    }
}

/// FNV-1a: the same in every process, which the hash of a [`Map`] is not.
fn hash(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The last step of SplitMix64: neighbours lie far apart.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<Arc<str>> {
        (0..count).map(|number| format!("buddy-{number:02}").into()).collect()
    }

    /// So many hosts, which any of so many buddies may have.
    fn choices(hosts: usize, pollers: usize) -> Vec<Choice> {
        let candidates: Arc<[usize]> = (0..pollers).collect();
        let choice = |number: usize| Choice {
            host: format!("node-{number:05}").into(),
            candidates: Arc::clone(&candidates),
        };
        (0..hosts).map(choice).collect()
    }

    fn shared(before: &Shares, hosts: usize, pollers: &[Arc<str>]) -> Shares {
        before.renewed(pollers, &choices(hosts, pollers.len()))
    }

    fn load(shares: &Shares, poller: &str) -> usize {
        shares.owners.values().filter(|owner| &***owner == poller).count()
    }

    /// The hosts that have another buddy than before.
    fn moved<'a>(before: &'a Shares, after: &Shares) -> Vec<&'a str> {
        let moved = before.owners.iter().filter(|(host, owner)| after.owner(host) != Some(*owner));
        moved.map(|(host, _)| host.as_str()).collect()
    }

    fn most(hosts: usize, pollers: usize) -> usize {
        (hosts * 5).div_ceil(pollers * 4).max(hosts.div_ceil(pollers) + 1)
    }

    #[test]
    fn a_thousand_hosts_are_shared_by_three() {
        let all = names(3);
        let shares = shared(&Shares::default(), 1_000, &all);
        let loads: Vec<usize> = all.iter().map(|name| load(&shares, name)).collect();
        assert_eq!(loads.iter().sum::<usize>(), 1_000);
        assert!(loads.iter().all(|load| (300..=367).contains(load)), "{loads:?}");
    }

    /// Of hosts that only some may have each is with one of those, whatever the load; one that
    /// nobody may have has nobody.
    #[test]
    fn only_candidates_have_a_host() {
        let mut hosts = choices(10, 2);
        hosts.iter_mut().for_each(|choice| choice.candidates = [1].into());
        hosts[3].candidates = [].into();
        let shares = Shares::default().renewed(&names(2), &hosts);
        assert_eq!((load(&shares, "buddy-00"), load(&shares, "buddy-01")), (0, 9));
        assert_eq!(shares.owner("node-00003"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever joins and leaves: each host has one buddy, none has too many; a buddy that
        /// leaves moves its own hosts only, one that joins takes all that moves, and no more than
        /// its share; without a change nothing moves.
        #[test]
        fn few_hosts_move(hosts in 0..300_usize, steps in prop::collection::vec(0..12_usize, 1..25)) {
            let everybody = names(12);
            let mut present: Vec<Arc<str>> = vec![Arc::clone(&everybody[0])];
            let mut shares = shared(&Shares::default(), hosts, &present);
            for step in steps {
                let name = &everybody[step];
                let leaves = present.contains(name);
                if leaves && present.len() == 1 {
                    continue;
                }
                let before = shares.clone();
                let own = load(&before, name);
                if leaves { present.retain(|one| one != name) } else { present.push(Arc::clone(name)) }
                present.sort();
                shares = shared(&before, hosts, &present);
                prop_assert_eq!(shares.owners.len(), hosts);
                let moves = moved(&before, &shares);
                if leaves {
                    prop_assert_eq!(moves.len(), own);
                } else {
                    prop_assert!(moves.len() <= hosts.div_ceil(present.len()));
                    prop_assert_eq!(load(&shares, name), moves.len());
                }
                for one in &present {
                    prop_assert!(load(&shares, one) <= most(hosts, present.len()));
                }
                prop_assert!(moved(&shares, &shared(&shares, hosts, &present)).is_empty());
            }
        }

        /// From nothing, as after a restart of the master, the same comes out each time.
        #[test]
        fn nothing_but_names_decides(hosts in 0..200_usize, pollers in 1..8_usize) {
            let all = names(pollers);
            let one = shared(&Shares::default(), hosts, &all);
            prop_assert!(moved(&one, &shared(&Shares::default(), hosts, &all)).is_empty());
        }
    }
}
