//! Who finds what under which name, and what is refused.

mod capacity;
mod property;

use std::sync::Arc;

use super::*;
use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, table},
    tag,
    tick::Tick,
};

const TICK_MS: i64 = 15_000;
/// A tick to start from.
const EPOCH_MS: i64 = 1_795_345_200_000;

fn define(
    table: &mut EntityTable,
    parent: Option<&Arc<Entity>>,
    level: Level,
    name: &str,
    start_time_ms: i64,
    labels: &[(&str, &str)],
) -> Arc<Entity> {
    table.intern(Definition {
        parent: parent.cloned(),
        level,
        name: name.into(),
        uid: "".into(),
        start_time_ms,
        labels: labels.iter().copied().collect::<Labels>(),
    })
}

fn pod(table: &mut EntityTable, node: &str, name: &str) -> Arc<Entity> {
    let node = define(table, None, Level::Node, node, 0, &[]);
    define(table, Some(&node), Level::Pod, name, 0, &[(tag::NAMESPACE_NAME, "default")])
}

fn batch(tick_ms: i64, blocks: Vec<Block>) -> RowBatch {
    RowBatch { cluster: "lab".into(), tick: Tick(tick_ms), blocks }
}

fn memory_layout() -> Arc<Layout> {
    Arc::new(Layout::new(vec![Field::plain(table::MEMORY_USAGE.def())]))
}

/// A batch of one row of one gauge.
fn memory(entity: &Arc<Entity>, layout: &Arc<Layout>, time_ms: i64, value: i64) -> RowBatch {
    let mut block = Block::new(Arc::clone(layout));
    let head = RowHead { entity: Arc::clone(entity), time_ms, interval_ms: 0 };
    block.push(head, &[Cell::int(value)], &[]);
    batch(time_ms - time_ms.rem_euclid(TICK_MS), vec![block])
}

fn values(model: &Model, subject: &Subject, metric: &str) -> Vec<(i64, i64)> {
    let cluster = model.cluster(Some("lab")).unwrap();
    let series = cluster.series(subject, metric, &[], Range::default()).unwrap();
    series.points.iter().map(|point| (point.time_ms, point.value.as_int().unwrap())).collect()
}

fn node(name: &str) -> Subject {
    Subject::Node { node: name.into() }
}

/// A pod that moved keeps one history; the rows of both nodes are merged by time.
#[test]
fn a_pod_that_moved_has_one_history() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    for (step, on) in ["a", "a", "b", "b"].into_iter().enumerate() {
        let step = step as i64;
        let entity = pod(&mut table, on, "web");
        let time_ms = EPOCH_MS + step * TICK_MS;
        model.take(&memory(&entity, &layout, time_ms, step), time_ms);
    }
    let web = Subject::Pod { namespace: "default".into(), pod: "web".into() };
    let steps: Vec<_> =
        values(&model, &web, "memory/usage").into_iter().map(|(_, value)| value).collect();
    assert_eq!(steps, [0, 1, 2, 3]);
    let cluster = model.cluster(None).unwrap();
    assert_eq!(cluster.names(&Names::Pods { namespace: "default".into() }).unwrap(), ["web"]);
    assert_eq!(cluster.names(&Names::Nodes).unwrap(), ["a", "b"]);
}

/// A container is found under its pod though the pod has no row of its own; when both are gone so
/// is the pod.
#[test]
fn a_pod_is_there_when_its_containers_are() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    let web = pod(&mut table, "a", "web");
    for name in ["x", "y"] {
        let container = define(&mut table, Some(&web), Level::PodContainer, name, 0, &[]);
        model.take(&memory(&container, &layout, EPOCH_MS, 1), EPOCH_MS);
    }
    let other = define(&mut table, None, Level::Node, "b", 0, &[]);
    let later_ms = EPOCH_MS + 800_000;
    model.take(&memory(&other, &layout, later_ms, 1), later_ms);
    let names = |model: &Model, names: &Names| model.cluster(None).unwrap().names(names);
    let (namespace, pod) = ("default".to_owned(), "web".to_owned());
    let containers = Names::Containers { namespace: namespace.clone(), pod: pod.clone() };
    assert_eq!(names(&model, &containers).unwrap(), ["x", "y"]);
    let sums = names(&model, &Names::Metrics(Subject::Pod { namespace, pod })).unwrap_err();
    assert!(sums.to_string().contains("only of its containers; the known ones are x, y"), "{sums}");
    model.expire(later_ms + 400_000);
    let error = names(&model, &containers).unwrap_err().to_string();
    assert_eq!(error, "there is no namespace `default`; there are none at all");
}

/// A batch that came late waits behind a newer one to be folded; until then its entity keeps its
/// place, or the next one there would be given its rows.
#[test]
fn a_place_is_free_when_its_rows_are_gone() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    let on = define(&mut table, None, Level::Node, "a", 0, &[]);
    let mut container =
        |name: &str| define(&mut table, Some(&on), Level::SysContainer, name, 0, &[]);
    let (early, late, next) = (container("early"), container("late"), container("next"));
    let newer_ms = EPOCH_MS + 100 * TICK_MS;
    model.take(&memory(&early, &layout, newer_ms, 1), newer_ms);
    model.take(&memory(&late, &layout, newer_ms - 10 * TICK_MS, 2), newer_ms);
    let now_ms = newer_ms + 900_000 - 5 * TICK_MS;
    model.expire(now_ms);
    model.take(&memory(&next, &layout, now_ms, 3), now_ms);
    let subject = Subject::FreeContainer { node: "a".into(), container: "next".into() };
    assert_eq!(values(&model, &subject, "memory/usage"), [(now_ms, 3)]);
    model.expire(now_ms + TICK_MS * 10);
    let left = model.cluster(None).unwrap().names(&Names::FreeContainers { node: "a".into() });
    assert_eq!(left.unwrap(), ["next"]);
}

