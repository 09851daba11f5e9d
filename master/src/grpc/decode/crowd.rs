//! What a message would take in memory, reckoned before it is decoded into generated types.
//!
//! A part of a message that says nothing has two bytes on the wire and some hundreds in memory, so
//! that a frame of a few megabytes could stand for a gigabyte. What honest encoders send stays far
//! below [`MOST_FOLD`]: the parts that take much have ids and names, or are few.

use std::mem::size_of;

use heapster_proto::v1;

use super::wire::{Fields, NotPlain, Value};

/// A message may take so many times the bytes of the largest one on the wire.
const MOST_FOLD: usize = 32;
/// A pair of strings in a hash map that grows as it is filled.
const PAIR: usize = 4 * size_of::<String>() + 2;
/// The most bytes in memory that an unknown part could stand for, for each two on the wire.
const LARGEST: usize = size_of::<v1::Event>();

/// A message, or a part of one that may come again and again.
pub(in crate::grpc) struct Shape {
    /// What one takes in memory, its texts left out.
    bytes: usize,
    /// Those within it, by the numbers of their fields.
    parts: &'static [(u64, Shape)],
}

const fn part<T>(parts: &'static [(u64, Shape)]) -> Shape {
    Shape { bytes: size_of::<T>(), parts }
}

const LABELS: Shape = Shape { bytes: PAIR, parts: &[] };
const TEXT: Shape = part::<String>(&[]);
const COLUMN: Shape = part::<v1::Column>(&[]);
const BLOCK: Shape = part::<v1::Block>(&[(4, COLUMN), (5, COLUMN), (6, COLUMN)]);
const ENTITY: Shape = part::<v1::Entity>(&[(7, LABELS)]);
const LAYOUT: Shape = part::<v1::Layout>(&[(2, part::<v1::Field>(&[(3, LABELS)]))]);
const HOST: Shape = part::<v1::Host>(&[(3, TEXT), (4, part::<v1::Endpoint>(&[])), (5, LABELS)]);
const HEALTH: Shape = part::<v1::Health>(&[
    (1, part::<v1::HostState>(&[])),
    (2, part::<v1::DiscoveryState>(&[])),
    (3, part::<v1::ObserverState>(&[])),
]);

/// A `Define`.
pub(super) static DEFINE: Shape = part::<v1::Define>(&[(1, ENTITY), (2, LAYOUT)]);
/// An `Events`.
pub(super) static EVENTS: Shape = part::<v1::Events>(&[(1, part::<v1::Event>(&[]))]);
/// A `Frame` of any kind.
pub(super) static FRAME: Shape = part::<v1::Frame>(&[
    (3, part::<v1::Define>(&[(1, ENTITY), (2, LAYOUT)])),
    (4, part::<v1::Batch>(&[(2, BLOCK)])),
    (5, part::<v1::Events>(&[(1, part::<v1::Event>(&[]))])),
]);
/// A `FromBuddy`.
pub(in crate::grpc) static FROM_BUDDY: Shape = part::<v1::FromBuddy>(&[
    (1, part::<v1::Hello>(&[(7, TEXT), (9, LABELS)])),
    (2, part::<v1::HostSnapshot>(&[(2, HOST)])),
    (3, part::<v1::HostChange>(&[(3, HOST), (4, TEXT)])),
    (4, HEALTH),
]);

/// Whether a message may be decoded, where the largest one has this many bytes on the wire.
pub(in crate::grpc) fn fits(message: &[u8], shape: &Shape, max_bytes: usize) -> bool {
    left(message, shape, max_bytes.saturating_mul(MOST_FOLD)).is_some()
}

