//! What becomes of each sink when the list of them changes.

use heapster_shared::spec::Spec;

/// What becomes of a sink of the new list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It is this one of the old list, and runs on.
    Keep(usize),
    /// It takes the place of this one, which has the same kind and location, and other options.
    Change(usize),
    /// It is new.
    Add,
}

impl Step {
    /// The one of the old list that it is, or takes the place of.
    pub(super) const fn old(self) -> Option<usize> {
        match self {
            Self::Keep(index) | Self::Change(index) => Some(index),
            Self::Add => None,
        }
    }
}

/// What becomes of all.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// A step for each sink of the new list.
    pub(super) steps: Vec<Step>,
    /// Those of the old list that are in it no more.
    pub(super) removed: Vec<usize>,
}

impl Plan {
    /// Those of the old list that stop.
    pub(super) fn leaving(&self) -> impl Iterator<Item = usize> {
        let changed = self.steps.iter().filter_map(|step| match step {
            Step::Change(index) => Some(*index),
            Step::Keep(_) | Step::Add => None,
        });
        changed.chain(self.removed.iter().copied())
    }

    /// Whether all is as it was, the order of the list apart.
    pub(super) fn changes_nothing(&self) -> bool {
        self.removed.is_empty() && self.steps.iter().all(|step| matches!(step, Step::Keep(_)))
    }
}

/// Compares two lists: whole specs first, the order of their options apart, then kind and location.
pub(super) fn plan(old: &[&Spec], new: &[Spec]) -> Plan {
    let mut unused: Vec<usize> = (0..old.len()).collect();
    let mut take = |is_it: &dyn Fn(&Spec) -> bool| {
        let place = unused.iter().position(|index| is_it(old[*index]))?;
        Some(unused.remove(place))
    };
    let kept: Vec<_> = new
        .iter()
        .map(|spec| {
            let wanted = in_order(spec);
            take(&|old| in_order(old) == wanted)
        })
        .collect();
    let mut step = |(spec, kept): (&Spec, Option<usize>)| match kept {
        Some(index) => Step::Keep(index),
        None => take(&|old| old.name() == spec.name()).map_or(Step::Add, Step::Change),
    };
    let steps = new.iter().zip(kept).map(&mut step).collect();
    Plan { steps, removed: unused }
}

/// The spec with its options by name; those of one name stay as they were written.
fn in_order(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    spec.options.sort_by(|(one, _), (other, _)| one.cmp(other));
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(old: &[&str], new: &[&str]) -> Plan {
        let specs = |texts: &[&str]| -> Vec<Spec> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let old = specs(old);
        plan(&old.iter().collect::<Vec<_>>(), &specs(new))
    }

    #[test]
    fn the_same_spec_is_the_same_sink_wherever_it_stands() {
        let all = plan_of(&["log", "x:a?p=1&q=2"], &["x:a?q=2&p=1", "log"]);
        assert_eq!(all.steps, [Step::Keep(1), Step::Keep(0)]);
        assert!(all.changes_nothing() && all.leaving().next().is_none());
        assert!(!plan_of(&["log"], &[]).changes_nothing());
    }

    /// A password is a part of the spec, and none of the name.
    #[test]
    fn other_options_for_the_same_place_are_a_change() {
        let plan = plan_of(
            &["x:http://u:old@h?db=a", "x:http://h2", "log"],
            &["x:http://u:new@h?db=a", "x:http://h3", "log"],
        );
        assert_eq!(plan.steps, [Step::Change(0), Step::Add, Step::Keep(2)]);
        assert_eq!(plan.removed, [1]);
        assert_eq!(plan.leaving().collect::<Vec<_>>(), [0, 1]);
    }

    /// Two of one place with other options: the one that is the same stays, whichever comes first.
    #[test]
    fn of_two_for_one_place_the_right_one_stays() {
        let plan = plan_of(&["x:a?db=1", "x:a?db=2"], &["x:a?db=3", "x:a?db=1", "x:a?db=4"]);
        assert_eq!(plan.steps, [Step::Change(1), Step::Keep(0), Step::Add]);
    }

    #[test]
    fn equal_specs_are_as_many_sinks() {
        let plan = plan_of(&["log", "log"], &["log", "log", "log"]);
        assert_eq!(plan.steps, [Step::Keep(0), Step::Keep(1), Step::Add]);
        assert_eq!(plan_of(&["log", "log"], &["log"]).removed, [1]);
    }
}
