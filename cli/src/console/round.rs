//! The rows of one round, added up for a line of text.

use heapster_shared::{
    entity::Level,
    row::{Row, RowBatch},
    schema::{MetricId, table},
    tick::{Tick, rfc3339},
};

/// What a line says of a round.
#[derive(Default)]
pub(super) struct Round {
    nodes: usize,
    containers: usize,
    samples: usize,
    cpu_millicores: i64,
    cpu_capacity_millicores: f64,
    memory_bytes: i64,
    memory_capacity_bytes: f64,
    /// The container with the highest CPU rate.
    busiest: Option<(String, i64)>,
}

impl Round {
    pub(super) fn add(&mut self, batch: &RowBatch) {
        self.samples += batch.sample_count();
        for row in batch.blocks.iter().flat_map(heapster_shared::row::Block::rows) {
            match row.head.entity.level {
                Level::Node => self.add_node(row),
                Level::PodContainer | Level::SysContainer => self.add_container(row),
                Level::Cluster | Level::Namespace | Level::Pod => {}
            }
        }
    }

    fn add_node(&mut self, row: Row<'_>) {
        self.nodes += 1;
        self.cpu_millicores += int(row, table::CPU_USAGE_RATE).unwrap_or_default();
        self.memory_bytes += int(row, table::MEMORY_WORKING_SET).unwrap_or_default();
        self.cpu_capacity_millicores += real(row, table::CPU_NODE_CAPACITY);
        self.memory_capacity_bytes += real(row, table::MEMORY_NODE_CAPACITY);
    }

    fn add_container(&mut self, row: Row<'_>) {
        self.containers += 1;
        let Some(rate) = int(row, table::CPU_USAGE_RATE) else { return };
        let leads = self.busiest.as_ref().is_none_or(|(_, highest)| rate > *highest);
        if leads && rate > 0 && !is_parent(&row.head.entity.name) {
            self.busiest = Some((row.head.entity.name.to_string(), rate));
        }
    }

    /// `12:00:15  1 node, 23 containers: CPU 0.51 of 2 cores, memory 1.2 of 23.5 GiB; busiest web (0.30 cores); 412 samples`
    pub(super) fn line(&self, tick: Tick) -> String {
        let time = rfc3339(tick.0);
        let time = time.split('T').nth(1).unwrap_or(&time).trim_end_matches('Z').to_owned();
        if self.nodes == 0 {
            return format!("{time}  no rows: no host answered (see /validate)");
        }
        let busiest = match &self.busiest {
            Some((name, rate)) => format!("; busiest {name} ({:.2} cores)", cores(*rate)),
            None => String::new(),
        };
        format!(
            "{time}  {}, {}: CPU {:.2} of {} cores, memory {:.1} of {:.1} GiB{busiest}; {} samples",
            count(self.nodes, "node"),
            count(self.containers, "container"),
            cores(self.cpu_millicores),
            self.cpu_capacity_millicores / 1000.0,
            gib(self.memory_bytes as f64),
            gib(self.memory_capacity_bytes),
            self.samples,
        )
    }
}

/// A slice, or a control group that only holds others, is no culprit.
fn is_parent(name: &str) -> bool {
    name.ends_with(".slice") || matches!(name, "docker" | "kubepods" | "init.scope")
}

fn int(row: Row<'_>, metric: MetricId) -> Option<i64> {
    row.get(metric.def())?.as_int()
}

fn real(row: Row<'_>, metric: MetricId) -> f64 {
    row.get(metric.def()).and_then(heapster_shared::row::Cell::as_real).unwrap_or_default()
}

fn cores(millicores: i64) -> f64 {
    millicores as f64 / 1000.0
}

fn gib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 30)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heapster_shared::{
        entity::{Definition, Entity, EntityTable, Labels},
        row::{Block, Cell, RowHead},
        schema::{Field, Layout},
    };

    use super::*;

    fn row(block: &mut Block, entity: Arc<Entity>, cells: [Cell; 4], increase_ns: i64) {
        let head = RowHead { entity, time_ms: 15_000, interval_ms: 10_000 };
        block.push(head, &cells, &[Cell::int(increase_ns)]);
    }

    /// Half a core of two on the node, most of it by one container; the slice above is not named.
    #[test]
    fn a_line_says_what_is_used_and_by_whom() {
        let mut entities = EntityTable::default();
        let mut entity = |level, name: &str, parent| {
            entities.intern(Definition {
                parent,
                level,
                name: name.into(),
                uid: "".into(),
                start_time_ms: 0,
                labels: Labels::default(),
            })
        };
        let node = entity(Level::Node, "here", None);
        let web = entity(Level::SysContainer, "web", Some(Arc::clone(&node)));
        let slice = entity(Level::SysContainer, "system.slice", Some(Arc::clone(&node)));
        let mut block = Block::new(Arc::new(Layout::new(vec![
            Field::plain(table::CPU_USAGE.def()),
            Field::plain(table::MEMORY_WORKING_SET.def()),
            Field::plain(table::CPU_NODE_CAPACITY.def()),
            Field::plain(table::MEMORY_NODE_CAPACITY.def()),
        ])));
        let gib = 1_i64 << 30;
        let whole =
            [Cell::int(9), Cell::int(gib), Cell::real(2000.0), Cell::real(4.0 * gib as f64)];
        let part = [Cell::int(9), Cell::int(1), Cell::ABSENT, Cell::ABSENT];
        row(&mut block, node, whole, 5_000_000_000);
        row(&mut block, web, part, 3_000_000_000);
        row(&mut block, slice, part, 4_000_000_000);

        let mut round = Round::default();
        round.add(&RowBatch { cluster: "lab".into(), tick: Tick(15_000), blocks: vec![block] });
        assert_eq!(
            round.line(Tick(15_000)),
            "00:00:15  1 node, 2 containers: CPU 0.50 of 2 cores, memory 1.0 of 4.0 GiB; \
             busiest web (0.30 cores); 11 samples"
        );
        assert!(Round::default().line(Tick(0)).contains("no host answered"));
    }
}
