//! The rows of one round, added up for a line of text.

use heapster_shared::{
    entity::{Entity, Level},
    row::{Row, RowBatch},
    schema::{MetricId, table},
    tick::{Tick, rfc3339},
};

/// Busy containers that are remembered, so that the groups above the busiest can be told from it.
const BUSIEST: usize = 8;

/// What a line says of a round.
#[derive(Default)]
pub(super) struct Round {
    nodes: usize,
    containers: usize,
    samples: usize,
    cpu: Share,
    memory: Share,
    /// The containers with the highest CPU rates, in millicores, highest first.
    busiest: Vec<(i64, String)>,
}

/// What is used of what there is, over the nodes that tell.
#[derive(Default)]
struct Share {
    nodes: usize,
    used: f64,
    whole: f64,
}

impl Share {
    fn add(&mut self, used: Option<i64>, whole: f64) {
        let Some(used) = used else { return };
        self.nodes += 1;
        self.used += used as f64;
        self.whole += whole;
    }
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
        self.cpu.add(int(row, table::CPU_USAGE_RATE), real(row, table::CPU_NODE_CAPACITY));
        self.memory
            .add(int(row, table::MEMORY_WORKING_SET), real(row, table::MEMORY_NODE_CAPACITY));
    }

    fn add_container(&mut self, row: Row<'_>) {
        self.containers += 1;
        let Some(rate) = int(row, table::CPU_USAGE_RATE).filter(|rate| *rate > 0) else { return };
        let place = self.busiest.partition_point(|(other, _)| *other >= rate);
        if place < BUSIEST {
            let name = full_name(&row.head.entity);
            if !is_parent(&name) {
                self.busiest.insert(place, (rate, name));
                self.busiest.truncate(BUSIEST);
            }
        }
    }

    /// `1 node, 23 containers: CPU 0.51 of 2 cores, memory 1.2 of 23.5 GiB; busiest web (0.30 cores);
    /// 412 samples`, with the number of hosts that there should be, and where to look for the rest.
    pub(super) fn line(&self, hosts: Option<usize>, validate: &str) -> String {
        let hosts = hosts.unwrap_or(self.nodes).max(self.nodes);
        if hosts == 0 {
            return format!("no hosts are known: see {validate}");
        }
        if self.nodes == 0 {
            let hosts = count(hosts, "host");
            return format!("no new samples from {hosts}: see {validate}");
        }
        let (nodes, hint) = if self.nodes < hosts {
            (format!("{} of {hosts} nodes", self.nodes), format!("; for the others see {validate}"))
        } else {
            (count(self.nodes, "node"), String::new())
        };
        format!(
            "{nodes}, {}: {}, {}{}; {}{hint}",
            count(self.containers, "container"),
            self.cpu(),
            self.memory(),
            self.culprit(),
            count(self.samples, "sample"),
        )
    }

    fn cpu(&self) -> String {
        if self.cpu.nodes == 0 {
            return "CPU from the next line on".to_owned();
        }
        let used = self.cpu.used / 1000.0;
        match self.cpu.whole / 1000.0 {
            0.0 => format!("CPU {used:.2} cores"),
            whole => format!("CPU {used:.2} of {whole} cores"),
        }
    }

    fn memory(&self) -> String {
        match (gib(self.memory.used), gib(self.memory.whole)) {
            _ if self.memory.nodes == 0 => "memory not told".to_owned(),
            (used, 0.0) => format!("memory {used:.1} GiB"),
            (used, whole) => format!("memory {used:.1} of {whole:.1} GiB"),
        }
    }

    /// The busiest container. A control group above one of the busiest is no culprit.
    fn culprit(&self) -> String {
        let holds_another = |name: &str| {
            let inside =
                |other: &str| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
            self.busiest.iter().any(|(_, other)| inside(other))
        };
        let mut candidates = self.busiest.iter();
        match candidates.find(|(_, name)| !holds_another(name)) {
            Some((rate, name)) => format!("; busiest {name} ({:.2} cores)", *rate as f64 / 1000.0),
            None => String::new(),
        }
    }
}

