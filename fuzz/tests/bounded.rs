//! Every target for a moment, and every input that once broke one.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use heapster_fuzz::{
    corpus,
    driver::{self, Plan},
    targets,
};

/// Each target runs for this long here; `make fuzz` runs them for as long as is wanted.
const TIME: Duration = Duration::from_millis(700);

/// A seed of its own for each day's tree would find more, and would fail whoever changed nothing: the
/// same inputs are tried until the targets or the mutation change.
const SEED: u64 = 20_261_122;

#[test]
fn no_target_breaks() {
    for target in targets::all() {
        let outcome = driver::run(target, Plan { time: TIME, seed: SEED }).unwrap();
        if let Some(failure) = outcome.failure {
            let file = driver::save(target.name, &failure.input);
            panic!("{}: {} (input kept as {file:?})", target.name, failure.what);
        }
        assert!(outcome.inputs >= 50, "{} tried {} inputs only", target.name, outcome.inputs);
    }
}

/// What broke a target is a file of its folder, and breaks nothing any more.
#[test]
fn nothing_breaks_again() {
    for target in targets::all() {
        for (file, input) in corpus::kept(target.name).unwrap() {
            if let Err(what) = driver::check_one(target, &input) {
                panic!("{}: {}: {what}", target.name, file.display());
            }
        }
    }
}

/// A folder that belongs to no target is never tried.
#[test]
fn each_kept_input_has_its_target() {
    let folder = corpus::folder("");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || targets::named(&name).is_some(), "no target {name}");
    }
}