/// How much may be taken after this; nothing where it is too much.
fn left(message: &[u8], shape: &Shape, most: usize) -> Option<usize> {
    let mut most = most.checked_sub(shape.bytes)?;
    if shape.parts.is_empty() {
        return Some(most);
    }
    for field in Fields(message) {
        match field {
            Ok((number, Value::Bytes(inner))) => {
                if let Some((_, shape)) = shape.parts.iter().find(|(known, _)| *known == number) {
                    most = left(inner, shape, most)?;
                }
            }
            Ok(_) => {}
            // What comes behind is not counted, and may be decoded all the same.
            Err(NotPlain) => return most.checked_sub(message.len().saturating_mul(LARGEST) / 2),
        }
    }
    Some(most)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    const MAX: usize = 64 << 10;

    /// Parts that say nothing, as many as go into a message.
    fn empty_parts(outer: &[u8], tag: u8) -> Vec<u8> {
        let mut inner = [tag, 0].repeat(MAX / 2 - 16);
        for tag in outer.iter().rev() {
            let mut length = Vec::new();
            prost::encoding::encode_varint(inner.len() as u64, &mut length);
            inner = [&[*tag], length.as_slice(), &inner].concat();
        }
        inner
    }

    #[test]
    fn crowds_of_empty_parts_are_refused() {
        let tag = |number: u8| number << 3 | 2;
        for (outer, part) in
            [(vec![3], 1), (vec![3, 2], 2), (vec![5], 1), (vec![4], 2), (vec![4, 2], 6)]
        {
            let outer: Vec<u8> = outer.into_iter().map(tag).collect();
            let frame = empty_parts(&outer, tag(part));
            assert!(v1::Frame::decode(&*frame).is_ok(), "it is a frame");
            assert!(!fits(&frame, &FRAME, MAX), "{outer:?} {part}");
        }
        for (outer, part) in [(vec![2], 2), (vec![3], 3), (vec![4], 1), (vec![2, 2], 4)] {
            let outer: Vec<u8> = outer.into_iter().map(tag).collect();
            let message = empty_parts(&outer, tag(part));
            assert!(v1::FromBuddy::decode(&*message).is_ok(), "it is a message");
            assert!(!fits(&message, &FROM_BUDDY, MAX), "{outer:?} {part}");
        }
        // A group, which is read over, before what is not counted then.
        let hidden = [&[0x7b, 0x7c][..], &empty_parts(&[], tag(1))].concat();
        assert!(v1::Events::decode(&*hidden).is_ok() && !fits(&hidden, &EVENTS, MAX));
    }

    /// The shortest names and labels that there can be, as many as go into a message.
    #[test]
    fn what_has_names_is_let_in() {
        let define = |count: u32| {
            let entity = |id: u32| v1::Entity {
                id,
                level: 1,
                name: id.to_string(),
                labels: [("a".to_owned(), "b".to_owned())].into(),
                ..Default::default()
            };
            v1::Define { entities: (1..=count).map(entity).collect(), ..Default::default() }
        };
        let define = define(2600).encode_to_vec();
        assert!((MAX - 16_000..MAX).contains(&define.len()), "{}", define.len());
        assert!(fits(&define, &DEFINE, MAX));
        let event = v1::Event { uid: "u".repeat(36), ..Default::default() };
        let events = v1::Events { events: vec![event; MAX / 40 - 10] }.encode_to_vec();
        assert!(fits(&events, &EVENTS, MAX));
        let column = v1::Column { ints: vec![1], ..Default::default() };
        let block = v1::Block { columns: vec![column; 4096], ..Default::default() };
        let batch = v1::Batch { tick_unix_ms: 1, blocks: vec![block; MAX / 4096 / 5 - 1] };
        let frame = v1::Frame { sequence: 1, kind: Some(v1::frame::Kind::Batch(batch)) };
        assert!(fits(&frame.encode_to_vec(), &FRAME, MAX));
        let host = |id: usize| v1::Host {
            id: id.to_string(),
            name: id.to_string(),
            addresses: vec!["10.0.0.1".into()],
            ..Default::default()
        };
        let hosts =
            v1::HostSnapshot { hosts: (0..MAX / 26).map(host).collect(), ..Default::default() };
        let kind = Some(v1::from_buddy::Kind::Hosts(hosts));
        assert!(fits(&v1::FromBuddy { kind }.encode_to_vec(), &FROM_BUDDY, MAX));
    }
}
