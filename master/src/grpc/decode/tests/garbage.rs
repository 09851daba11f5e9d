//! Whatever bytes come, the reader answers with rows or an error.

use proptest::prelude::*;

use super::*;

/// Numbers that are near what is defined, or at the edges.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-3..12_i64, Just(i64::MAX), Just(i64::MIN), any::<i64>()]
}

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..8_u32, 1 => any::<u32>()]
}

prop_compose! {
    pub(super) fn column()(
        ints in prop::collection::vec(number(), 0..4),
        reals in prop::collection::vec(any::<f64>(), 0..4),
        absent in prop::collection::vec(any::<u8>(), 0..2),
        increases in prop::collection::vec(number(), 0..4),
    ) -> Column {
        Column { ints, reals, absent: absent.into(), increases }
    }
}

prop_compose! {
    fn wire_block()(
        layout in 0..3_u32,
        form in -1..3_i32,
        entities in prop::collection::vec(prop_oneof![9 => -4..5_i32, 1 => any::<i32>()], 0..4),
        time_ms in prop::option::of(column()),
        interval_ms in prop::option::of(column()),
        columns in prop::collection::vec(column(), 0..5),
    ) -> WireBlock {
        WireBlock { layout, form, entities, time_ms, interval_ms, columns }
    }
}

prop_compose! {
    fn wire_entity()(
        id in id(), parent in id(), level in -1..9_i32, name in "[a-c]{0,2}",
        namespace in prop::option::of("[a-b]{0,1}"), start_time_unix_ms in any::<u64>(),
    ) -> v1::Entity {
        let labels = namespace.map(|name| ("namespace_name".to_owned(), name)).into_iter().collect();
        v1::Entity { id, parent, level, name, uid: String::new(), start_time_unix_ms, labels }
    }
}

fn field() -> impl Strategy<Value = v1::Field> {
    prop_oneof![
        prop_oneof![0..60_u32, any::<u32>()].prop_map(known),
        ("[a-z /]{0,3}", any::<bool>(), any::<bool>()).prop_map(|(name, cumulative, real)| {
            let custom = v1::CustomMetric { name, cumulative, real, unit: String::new() };
            v1::Field { what: Some(v1::field::What::Custom(custom)), ..Default::default() }
        }),
    ]
}

fn define() -> impl Strategy<Value = Kind> {
    let layout = (0..4_u32, prop::collection::vec(field(), 0..4))
        .prop_map(|(id, fields)| v1::Layout { id, fields });
    let parts = (
        prop::collection::vec(wire_entity(), 0..4),
        prop::collection::vec(layout, 0..2),
        prop::collection::vec(id(), 0..2),
    );
    parts.prop_map(|(entities, layouts, ended)| {
        Kind::Define(v1::Define { entities, layouts, ended })
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let tick = prop_oneof![9 => Just(TICK), 1 => any::<u64>()];
    let batch = (tick, prop::collection::vec(wire_block(), 0..3))
        .prop_map(|(tick_unix_ms, blocks)| Kind::Batch(v1::Batch { tick_unix_ms, blocks }));
    prop_oneof![
        1 => Just(open()),
        3 => define(),
        6 => batch,
        1 => any::<u64>().prop_map(|tick_unix_ms| {
            Kind::RoundEnd(v1::RoundEnd { tick_unix_ms, ..Default::default() })
        }),
        1 => Just(Kind::Events(v1::Events { events: vec![v1::Event::default()] })),
    ]
}

proptest! {
    /// An error names the frame, and refused rows leave whole ones.
    #[test]
    fn random_frames_never_panic(kinds in prop::collection::vec(kind(), 1..12)) {
        let mut bench = Bench::defined();
        for (index, kind) in kinds.into_iter().enumerate() {
            let numbered = !matches!(kind, Kind::Open(_) | Kind::Define(_));
            bench.sequence += u64::from(numbered);
            if matches!(kind, Kind::Open(_)) {
                bench.sequence = 0;
            }
            let sequence = if numbered { bench.sequence } else { 0 };
            match bench.frame(sequence, kind) {
                Ok(Content::Rows(rows)) => {
                    for row in rows.blocks.iter().flat_map(Block::rows) {
                        prop_assert_eq!(row.cells.len(), row.layout.fields().len());
                        let rates = row.increases.iter().filter_map(|cell| cell.as_int());
                        prop_assert!(rates.into_iter().all(|increase| increase >= 0));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let place = format!("frame {}", index + 3);
                    prop_assert!(error.to_string().starts_with(&place), "{}", error);
                    return Ok(());
                }
            }
        }
    }

    /// Nor do bytes that happen to be a frame.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Bench::defined().reader.read(&bytes);
    }
}
