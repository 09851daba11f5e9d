//! Rows and rounds in, markers out.

use heapster_shared::{
    entity::{Definition, EntityTable, Labels, Level},
    schema::{Field, Layout, table},
};

use super::*;
use crate::sinks::{LabelRules, remote_write::plan::Plan};

struct World {
    tracker: Tracker,
    cluster: Arc<str>,
    entities: EntityTable,
}

impl World {
    fn new() -> Self {
        let (tracker, entities) = (Tracker::default(), EntityTable::default());
        Self { tracker, cluster: "lab".into(), entities }
    }

    fn owner(&mut self, name: &str) -> Arc<Owner> {
        let entity = self.entities.intern(Definition {
            parent: None,
            level: Level::Pod,
            name: name.into(),
            uid: "".into(),
            start_time_ms: 0,
            labels: Labels::default(),
        });
        Arc::new(Owner::new("lab", &entity, &LabelRules::default()))
    }

    fn saw(&mut self, owner: &Arc<Owner>, fields: &Arc<Fields>, round: i64) {
        let (tick, time_ms) = (Tick(round * 15_000), round * 15_000 + 7);
        let cluster = &self.cluster;
        let sighting = Sighting { cluster, owner, fields, tick, time_ms, present: 0b111 };
        self.tracker.saw(&sighting);
    }

    fn round(&mut self, round: i64) {
        self.tracker.round_ended(&self.cluster, Tick(round * 15_000));
    }

    /// Names of the series that have ended, with the times of their markers.
    fn ended(&self) -> Vec<(String, i64)> {
        let mut ended = Vec::new();
        self.tracker.ended(|_, field, time_ms| ended.push((field.family.name.clone(), time_ms)));
        ended
    }

    fn confirm(&mut self) {
        let number = self.tracker.ended(|_, _, _| ());
        self.tracker.confirm(number);
    }
}

fn fields(volumes: &[&str]) -> Arc<Fields> {
    let mut fields = vec![Field::plain(table::MEMORY_USAGE.def())];
    let usage = table::FILESYSTEM_USAGE.def();
    fields.extend(volumes.iter().map(|volume| Field::resource(usage, volume)));
    let (layout, rules) = (Layout::new(fields), LabelRules::default());
    Arc::clone(Plan::default().at(Level::Pod, &layout, &rules, |_| ()))
}

const MEMORY: &str = "heapster_pod_memory_usage_bytes";
const FILESYSTEM: &str = "heapster_pod_filesystem_usage_bytes";

#[test]
fn two_rounds_without_a_row_are_the_end() {
    let mut world = World::new();
    let (owner, fields) = (world.owner("web-1"), fields(&[]));
    world.saw(&owner, &fields, 1);
    world.round(1);
    world.round(2);
    assert_eq!(world.ended(), []);
    world.round(3);
    let marker = (MEMORY.to_owned(), 15_008);
    let uptime = ("heapster_pod_uptime_seconds_total".to_owned(), 15_008);
    assert_eq!(world.ended(), [marker.clone(), uptime.clone()]);
    assert_eq!(world.ended(), [marker, uptime], "until they are confirmed");
    world.confirm();
    world.round(4);
    assert_eq!((world.ended(), world.tracker.things), (vec![], 0));
}

/// A host that answers after each round is over is never taken for gone.
#[test]
fn late_rows_are_no_end() {
    let mut world = World::new();
    let (owner, fields) = (world.owner("web-1"), fields(&[]));
    for round in 1..9 {
        world.round(round);
        world.saw(&owner, &fields, round);
    }
    assert_eq!(world.ended(), []);
}

/// What comes back before the marker was written goes on as if nothing had been.
#[test]
fn what_comes_back_has_not_ended() {
    let mut world = World::new();
    let (owner, fields) = (world.owner("web-1"), fields(&[]));
    world.saw(&owner, &fields, 1);
    (1..4).for_each(|round| world.round(round));
    assert_eq!(world.ended().len(), 2);
    world.saw(&owner, &fields, 4);
    assert_eq!(world.ended(), []);
}

/// A volume that is unmounted ends alone.
#[test]
fn a_field_can_end_while_its_thing_goes_on() {
    let mut world = World::new();
    let owner = world.owner("web-1");
    world.saw(&owner, &fields(&["/", "/data"]), 1);
    world.saw(&owner, &fields(&["/"]), 2);
    assert_eq!(world.ended(), [(FILESYSTEM.to_owned(), 15_008)]);
    world.confirm();
    world.saw(&owner, &fields(&["/"]), 3);
    assert_eq!(world.ended(), [], "another layout with the same series");
}

/// Rows that were sent late bring back no series, and rounds do not run backwards.
#[test]
fn what_is_older_changes_nothing() {
    let mut world = World::new();
    let owner = world.owner("web-1");
    world.saw(&owner, &fields(&["/"]), 5);
    world.saw(&owner, &fields(&["/data"]), 1);
    world.round(5);
    world.round(1);
    world.round(2);
    assert_eq!(world.ended(), []);
}

#[test]
fn a_cluster_that_is_gone_is_forgotten() {
    let mut world = World::new();
    let (owner, fields) = (world.owner("web-1"), fields(&[]));
    world.saw(&owner, &fields, 1);
    world.round(1);
    world.cluster = "other".into();
    world.saw(&owner, &fields, 1000);
    world.round(1000);
    assert_eq!((world.tracker.clusters.len(), world.tracker.things), (1, 1));
}
