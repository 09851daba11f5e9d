//! The frames that the played buddy sends: one made-up host with one made-up container.

use std::collections::HashMap;

use heapster_proto::v1::{
    Batch, Block, Column, CustomMetric, Define, Entity, Event, Events, Field, Frame, Layout, Level,
    Open, RoundEnd, field::What, frame::Kind, open::Purpose,
};

use super::player::Session;

/// The host.
pub(super) const NODE: u32 = 1;
/// The container.
pub(super) const CONTAINER: u32 = 2;

/// The first frame of a live segment of a session.
pub(super) fn open(session: &Session) -> Frame {
    segment(session, Purpose::Live, 1, 0)
}

/// The first frame of a segment.
pub(super) fn segment(session: &Session, purpose: Purpose, number: u64, through: u64) -> Frame {
    unnumbered(Kind::Open(Open {
        session_id: session.welcome.session_id.clone(),
        instance_id: session.instance_id.clone(),
        segment: number,
        purpose: purpose.into(),
        delivered_through: through,
    }))
}

/// A frame without a number.
pub(super) const fn unnumbered(kind: Kind) -> Frame {
    Frame { sequence: 0, kind: Some(kind) }
}

/// Defines the host, the container and their layout.
pub(super) fn define() -> Frame {
    let entities = vec![
        entity(NODE, 0, Level::Node.into()),
        entity(CONTAINER, NODE, Level::SysContainer.into()),
    ];
    defining(entities, vec![layout(1)], Vec::new())
}

/// Defines these.
pub(super) const fn defining(
    entities: Vec<Entity>,
    layouts: Vec<Layout>,
    ended: Vec<u32>,
) -> Frame {
    unnumbered(Kind::Define(Define { entities, layouts, ended }))
}

/// An entity with a name of its own.
pub(super) fn entity(id: u32, parent: u32, level: i32) -> Entity {
    let name = if id == NODE { "conformance-host".to_owned() } else { format!("conformance-{id}") };
    Entity { id, parent, level, name, labels: HashMap::new(), ..Entity::default() }
}

/// A layout of one gauge.
pub(super) fn layout(id: u32) -> Layout {
    let metric = CustomMetric { name: "conformance/value".to_owned(), ..CustomMetric::default() };
    let field = Field { what: Some(What::Custom(metric)), labels: HashMap::new() };
    Layout { id, fields: vec![field] }
}

/// A row of each of these entities, by the steps between their ids.
pub(super) fn batch(sequence: u64, tick: u64, layout: u32, entities: Vec<i32>) -> Frame {
    let value = Column { ints: vec![1], ..Column::default() };
    let block = Block {
        layout,
        entities,
        time_ms: Some(Column::default()),
        interval_ms: Some(Column::default()),
        columns: vec![value],
        ..Block::default()
    };
    let batch = Batch { tick_unix_ms: tick, blocks: vec![block] };
    Frame { sequence, kind: Some(Kind::Batch(batch)) }
}

/// A row of the host and of the container.
pub(super) fn rows(sequence: u64, tick: u64) -> Frame {
    batch(sequence, tick, 1, vec![1, 1])
}

/// The end of a round in which the host answered.
pub(super) fn round_end(sequence: u64, tick: u64) -> Frame {
    let end = RoundEnd { tick_unix_ms: tick, hosts_ok: 1, ..RoundEnd::default() };
    Frame { sequence, kind: Some(Kind::RoundEnd(end)) }
}

/// An event with a message of this length.
pub(super) fn event(sequence: u64, length: usize) -> Frame {
    let message = "x".repeat(length);
    let event = Event { uid: "conformance".to_owned(), message, count: 1, ..Event::default() };
    Frame { sequence, kind: Some(Kind::Events(Events { events: vec![event] })) }
}

/// The newest tick of a session.
pub(super) fn tick(session: &Session) -> u64 {
    let now = u64::try_from(heapster_shared::tick::unix_ms()).unwrap_or(1);
    let step = u64::from(session.welcome.resolution_ms.max(1));
    (now - now % step).max(1)
}
