//! Each breach is found under its own check, and a segment without one gives nothing.

use heapster_proto::v1::{Batch, Block, Column as Values, CustomMetric, Layout, RoundEnd};

use super::*;

fn entity(id: u32, parent: u32, level: Level) -> Entity {
    let labels = [("namespace_name".to_owned(), "default".to_owned())];
    let labels = if level == Level::Pod { labels.into() } else { HashMap::new() };
    let name = format!("e{id}");
    Entity { id, parent, level: level.into(), name, labels, ..Entity::default() }
}

fn layout(id: u32) -> Layout {
    let counter = CustomMetric { name: "jobs".into(), cumulative: true, ..CustomMetric::default() };
    let load = CustomMetric { name: "load".into(), real: true, ..CustomMetric::default() };
    let field = |custom| Field { what: Some(What::Custom(custom)), ..Field::default() };
    Layout { id, fields: vec![field(counter), field(load)] }
}

fn define(entities: Vec<Entity>, layouts: Vec<Layout>, ended: Vec<u32>) -> Frame {
    let define = Define { entities, layouts, ended };
    Frame { sequence: 0, kind: Some(Kind::Define(define)) }
}

fn block(entities: &[i32]) -> Block {
    let counter = Values { ints: vec![5], ..Values::default() };
    let load = Values { reals: vec![0.5], ..Values::default() };
    let columns = vec![counter, load];
    Block { layout: 1, entities: entities.to_vec(), columns, ..Block::default() }
}

fn batch(block: Block) -> Frame {
    let batch = Batch { tick_unix_ms: 1000, blocks: vec![block] };
    Frame { sequence: 1, kind: Some(Kind::Batch(batch)) }
}

fn good() -> Frame {
    let node = entity(1, 0, Level::Node);
    let pod = entity(2, 1, Level::Pod);
    define(vec![node, pod, entity(3, 2, Level::PodContainer)], vec![layout(1)], vec![])
}

fn breaches(frames: &[Frame]) -> Vec<Breach> {
    let mut segment = Segment::default();
    frames.iter().flat_map(|frame| segment.read(frame)).collect()
}

#[test]
fn a_sound_segment_has_no_breach() {
    let round = RoundEnd { tick_unix_ms: 1000, hosts_ok: 1, ..RoundEnd::default() };
    let round = Frame { sequence: 2, kind: Some(Kind::RoundEnd(round)) };
    let again = Block { form: v1::block::Form::Difference.into(), ..block(&[1, 2]) };
    let frames = [good(), batch(block(&[1, 1, 1])), round, batch(again)];
    assert_eq!(breaches(&frames), []);
}

#[test]
fn each_breach_is_found_under_its_check() {
    let difference = Block { form: v1::block::Form::Difference.into(), ..block(&[1]) };
    let mut ints = block(&[1, 1]);
    ints.columns[1] = Values { ints: vec![1, 2], ..Values::default() };
    let mut short = block(&[1, 1, 1]);
    short.columns[0].ints = vec![1, 2];
    let narrow = Block { columns: vec![], ..block(&[1]) };
    let long = Entity { name: "x".repeat(5000), ..entity(9, 0, Level::Node) };
    let twice = define(vec![entity(1, 0, Level::Node)], vec![], vec![]);
    let cases = [
        (batch(block(&[9])), DEFINITIONS, "a row of entity 9, which is not defined"),
        (batch(Block { layout: 7, ..block(&[1]) }), DEFINITIONS, "the layout 7"),
        (define(vec![entity(9, 8, Level::Pod)], vec![], vec![]), DEFINITIONS, "the parent 8"),
        (define(vec![entity(9, 1, Level::PodContainer)], vec![], vec![]), DEFINITIONS, "a NODE"),
        (define(vec![], vec![], vec![9]), DEFINITIONS, "ends and is not defined"),
        (twice, IDS, "defined twice"),
        (define(vec![], vec![layout(1)], vec![]), IDS, "the layout 1 is defined twice"),
        (define(vec![entity(0, 0, Level::Node)], vec![], vec![]), IDS, "ids start from 1"),
        (define(vec![long], vec![], vec![]), LIMITS, "longer than max_label_bytes"),
        (batch(difference), ROWS, "is a DIFFERENCE"),
        (batch(ints), ROWS, "column 1 is of a real metric"),
        (batch(short), ROWS, "column 0 has 2 values for 3 rows"),
        (batch(narrow), ROWS, "0 columns"),
    ];
    for (frame, check, sentence) in cases {
        let found = breaches(&[good(), frame]);
        let hit = found.iter().any(|(name, what)| *name == check && what.contains(sentence));
        assert!(hit, "wanted {check}: {sentence} among {found:?}");
    }
}

/// A new segment starts with no definitions, so that what the one before it had is not there.
#[test]
fn definitions_end_with_their_segment() {
    let open = Frame { sequence: 0, kind: Some(Kind::Open(v1::Open::default())) };
    let found = breaches(&[good(), open, batch(block(&[1]))]);
    assert_eq!(found[0].0, DEFINITIONS);
    let found = breaches(&[
        good(),
        define(vec![], vec![], vec![3]),
        define(vec![entity(3, 2, Level::PodContainer)], vec![], vec![]),
    ]);
    assert!(found[0].0 == IDS && found[0].1.contains("used again"), "{found:?}");
}
