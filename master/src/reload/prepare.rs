//! A change of the sinks as far as it can be made without changing anything: all that can be wrong
//! is found here.

use std::sync::Arc;

use heapster_shared::spec::Spec;

use super::{
    ReloadError, Running,
    plan::{self, Plan, Step},
    unique_name,
};
use crate::{
    actors::{lineup::Lineup, router::SinkSlot},
    core::sink_set::{MOST_SINKS, SinkSet},
    sinks::{self, Configured},
};

/// What a change is made of.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    /// The sinks of the new list, in its order.
    pub(super) sinks: Vec<Ready>,
    /// Those that stop.
    pub(super) old: Vec<Arc<SinkSlot>>,
    /// The lineup as it is to be, but for the sinks of the list.
    pub(super) lineup: Lineup,
    /// Where in it they go.
    pub(super) first: usize,
}

/// A sink of the new list.
pub(super) enum Ready {
    /// It runs.
    Runs(Arc<SinkSlot>),
    /// It is to be started, under this name and with payloads that are marked so.
    Starts { sink: Box<Configured>, name: String, whom: SinkSet },
}

/// Compares the sinks that run with a new list.
pub(super) fn prepare(
    running: &[Running],
    mut lineup: Lineup,
    specs: &[Spec],
) -> Result<Prepared, ReloadError> {
    let old: Vec<&Spec> = running.iter().map(|running| &running.spec).collect();
    let plan = plan::plan(&old, specs);
    let is_own = |slot: &Arc<SinkSlot>| running.iter().any(|one| Arc::ptr_eq(&one.slot, slot));
    // Behind the model, where there are none.
    let first = lineup.sinks.iter().position(is_own).unwrap_or(lineup.sinks.len().min(1));
    lineup.sinks.retain(|slot| !is_own(slot));
    if lineup.sinks.len() + specs.len() > MOST_SINKS {
        let most = MOST_SINKS - lineup.sinks.len();
        let why = format!("{} sinks are more than the {most} there may be", specs.len());
        return Err(ReloadError::Wrong(why));
    }
    let configured = configure(&plan, specs)?;
    let places = places(&plan, running, &configured, &mut lineup)?;
    let names = names(&plan, running, &configured, &lineup);
    let parts = plan.steps.iter().zip(configured).zip(names).zip(places);
    let ready = |(((step, sink), name), whom): (((&Step, _), _), _)| match (step, sink) {
        (_, Some(sink)) => Some(Ready::Starts { sink: Box::new(sink), name, whom }),
        (step, None) => step.old().map(|index| Ready::Runs(Arc::clone(&running[index].slot))),
    };
    let sinks = parts.filter_map(ready).collect();
    let old = plan.leaving().map(|index| Arc::clone(&running[index].slot)).collect();
    Ok(Prepared { sinks, old, lineup, first, plan })
}

/// The sinks that are to be started; nothing for those that run on.
fn configure(plan: &Plan, specs: &[Spec]) -> Result<Vec<Option<Configured>>, ReloadError> {
    let configure = |(spec, step): (&Spec, &Step)| {
        let is_new = !matches!(step, Step::Keep(_));
        let sink = is_new.then(|| sinks::configure(spec.clone())).transpose();
        sink.map_err(|error| ReloadError::Wrong(format!("sink {}: {error}", spec.name())))
    };
    specs.iter().zip(&plan.steps).map(configure).collect()
}

/// What payloads are marked with for each sink. Those of sinks that stay required stay; those of
/// others are given back first.
fn places(
    plan: &Plan,
    running: &[Running],
    configured: &[Option<Configured>],
    lineup: &mut Lineup,
) -> Result<Vec<SinkSet>, ReloadError> {
    let steps = || plan.steps.iter().zip(configured);
    let stays = |(step, sink): (&Step, &Option<Configured>)| {
        let whom = running[step.old()?].slot.whom;
        let required = sink.as_ref().is_none_or(|sink| sink.options.required);
        (required && whom != SinkSet::OTHERS).then_some(whom)
    };
    let all = |sinks: &mut dyn Iterator<Item = SinkSet>| sinks.fold(SinkSet::EMPTY, SinkSet::with);
    let had = all(&mut running.iter().map(|one| one.slot.whom)).without(SinkSet::OTHERS);
    let gone = had.without(all(&mut steps().filter_map(stays)));
    if !gone.is_empty() {
        lineup.roster.remove(gone);
    }
    let mut place = |parts: (&Step, &Option<Configured>)| {
        let required = parts.1.as_ref().is_some_and(|sink| sink.options.required);
        stays(parts).or_else(|| lineup.place(required))
    };
    let places: Option<Vec<SinkSet>> = steps().map(&mut place).collect();
    places.ok_or_else(|| ReloadError::wrong("more sinks are required than there may be"))
}

