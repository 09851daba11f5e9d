//! Tests of the selection: what of rows and events is left.

use heapster_shared::{
    entity::{Definition, EntityTable, Labels, Level},
    event::Event,
    row::RowHead,
    schema::{Field, table},
    spec::Spec,
    tag,
    tick::Tick,
};

use super::*;

fn options(text: &str) -> FilterOptions {
    format!("x?{text}").parse::<Spec>().unwrap().options().unwrap()
}

/// A node, a pod of the namespace `shop` and its container, each with the same fields.
fn batch() -> Arc<RowBatch> {
    let mut table = EntityTable::default();
    let mut define = |parent: Option<&Arc<Entity>>, level, name: &str, labels: &[(&str, &str)]| {
        table.intern(Definition {
            parent: parent.cloned(),
            level,
            name: name.into(),
            uid: "".into(),
            start_time_ms: 1,
            labels: labels.iter().copied().collect::<Labels>(),
        })
    };
    let node = define(None, Level::Node, "node-a", &[(tag::LABELS, "arch:amd64")]);
    let labels = [(tag::NAMESPACE_NAME, "shop"), (tag::LABELS, "app:web,tier:front")];
    let pod = define(Some(&node), Level::Pod, "web-1", &labels);
    let container = define(Some(&pod), Level::PodContainer, "main", &[]);
    let mut block = Block::new(Arc::new(Layout::new(vec![
        Field::plain(table::CPU_USAGE.def()),
        Field::plain(table::MEMORY_USAGE.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
        Field::resource(table::FILESYSTEM_USAGE.def(), "logs"),
    ])));
    for (index, entity) in (0..).zip([node, pod, container]) {
        let head = RowHead { entity, time_ms: 15_001, interval_ms: 15_000 };
        let cells = [1, 2, 3, 4].map(|number| Cell::int(index * 10 + number));
        block.push(head, &cells, &[Cell::int(15_000_000_000)]);
    }
    let tick = Tick(15_000);
    Arc::new(RowBatch { cluster: "eu-1".into(), tick, blocks: vec![block] })
}

/// What is left of the rows, as `entity:metric,metric;...`.
fn left(text: &str) -> String {
    let selected = Selection::new(options(text)).select(Payload::Rows(batch()));
    let Some(Payload::Rows(batch)) = selected else { return String::new() };
    let rows = batch.blocks.iter().flat_map(Block::rows).map(|row| {
        let metrics = row.samples().map(|(field, _)| match &field.labels {
            Some(labels) => labels.get(tag::RESOURCE_ID).unwrap().to_owned(),
            None => field.metric.name().to_owned(),
        });
        format!("{}:{}", row.head.entity.name, metrics.collect::<Vec<_>>().join(","))
    });
    rows.collect::<Vec<_>>().join(";")
}

#[test]
fn rows_and_columns_are_left_out() {
    let one = "include_metrics=memory/*";
    let all = "node-a:memory/usage;web-1:memory/usage;main:memory/usage";
    for (text, expected) in [
        (one, all),
        ("include_metrics=memory/*,cpu/usage&exclude_metrics=cpu/*", all),
        ("include_metrics=cpu/usage_rate&include_levels=node", "node-a:cpu/usage_rate"),
        ("include_metrics=nonsense", ""),
        (&format!("{one}&include_levels=pod,node"), "node-a:memory/usage;web-1:memory/usage"),
        (&format!("{one}&exclude_levels=pod,node"), "main:memory/usage"),
        (&format!("{one}&include_clusters=us-*"), ""),
        (&format!("{one}&include_clusters=eu-*"), all),
        (&format!("{one}&exclude_clusters=eu-*"), ""),
        (&format!("{one}&include_namespaces=sh*"), "web-1:memory/usage;main:memory/usage"),
        (&format!("{one}&exclude_namespaces=shop"), "node-a:memory/usage"),
        (&format!("{one}&include_labels=cluster_name:eu-2"), ""),
    ] {
        assert_eq!(left(text), expected, "{text}");
    }
}

/// Labels of the cluster manager, labels that every row has, and labels that tell fields apart.
#[test]
fn labels_choose_rows_or_fields() {
    let one = "include_metrics=memory/*";
    for (labels, expected) in [
        ("include_labels=app:web*", "web-1:memory/usage;main:memory/usage"),
        ("include_labels=app:web*,tier:back", ""),
        ("include_labels=tier:back,tier:front", "web-1:memory/usage;main:memory/usage"),
        ("include_labels=container_name:main", "main:memory/usage"),
        ("exclude_labels=container_name:*", "node-a:memory/usage;web-1:memory/usage"),
        ("exclude_labels=app:api,arch:amd64", "web-1:memory/usage;main:memory/usage"),
    ] {
        assert_eq!(left(&format!("{one}&{labels}")), expected, "{labels}");
    }
    let fields = "include_levels=node&include_metrics=filesystem/*,uptime";
    let left = |labels: &str| left(&format!("{fields}&{labels}"));
    assert_eq!(left("exclude_labels=resource_id:logs"), "node-a:/,uptime");
    assert_eq!(left("include_labels=resource_id:l*"), "node-a:logs,uptime");
}

/// Values, increases and what follows from them are those of the row that they came from.
#[test]
fn what_is_left_is_as_it_was() {
    let whole = batch();
    let selected = Selection::new(options("include_metrics=cpu/*,filesystem/*&include_levels=pod"))
        .select(Payload::Rows(Arc::clone(&whole)));
    let Some(Payload::Rows(some)) = selected else { panic!("nothing is left") };
    let (before, after) = (whole.blocks[0].row(1), some.blocks[0].row(0));
    assert_eq!((some.row_count(), some.tick, &*some.cluster), (1, whole.tick, "eu-1"));
    assert_eq!(before.increases, after.increases);
    let before: Vec<_> = before.samples().collect();
    for pair in after.samples() {
        assert!(before.contains(&pair), "{pair:?}");
    }
    assert_eq!(after.samples().count(), 4);
}

/// Who wants everything of a payload costs no copy of it.
#[test]
fn what_is_wanted_whole_is_not_copied() {
    for text in ["", "exclude_metrics=custom/*&include_clusters=eu-*&exclude_levels=ns"] {
        let batch = batch();
        let selected = Selection::new(options(text)).select(Payload::Rows(Arc::clone(&batch)));
        let Some(Payload::Rows(same)) = selected else { panic!("{text}") };
        assert!(Arc::ptr_eq(&batch, &same), "{text}");
    }
}

#[test]
fn events_and_ends_of_rounds_go_by_cluster_and_namespace() {
    let event = |namespace: &str| Event { object_namespace: namespace.into(), ..Event::default() };
    let events = vec![event("shop"), event(""), event("kube-system")];
    let events = Arc::new(EventBatch { cluster: "eu-1".into(), events });
    let left = |text: &str| match Selection::new(options(text))
        .select(Payload::Events(Arc::clone(&events)))
    {
        Some(Payload::Events(batch)) => batch.events.len(),
        _ => 0,
    };
    assert_eq!(left("include_metrics=cpu/*&include_levels=node"), 3);
    assert_eq!(left("include_namespaces=shop"), 1);
    assert_eq!(left("exclude_namespaces=kube-*"), 2);
    assert_eq!(left("exclude_clusters=eu-*"), 0);
    let end = |text: &str| {
        let end = Payload::RoundEnd { cluster: "eu-1".into(), tick: Tick(0) };
        Selection::new(options(text)).select(end).is_some()
    };
    assert!(end("include_levels=node") && !end("include_clusters=us"));
}