/// A cluster actor that starts again numbers its entities anew; their histories go on, and none
/// gets another's.
#[test]
fn another_table_of_entities_changes_nothing() {
    let layout = memory_layout();
    let mut model = Model::new(Limits::default());
    let mut tables = [EntityTable::default(), EntityTable::default()];
    for (table, names) in tables.iter_mut().zip([["a", "b"], ["b", "a"]]) {
        let time_ms = model.received_unix_ms.max(EPOCH_MS) + TICK_MS;
        for name in names {
            let entity = define(table, None, Level::Node, name, 0, &[]);
            model.take(&memory(&entity, &layout, time_ms, i64::from(name.as_bytes()[0])), time_ms);
        }
    }
    for (name, value) in [("a", 97), ("b", 98)] {
        let read: Vec<_> = values(&model, &node(name), "memory/usage");
        assert_eq!(read.len(), 2);
        assert!(read.iter().all(|(_, read)| *read == value), "{name}: {read:?}");
    }
    model.expire(EPOCH_MS + 3 * TICK_MS);
    assert_eq!(model.stats().entities, 2);
}

#[test]
fn rows_from_another_age_are_refused() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    let entity = define(&mut table, None, Level::Node, "a", 0, &[]);
    let hour = 3_600_000;
    model.take(&memory(&entity, &layout, EPOCH_MS - hour, 1), EPOCH_MS);
    model.take(&memory(&entity, &layout, EPOCH_MS + hour, 1), EPOCH_MS);
    let rows = model.stats().rows;
    assert_eq!((rows.late, rows.ahead, rows.taken), (1, 1, 0));
    assert_eq!(model.cluster(None).unwrap_err(), QueryError::Empty);
}

/// A metric with one series a device wants to know which; an unknown name lists the known ones.
#[test]
fn questions_without_an_answer_say_what_there_is() {
    let mut table = EntityTable::default();
    let entity = define(&mut table, None, Level::Node, "a", 0, &[]);
    let disks = ["sda", "sdb"].map(|disk| Field::resource(table::DISK_IO_READ_BYTES.def(), disk));
    let mut block = Block::new(Arc::new(Layout::new(disks.into())));
    let head = RowHead { entity, time_ms: EPOCH_MS, interval_ms: 0 };
    block.push(head, &[Cell::int(1), Cell::int(2)], &[Cell::ABSENT; 2]);
    let mut model = Model::new(Limits::default());
    model.take(&batch(EPOCH_MS, vec![block]), EPOCH_MS);
    let cluster = model.cluster(None).unwrap();
    let read = |subject: &Subject, metric: &str, labels: &[(&str, &str)]| {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let series = cluster.series(subject, metric, &labels, Range::default());
        series.map(|series| series.points[0].value).map_err(|error| error.to_string())
    };
    let metric = "disk/io_read_bytes";
    assert_eq!(read(&node("a"), metric, &[("resource_id", "sdb")]), Ok(Cell::int(2)));
    assert_eq!(
        read(&node("a"), metric, &[]).unwrap_err(),
        "`disk/io_read_bytes` has several series: choose one with ?labels=resource_id:sda; \
         they are resource_id:sda and resource_id:sdb"
    );
    assert_eq!(
        read(&node("a"), "cpu/none", &[]).unwrap_err(),
        "there is no metric `cpu/none` of node `a`; the known ones are disk/io_read_bytes"
    );
    assert_eq!(
        read(&node("nope"), metric, &[]).unwrap_err(),
        "there is no node `nope`; the known ones are a"
    );
}

/// The lists of the greatest rank what is no sum of others that are listed: the groups at the
/// bottom, and the containers of pods in place of the groups that hold all pods.
#[test]
fn the_greatest_are_no_sums_of_others() {
    let (mut table, layout) = (EntityTable::default(), memory_layout());
    let mut model = Model::new(Limits::default());
    let nodes = ["a", "b"].map(|name| define(&mut table, None, Level::Node, name, 0, &[]));
    let groups = [
        (0, "/", 100),
        (0, "/system.slice", 30),
        (0, "/system.slice-other", 5),
        (0, "/system.slice/docker.service", 20),
        (0, "/kubepods.slice/kubepods-burstable.slice", 40),
        (0, "web", 7),
        (1, "/system.slice", 9),
        (1, "/kubepods.slice", 8),
    ];
    let web = pod(&mut table, "a", "web");
    let main = define(&mut table, Some(&web), Level::PodContainer, "main", 0, &[]);
    model.take(&memory(&main, &layout, EPOCH_MS, 10), EPOCH_MS);
    for (on, name, value) in groups {
        let group = define(&mut table, Some(&nodes[on]), Level::SysContainer, name, 0, &[]);
        model.take(&memory(&group, &layout, EPOCH_MS, value), EPOCH_MS);
    }
    let listed = |count| {
        let top = model.cluster(None).unwrap().overview(count).top_memory;
        top.into_iter().map(|top| (top.node, top.name, top.value)).collect::<Vec<_>>()
    };
    let expected = [
        ("a", "/system.slice/docker.service", 20),
        ("a", "default/web/main", 10),
        ("b", "/system.slice", 9),
        ("b", "/kubepods.slice", 8),
        ("a", "web", 7),
        ("a", "/system.slice-other", 5),
    ];
    let expected = expected.map(|(node, name, value)| (node.into(), name.into(), value));
    assert_eq!(listed(10), expected);
    assert_eq!(listed(2), expected[..2]);
}