/// The name of each sink: what it had, where it runs on or is changed.
fn names(
    plan: &Plan,
    running: &[Running],
    configured: &[Option<Configured>],
    lineup: &Lineup,
) -> Vec<String> {
    let had = |step: &Step| step.old().map(|index| running[index].slot.name.clone());
    let mut taken: Vec<String> = lineup.sinks.iter().map(|slot| slot.name.clone()).collect();
    taken.extend(plan.steps.iter().filter_map(had));
    let mut name = |(step, sink): (&Step, &Option<Configured>)| {
        let plain = sink.as_ref().map_or("", |sink| &sink.name);
        had(step).unwrap_or_else(|| {
            let name = unique_name(plain, &taken);
            taken.push(name.clone());
            name
        })
    };
    plan.steps.iter().zip(configured).map(&mut name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sinks that run, with the lineup that they are in, behind the model and before another.
    fn lab(texts: &[&str]) -> (Vec<Running>, Lineup) {
        let mut lineup = Lineup::default();
        let fixed = |name: &str| Arc::new(SinkSlot::new(name.to_owned(), SinkSet::OTHERS));
        lineup.sinks.push(fixed("model"));
        let mut running = Vec::new();
        for text in texts {
            let spec: Spec = text.parse().unwrap();
            let required = text.contains("required=true");
            let whom = lineup.place(required).unwrap();
            let slot = Arc::new(SinkSlot::new(spec.name(), whom));
            lineup.sinks.push(Arc::clone(&slot));
            running.push(Running { spec, slot });
        }
        lineup.sinks.push(fixed("console"));
        (running, lineup)
    }

    fn prepared(old: &[&str], new: &[&str]) -> (Vec<Running>, Result<Prepared, ReloadError>) {
        let (running, lineup) = lab(old);
        let specs: Vec<Spec> = new.iter().map(|text| text.parse().unwrap()).collect();
        let prepared = prepare(&running, lineup, &specs);
        (running, prepared)
    }

    fn started(sink: &Ready) -> (&str, SinkSet) {
        match sink {
            Ready::Starts { name, whom, .. } => (name, *whom),
            Ready::Runs(slot) => panic!("{} runs", slot.name),
        }
    }

    /// One that stays required has its place over a change, so that what was written counts; one
    /// that becomes required has a place of its own, and one that is required no more has none.
    #[test]
    fn a_changed_sink_has_the_place_of_the_one_before() {
        let (running, prepared) = prepared(
            &["influxdb:http://a?required=true", "influxdb:http://b", "log?required=true"],
            &["influxdb:http://a?required=true&db=x", "influxdb:http://b?required=true", "log"],
        );
        let prepared = prepared.unwrap();
        let (first, place) = started(&prepared.sinks[0]);
        assert_eq!((first, place), ("influxdb:http://a", running[0].slot.whom));
        let (_, second) = started(&prepared.sinks[1]);
        assert!(second != SinkSet::OTHERS && second != place && second != running[2].slot.whom);
        assert_eq!(started(&prepared.sinks[2]), ("log", SinkSet::OTHERS));
        assert_eq!(prepared.lineup.roster.required(), place.with(second));
        assert_eq!(prepared.old.len(), 3);
    }

    /// The sinks of the program itself are not the list's, and its own stand between them.
    #[test]
    fn others_stay_where_they_are() {
        let (running, kept) = prepared(&["log"], &["log", "log"]);
        let kept = kept.unwrap();
        assert!(matches!(&kept.sinks[0], Ready::Runs(slot) if Arc::ptr_eq(slot, &running[0].slot)));
        assert_eq!(started(&kept.sinks[1]), ("log#2", SinkSet::OTHERS));
        let names: Vec<&str> = kept.lineup.sinks.iter().map(|slot| &*slot.name).collect();
        assert_eq!((names, kept.first), (vec!["model", "console"], 1));
        assert!(kept.old.is_empty());
        let (_, none) = prepared(&["log"], &[]);
        assert_eq!(none.unwrap().old.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_changes() {
        let error = |new: &[&str]| prepared(&["log"], new).1.err().unwrap().to_string();
        let wrong = error(&["log", "influxdb:http://u:hunter2@h?nonsense=1"]);
        assert!(wrong.starts_with("nothing was changed: sink influxdb:http://h: "), "{wrong}");
        assert!(error(&["logg"]).contains("the known ones are"));
        assert!(error(&["log"; 62]).contains("62 sinks are more than the 61"));
    }
}
