//! Reasons to doubt figures, though nothing went wrong: the machine had more to do than it could, or
//! other things to do.

use super::{machine::cores, run::Run};

/// A machine that is busier than this on average makes everybody wait for everybody.
const SATURATED: f64 = 0.85;
/// From here on the busiest second had no core to spare.
const FULL: f64 = 0.97;
/// What others may take, as a part of all cores.
const OTHERS: f64 = 0.05;

/// How busy the machine was during a run's measured rounds, in cores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// On average.
    pub(super) busy: f64,
    /// In the busiest second.
    pub(super) busiest: f64,
    /// By programs that have no part in the run.
    pub(super) others: f64,
    /// Taken by the host of this virtual machine.
    pub(super) stolen: f64,
}

impl Load {
    pub(super) fn of(run: &Run) -> Self {
        let (before, after) = (&run.before, &run.after);
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let taken = |before: std::time::Duration, after: std::time::Duration| {
            after.saturating_sub(before).as_secs_f64() / seconds
        };
        let busy = taken(before.machine.busy, after.machine.busy);
        let own = taken(before.master.cpu, after.master.cpu)
            + taken(before.buddy.cpu, after.buddy.cpu)
            + taken(before.sim.cpu, after.sim.cpu)
            + taken(before.bench.cpu, after.bench.cpu);
        Self {
            busy,
            busiest: run.busiest_second,
            others: (busy - own).max(0.0),
            stolen: taken(before.machine.stolen, after.machine.stolen),
        }
    }

    /// What is to be doubted, and why.
    pub(super) fn doubts(self, cores: usize) -> Vec<String> {
        let share = |used: f64| used / cores as f64;
        let mut doubts = Vec::new();
        if share(self.busy) > SATURATED {
            doubts.push(format!(
                "no figure of it is to be trusted: {:.2} of {cores} cores were busy all the time",
                self.busy
            ));
        } else if share(self.busiest) > FULL {
            doubts.push(format!(
                "its times contain waiting for the simulation: {:.2} of {cores} cores were busy in \
                 the busiest second",
                self.busiest
            ));
        }
        if share(self.others) > OTHERS {
            doubts.push(format!(
                "other programs took {:.2} of {cores} cores: measure again on a quiet machine",
                self.others
            ));
        }
        if share(self.stolen) > OTHERS {
            doubts.push(format!("this virtual machine had to do without {:.2} cores", self.stolen));
        }
        doubts
    }
}

/// Doubts about a run, each with its name.
pub(super) fn doubts(run: &Run) -> impl Iterator<Item = String> {
    let doubts = Load::of(run).doubts(cores());
    doubts.into_iter().map(|doubt| format!("{}: {doubt}", run.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Load = Load { busy: 0.8, busiest: 1.5, others: 0.05, stolen: 0.0 };

    #[test]
    fn a_machine_that_has_time_is_not_doubted() {
        assert!(QUIET.doubts(2).is_empty());
    }

    #[test]
    fn each_reason_to_doubt_is_told() {
        for (load, said) in [
            (Load { busy: 1.8, busiest: 2.0, ..QUIET }, "no figure of it is to be trusted"),
            (Load { busiest: 1.99, ..QUIET }, "waiting for the simulation"),
            (Load { others: 0.2, ..QUIET }, "other programs took 0.20 of 2 cores"),
            (Load { stolen: 0.2, ..QUIET }, "do without 0.20 cores"),
        ] {
            let doubts = load.doubts(2);
            assert!(doubts.len() == 1 && doubts[0].contains(said), "{doubts:?}");
        }
    }
}
