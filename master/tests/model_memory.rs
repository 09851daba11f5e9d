//! What the model says that it takes is what it takes: held against a counting allocator, in a
//! process of its own.

#[path = "../benches/model/host.rs"]
mod host;

use std::alloc::System;

use cap::Cap;
use heapster_master::core::model::{Limits, Model};
use heapster_shared::entity::EntityTable;

use host::{EPOCH_MS, Host, Layouts, TICK_MS};

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const HOSTS: usize = 20;

/// Twenty hosts, first after one tick, then after more than the model keeps. The entities count as
/// the model's own: it is their last holder when the rest of the master has forgotten them.
#[test]
fn the_model_counts_what_it_takes() {
    let layouts = Layouts::default();
    let before = ALLOCATED.allocated();
    let mut model = Model::new(Limits::default());
    let mut table = EntityTable::default();
    let mut hosts: Vec<Host> =
        (0..HOSTS).map(|number| Host::new(number, &mut table, &layouts)).collect();
    let mut take = |model: &mut Model, ticks: std::ops::Range<i64>| {
        for tick in ticks {
            let now_ms = EPOCH_MS + tick * TICK_MS;
            for host in &mut hosts {
                model.take(&host.batch(now_ms), now_ms);
            }
            model.expire(now_ms);
        }
    };
    take(&mut model, 0..1);
    let young = model.bytes();
    take(&mut model, 1..70);
    drop(hosts);
    drop(table);
    let full = model.bytes();
    let taken = ALLOCATED.allocated() - before;
    assert!(full > 2 * young, "{young} bytes, then {full}");
    let ratio = full as f64 / taken as f64;
    assert!((0.9..1.1).contains(&ratio), "counts {full} bytes of {taken}");
    let entities = model.stats().entities;
    let kept = taken - (full - young);
    assert!(kept / entities < 400, "{} bytes an entity beside its history", kept / entities);
    drop(model);
    assert!(ALLOCATED.allocated() - before < 4_096, "something is left of it");
}
