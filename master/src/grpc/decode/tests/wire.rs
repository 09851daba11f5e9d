//! Tests of reading bytes in place: it must see what the generated types see.

use proptest::prelude::*;

use super::{garbage::column, *};
use crate::grpc::decode::wire::Packed;

fn ints_of(mut packed: Packed<'_>) -> Vec<i64> {
    (0..packed.len()).map(|_| packed.next().unwrap()).collect()
}

fn batch_of(sequence: u64, blocks: Vec<WireBlock>) -> v1::Frame {
    let batch = v1::Batch { tick_unix_ms: TICK, blocks };
    v1::Frame { sequence, kind: Some(Kind::Batch(batch)) }
}

fn row_of(entity: i32, value: i64) -> WireBlock {
    block(Form::Absolute, &[entity], 0, [ints(&[value]), ints(&[value]), reals(&[1.0])])
}

fn rows_of(content: Content) -> Vec<String> {
    match content {
        Content::Rows(rows) => show(&rows),
        other => panic!("no rows: {other:?}"),
    }
}

proptest! {
    #[test]
    fn columns_are_those_of_the_generated_types(sent in column(), entities in any::<Vec<i32>>()) {
        let wire = WireBlock { entities, columns: vec![sent], ..WireBlock::default() };
        let bytes = wire.encode_to_vec();
        let mut columns = Vec::new();
        let view = BlockView::new(&bytes, &mut columns).unwrap();
        let (sent, read) = (&wire.columns[0], columns[0]);
        prop_assert_eq!(&ints_of(read.ints), &sent.ints);
        prop_assert_eq!(&ints_of(read.increases), &sent.increases);
        prop_assert_eq!(read.absent, &sent.absent);
        prop_assert_eq!(read.reals.len(), sent.reals.len() * 8);
        let mut ids = view.entities;
        let ids: Vec<i32> = (0..ids.len()).map(|_| ids.next_i32().unwrap()).collect();
        prop_assert_eq!(&ids, &wire.entities);
    }
}

/// Protobuf joins messages that follow each other: two frames in a row are one with the blocks of
/// both.
#[test]
fn a_frame_in_two_parts_is_read_whole() {
    let whole = batch_of(1, vec![row_of(3, 5), row_of(4, 6)]).encode_to_vec();
    let mut parts = batch_of(1, vec![row_of(3, 5)]).encode_to_vec();
    parts.extend(batch_of(0, vec![row_of(4, 6)]).encode_to_vec());
    assert_eq!(FrameView::new(&parts).err(), Some(NotPlain));
    let whole = rows_of(Bench::defined().reader.read(&whole).unwrap().content);
    let parts = rows_of(Bench::defined().reader.read(&parts).unwrap().content);
    assert_eq!((whole.len(), &whole), (2, &parts));
}

/// A newer buddy's fields are passed over, whatever their form.
#[test]
fn unknown_fields_are_ignored() {
    let mut frame = batch_of(1, vec![row_of(3, 5)]).encode_to_vec();
    // Fields 100 to 103: a number, 8 bytes, text, 4 bytes.
    frame.extend([0xa0, 6, 1, 0xa9, 6, 1, 2, 3, 4, 5, 6, 7, 8]);
    frame.extend([0xb2, 6, 2, b'h', b'i', 0xbd, 6, 1, 2, 3, 4]);
    assert_eq!(rows_of(Bench::defined().reader.read(&frame).unwrap().content).len(), 1);
}

/// Ten bytes may hold a number of 64 bits, or one of more.
#[test]
fn a_number_that_is_too_large_ends_the_stream() {
    let frame = batch_of(1, vec![row_of(3, i64::MIN)]).encode_to_vec();
    let mut read = Bench::defined();
    assert!(read.reader.read(&frame).is_ok());
    let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let at = frame.windows(10).position(|bytes| bytes == largest).unwrap();
    let mut spoilt = frame;
    spoilt[at + 9] = 2;
    let error = Bench::defined().reader.read(&spoilt).unwrap_err();
    assert!(matches!(&error, DecodeError::Malformed(what) if what.contains("64 bits")), "{error}");
}

/// What was cut off is named as no frame.
#[test]
fn cut_frames_are_refused() {
    let frame = batch_of(1, vec![row_of(3, 5)]).encode_to_vec();
    for length in 3..frame.len() {
        let error = Bench::defined().reader.read(&frame[..length]).unwrap_err();
        assert!(error.to_string().starts_with("frame 3"), "{error}");
    }
}
