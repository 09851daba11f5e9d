//! Which faults happen, in which order: the same for the same seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Options, fault::Fault, proxy::Way};

/// A fault, and how long everything is left with it and without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub(super) fault: Fault,
    /// Another one that begins before this one ends.
    pub(super) beside: Option<Fault>,
    pub(super) hold: Duration,
    pub(super) gap: Duration,
}

/// The steps of a run; of faults, those beside others included, there are as many as are wanted.
pub(super) fn steps(options: &Options, seed: u64, disks_can_be_filled: bool) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut steps = Vec::new();
    let mut left = options.faults;
    while left > 0 {
        let fault = any(options, disks_can_be_filled, &mut random);
        let beside = any(options, disks_can_be_filled, &mut random);
        let overlaps = left > 1 && random.random_range(0..3) == 0;
        let beside = Some(beside).filter(|other| overlaps && other.subject() != fault.subject());
        let millis =
            |random: &mut StdRng, most| Duration::from_millis(random.random_range(100..most));
        let (hold, gap) = (millis(&mut random, 2500), millis(&mut random, 1500));
        left -= 1 + usize::from(beside.is_some());
        steps.push(Step { fault, beside, hold, gap });
    }
    steps
}

fn any(options: &Options, disks_can_be_filled: bool, random: &mut StdRng) -> Fault {
    let buddy = random.random_range(0..options.clusters);
    let way = match random.random_range(0..3) {
        0 => Way::Cut,
        1 => Way::Frozen,
        _ => Way::Slow(Duration::from_millis(random.random_range(5..150))),
    };
    match random.random_range(0..20) {
        0..3 => Fault::MasterKilled,
        3..5 => Fault::MasterStopped,
        5 => Fault::MasterHalted,
        6..8 => Fault::BuddyKilled(buddy),
        8..10 => Fault::BuddyStopped(buddy),
        10 => Fault::BuddyHalted(buddy),
        11..13 => Fault::BuddyWay(buddy, way),
        13 => Fault::InfluxdbWay(way),
        14 => Fault::VictoriaWay(way),
        15 => Fault::InfluxdbKilled,
        16 => Fault::VictoriaStopped,
        17 => Fault::InfluxdbHalted,
        18 if disks_can_be_filled => Fault::DiskFull(buddy),
        _ => Fault::SpoolBroken(buddy),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::Parser;

    use super::*;

    /// A seed that was printed gives the same faults again, and enough of them give each kind.
    #[test]
    fn a_seed_tells_the_faults() {
        let options = Options::parse_from(["torture", "--faults", "400"]);
        let faults = |seed| steps(&options, seed, true);
        assert_eq!(faults(3), faults(3));
        assert_ne!(faults(3), faults(4));
        let count: usize =
            faults(3).iter().map(|step| 1 + usize::from(step.beside.is_some())).sum();
        assert_eq!(count, 400);
        let names: HashSet<&str> = faults(3).iter().map(|step| step.fault.name()).collect();
        assert_eq!(names.len(), Fault::NAMES.len(), "{names:?}");
        let apart = |step: &Step| step.beside.is_none_or(|o| o.subject() != step.fault.subject());
        assert!(faults(3).iter().all(apart), "two faults of one program at once");
    }
}
