//! Text of rows, small enough to be read.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::Cell,
    schema::{CustomMetric, Field, Kind, Layout, Metric, ValueType, table},
};
use proptest::prelude::*;

use super::*;
use crate::core::model::NewestRow;

fn pod(name: &str, labels: &[(&str, &str)]) -> Arc<Entity> {
    EntityTable::default().intern(Definition {
        parent: None,
        level: Level::Pod,
        name: name.into(),
        uid: "".into(),
        start_time_ms: 0,
        labels: labels.iter().copied().collect::<Labels>(),
    })
}

fn text(rows: Vec<NewestRow>, format: Format, timestamps: bool) -> String {
    let mut snapshot = Snapshot::default();
    snapshot.extend("lab", rows.into_iter());
    let mut text = Text::new(snapshot, format, timestamps);
    let chunks = std::iter::from_fn(|| text.next_chunk());
    String::from_utf8(chunks.flatten().collect()).unwrap()
}

fn custom(name: &str) -> Field {
    let (name, unit) = (Arc::from(name), Arc::from(""));
    let metric = CustomMetric { name, kind: Kind::Cumulative, value_type: ValueType::Double, unit };
    Field { metric: Metric::Custom(Arc::new(metric)), labels: None }
}

fn rows() -> Vec<NewestRow> {
    let layout = Arc::new(Layout::new(vec![
        Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
        custom("custom/a-b"),
        custom("custom/a_b"),
        Field::plain(table::CPU_LIMIT.def()),
    ]));
    let cells = [Cell::int(4096), Cell::real(f64::INFINITY), Cell::real(1.0), Cell::ABSENT];
    let row = |entity, time_ms| {
        let mut cells = cells.to_vec();
        cells.resize(layout.fields().len(), Cell::ABSENT);
        NewestRow { entity, layout: Arc::clone(&layout), time_ms, cells }
    };
    vec![row(pod("web-1", &[("resource_id", "x")]), 1_007), row(pod("a\"\\\nb", &[]), 2_000)]
}

/// Names that would be the same series are there once, and a label of the field replaces that of its
/// pod: a single sample that is there twice would cost the whole scrape.
#[test]
fn the_text_format_is_as_prometheus_reads_it() {
    assert_eq!(
        text(rows(), Format::Plain, true),
        "# HELP heapster_pod_cpu_limit_cores CPU that may be used at most; 0 without a limit.\n\
         # TYPE heapster_pod_cpu_limit_cores gauge\n\
         # HELP heapster_pod_custom_a_b_total A metric of a container's own.\n\
         # TYPE heapster_pod_custom_a_b_total counter\n\
         heapster_pod_custom_a_b_total{cluster_name=\"lab\",pod_name=\"web-1\",resource_id=\"x\"} +Inf 1007\n\
         heapster_pod_custom_a_b_total{cluster_name=\"lab\",pod_name=\"a\\\"\\\\\\nb\"} +Inf 2000\n\
         # HELP heapster_pod_filesystem_usage_bytes Bytes used on a filesystem.\n\
         # TYPE heapster_pod_filesystem_usage_bytes gauge\n\
         heapster_pod_filesystem_usage_bytes{resource_id=\"/\",cluster_name=\"lab\",pod_name=\"web-1\"} 4096 1007\n\
         heapster_pod_filesystem_usage_bytes{resource_id=\"/\",cluster_name=\"lab\",pod_name=\"a\\\"\\\\\\nb\"} 4096 2000\n\
         # HELP heapster_pod_uptime_seconds_total Time since the entity started.\n\
         # TYPE heapster_pod_uptime_seconds_total counter\n"
    );
}

#[test]
fn openmetrics_has_units_seconds_and_an_end() {
    let text = text(rows(), Format::OpenMetrics, true);
    assert!(text.contains("# TYPE heapster_pod_custom_a_b counter\n"), "{text}");
    assert!(text.contains("# UNIT heapster_pod_filesystem_usage_bytes bytes\n"), "{text}");
    assert!(text.contains("} 4096 1.007\n") && text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn times_can_be_left_out() {
    let text = text(rows(), Format::Plain, false);
    assert!(text.contains("\"} 4096\n") && !text.contains("1007"), "{text}");
}

#[test]
fn the_format_is_that_which_is_accepted() {
    for (accept, format) in [
        (None, Format::Plain),
        (Some("*/*"), Format::Plain),
        (Some("application/openmetrics-text;version=0.0.1,text/plain"), Format::Plain),
        (Some("text/plain, application/openmetrics-text; version=1.0.0"), Format::OpenMetrics),
        (Some("application/openmetrics-text"), Format::OpenMetrics),
    ] {
        assert_eq!(Format::accepted(accept), format, "{accept:?}");
    }
}

/// Pieces are cut anywhere; together they are every row of every family once.
#[test]
fn no_row_is_lost_between_two_pieces() {
    let layout = Arc::new(Layout::new(vec![
        Field::plain(table::MEMORY_USAGE.def()),
        Field::resource(table::FILESYSTEM_USAGE.def(), "/"),
    ]));
    let row = |number: i64| NewestRow {
        entity: pod(&format!("pod-{number}"), &[]),
        layout: Arc::clone(&layout),
        time_ms: number,
        cells: vec![Cell::int(number), Cell::int(number), Cell::ABSENT],
    };
    let text = text((0..5000).map(row).collect(), Format::Plain, true);
    for family in ["memory", "filesystem"] {
        let name = format!("heapster_pod_{family}_usage_bytes{{");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&name)).collect();
        assert_eq!(lines.len(), 5000);
        assert!((0..5000).all(|number| lines[number].ends_with(&format!("}} {number} {number}"))));
    }
}

proptest! {
    /// Nothing that a label holds ends its line or its quotes.
    #[test]
    fn values_stay_in_their_quotes(value in "[\\\\\"\n,={}a]{1,20}") {
        let (layout, time_ms) = (Arc::new(Layout::new(vec![custom("custom/a")])), 1);
        let cells = vec![Cell::real(1.0), Cell::ABSENT];
        let row = NewestRow { entity: pod("p", &[("x", &value)]), layout, time_ms, cells };
        let text = text(vec![row], Format::Plain, false);
        let line = text.lines().find(|line| !line.starts_with('#')).unwrap();
        let quoted = line.split_once("x=\"").unwrap().1.strip_suffix("\"} 1").unwrap();
        let read = quoted.replace("\\\\", "\u{1}").replace("\\n", "\n").replace("\\\"", "\"");
        prop_assert_eq!(read.replace('\u{1}', "\\"), value);
    }
}
