//! Some of the fields of a layout, as a layout of their own.

use std::sync::Arc;

use super::{Derivation, Derived, Field, Kind, Layout, step};

/// A layout that has some of the fields of another one, and where these are in rows of the other.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The layout.
    pub layout: Arc<Layout>,
    /// The place of each of its fields among those of the other layout.
    pub fields: Box<[usize]>,
    /// The place of each of its counters among those of the other layout.
    pub increases: Box<[usize]>,
}

impl Layout {
    /// The layout with the fields that are wanted. A derived field whose counter is wanted follows
    /// from it there too; without its counter it counts as measured, and has the cell that it had.
    #[must_use]
    pub fn project(&self, wanted: impl Fn(&Field) -> bool) -> Projection {
        let keep: Vec<bool> = self.fields.iter().map(wanted).collect();
        let follows = |derived: &&Derived| match derived.from {
            Derivation::Rate { counter } => keep[counter],
            Derivation::Uptime => true,
        };
        let wanted = || self.derived.iter().filter(|derived| keep[derived.field]);
        let mut places: Vec<usize> = (0..self.measured).filter(|place| keep[*place]).collect();
        places.extend(wanted().filter(|derived| !follows(derived)).map(|derived| derived.field));
        let measured = places.len();
        let derived = wanted().filter(follows).map(|derived| {
            places.push(derived.field);
            Derived { field: places.len() - 1, from: moved(derived.from, &places[..measured]) }
        });
        let derived: Box<[Derived]> = derived.collect();
        let fields: Box<[Field]> = places.iter().map(|place| self.fields[*place].clone()).collect();
        let counters: Box<[usize]> = (0..measured)
            .filter(|index| fields[*index].metric.kind() == Kind::Cumulative)
            .collect();
        let steps = derived.iter().map(|derived| step(&fields, &counters, derived)).collect();
        let increases = counters
            .iter()
            .map(|counter| self.counters.partition_point(|known| *known < places[*counter]));
        let increases = increases.collect();
        let layout = Arc::new(Self { fields, measured, counters, derived, steps });
        Projection { layout, fields: places.into(), increases }
    }
}

/// The derivation with its counter where that is now.
fn moved(from: Derivation, measured: &[usize]) -> Derivation {
    match from {
        Derivation::Rate { counter } => {
            // Those that were measured come first, in their order; this one is among them.
            let place = measured.iter().position(|place| *place == counter);
            Derivation::Rate { counter: place.unwrap_or_default() }
        }
        Derivation::Uptime => Derivation::Uptime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table;

    fn layout() -> Layout {
        Layout::new(vec![
            Field::plain(table::MEMORY_USAGE.def()),
            Field::plain(table::CPU_USAGE.def()),
            Field::resource(table::DISK_IO_READ_BYTES.def(), "sda"),
        ])
    }

    fn names(layout: &Layout) -> Vec<&str> {
        layout.fields().iter().map(|field| field.metric.name()).collect()
    }

    /// What is left says of itself what it said before: which fields are counters, and which follow
    /// from them.
    #[test]
    fn rates_follow_their_counters() {
        let layout = layout();
        let some = layout.project(|field| !field.metric.name().starts_with("memory/"));
        let rate = "disk/io_read_bytes_rate";
        let expected = ["cpu/usage", "disk/io_read_bytes", "cpu/usage_rate", rate, "uptime"];
        assert_eq!(names(&some.layout), expected);
        assert_eq!((&*some.fields, &*some.increases), (&[1, 2, 3, 4, 5][..], &[0, 1][..]));
        assert_eq!(some.layout.counters(), [0, 1]);
        assert_eq!(some.layout.derived()[1].from, Derivation::Rate { counter: 1 });
        assert_eq!(some.layout.steps().len(), 3);
    }

    #[test]
    fn a_rate_without_its_counter_is_as_if_measured() {
        let layout = layout();
        let some = layout.project(|field| field.metric.name().ends_with("_rate"));
        assert_eq!(names(&some.layout), ["cpu/usage_rate", "disk/io_read_bytes_rate"]);
        assert_eq!((some.layout.measured().len(), some.layout.derived().len()), (2, 0));
        assert_eq!((&*some.fields, some.increases.len()), (&[3, 4][..], 0));
    }

    #[test]
    fn a_later_counter_keeps_its_increase() {
        let layout = layout();
        let some = layout.project(|field| field.metric.name().starts_with("disk/"));
        assert_eq!((&*some.fields, &*some.increases), (&[2, 4][..], &[1][..]));
        assert_eq!(some.layout.derived()[0].from, Derivation::Rate { counter: 0 });
    }
}