/// Its names from the namespace on, as the page has them.
fn full_name(entity: &Entity) -> String {
    let names = entity.lineage().take_while(|part| part.level != Level::Node);
    let mut names: Vec<&str> = names.map(|part| part.name.as_str()).collect();
    names.extend(entity.namespace());
    names.reverse();
    names.join("/")
}

/// `12:00:15Z`, as the log has it.
pub(super) fn time_of_day(tick: Tick) -> String {
    let time = rfc3339(tick.0);
    time.split('T').nth(1).unwrap_or(&time).to_owned()
}

/// A slice, or a control group that only holds others; `pods` is what kubelets call that of all pods.
fn is_parent(name: &str) -> bool {
    name.ends_with(".slice") || matches!(name, "docker" | "kubepods" | "pods" | "init.scope")
}

fn int(row: Row<'_>, metric: MetricId) -> Option<i64> {
    row.get(metric.def())?.as_int()
}

fn real(row: Row<'_>, metric: MetricId) -> f64 {
    row.get(metric.def()).and_then(heapster_shared::row::Cell::as_real).unwrap_or_default()
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
        entity::{Definition, EntityTable, Labels},
        row::{Block, Cell, RowHead},
        schema::{Field, Layout},
    };

    use super::*;

    /// A node that has two cores, and three containers on it: one, the group above it, and this group.
    fn batch(group: &str, increases_ns: [i64; 4], interval_ms: u32) -> RowBatch {
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
        let mut things = vec![Arc::clone(&node)];
        for name in ["app/web", group, "app"] {
            things.push(entity(Level::SysContainer, name, Some(Arc::clone(&node))));
        }
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
        for (number, entity) in things.into_iter().enumerate() {
            let head = RowHead { entity, time_ms: 15_000, interval_ms };
            let cells = if number == 0 { &whole } else { &part };
            let increase =
                if interval_ms == 0 { Cell::ABSENT } else { Cell::int(increases_ns[number]) };
            block.push(head, cells, &[increase]);
        }
        RowBatch { cluster: "lab".into(), tick: Tick(15_000), blocks: vec![block] }
    }

    /// Half a core of two on the node, most of it by one container; the slice (or the kubelet's group
    /// of all pods) and the group above it are not named. Of two hosts one is missing.
    #[test]
    fn a_line_says_what_is_used_and_by_whom() {
        let second = 1_000_000_000;
        let increases = [5 * second, 3 * second, 4 * second, 3 * second + 1_000_000];
        for group in ["system.slice", "pods"] {
            let mut round = Round::default();
            round.add(&batch(group, increases, 10_000));
            let usual = "3 containers: CPU 0.50 of 2 cores, memory 1.0 of 4.0 GiB; \
                         busiest app/web (0.30 cores); 14 samples";
            assert_eq!(round.line(Some(1), "V"), format!("1 node, {usual}"));
            let missing = format!("1 of 2 nodes, {usual}; for the others see V");
            assert_eq!(round.line(Some(2), "V"), missing);
        }
        assert_eq!(time_of_day(Tick(15_000)), "00:00:15Z");
    }

    /// At the first tick there are no rates, and no CPU of 0 is made up.
    #[test]
    fn a_first_line_says_nothing_of_cpu() {
        let mut round = Round::default();
        round.add(&batch("system.slice", [0; 4], 0));
        let line = round.line(Some(1), "V");
        assert!(line.starts_with("1 node, 3 containers: CPU from the next line on, mem"), "{line}");
    }

    #[test]
    fn silence_is_told() {
        let none = Round::default();
        assert_eq!(none.line(Some(3), "V"), "no new samples from 3 hosts: see V");
        assert_eq!(none.line(Some(0), "V"), "no hosts are known: see V");
    }
}
