//! The newest rows: of everything for the export, of what matters most for the page.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use heapster_shared::{
    entity::{Entity, Level},
    row::Cell,
    schema::{Layout, MetricDef, table},
};

use super::{
    cluster::{ClusterModel, Node},
    ring::Ring,
    slot::Slot,
    subject::Key,
};

/// The newest row of an entity.
#[derive(Clone, Debug)]
pub struct NewestRow {
    /// The entity.
    pub entity: Arc<Entity>,
    /// Its fields.
    pub layout: Arc<Layout>,
    /// When the row was taken, in milliseconds since 1970.
    pub time_ms: i64,
    /// One cell a field, derived ones included.
    pub cells: Vec<Cell>,
}

/// The newest rows of some nodes.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<NewestRow>,
    /// Where the next page starts; `None` when this was the last.
    pub next: Option<u32>,
}

/// A node as it is now.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeNow {
    /// Name.
    pub name: String,
    /// CPU in use, in millicores.
    pub cpu_millicores: Option<f64>,
    /// CPU that there is, in millicores.
    pub cpu_capacity: Option<f64>,
    /// Memory in use that could not be dropped at once, in bytes.
    pub memory_bytes: Option<f64>,
    /// Memory that there is, in bytes.
    pub memory_capacity: Option<f64>,
    /// Containers on it, the free ones included.
    pub containers: usize,
    /// When its newest row was taken, in milliseconds since 1970.
    pub time_ms: i64,
}

/// A container that is among the greatest of something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Top {
    /// How much.
    pub value: i64,
    /// Its names from the namespace or node on.
    pub name: String,
    /// The node.
    pub node: String,
}

/// A cluster as it is now.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overview {
    /// Nodes by name.
    pub nodes: Vec<NodeNow>,
    /// The containers that use the most CPU, in millicores.
    pub top_cpu: Vec<Top>,
    /// The containers that use the most memory, in bytes.
    pub top_memory: Vec<Top>,
    /// The newest tick, in milliseconds since 1970.
    pub tick_unix_ms: i64,
}

/// Rows of a page of the export, about.
const PAGE_ROWS: usize = 2_000;

impl ClusterModel {
    /// The newest rows, from the node with this number on, of as many nodes as make a page.
    #[must_use]
    pub fn page(&self, from: u32) -> Page {
        let mut page = Page::default();
        for (index, node) in self.nodes().filter(|(index, _)| *index >= from) {
            if page.rows.len() >= PAGE_ROWS {
                page.next = Some(index);
                break;
            }
            page.rows.extend(node.ring.slots().map(|(_, slot)| NewestRow::of(slot)));
        }
        page
    }

    /// The nodes, and the greatest `count` containers.
    ///
    /// What is listed is no sum of others that are or could be: a control group is left out when
    /// there are groups below it by their names, and when it is one of those that hold all pods
    /// while the containers of pods are known by themselves. So `system.slice/docker.service` is
    /// there and `system.slice` is not. What runs in such a group directly, beside the groups
    /// below it, is not listed; the node's own figures have it.
    #[must_use]
    pub fn overview(&self, count: usize) -> Overview {
        let mut finder = FieldFinder::default();
        let (mut cpu, mut memory) = (Greatest::new(count), Greatest::new(count));
        let mut nodes = Vec::new();
        for name in self.node_names() {
            let Some((_, node)) = self.node_named(name) else { continue };
            nodes.push(node_now(name, &node.ring));
            for (_, slot) in node.ring.slots().filter(|(_, slot)| is_container(slot)) {
                let [cpu_index, memory_index] = finder.find(&slot.layout);
                cpu.offer(slot, cpu_index, node);
                memory.offer(slot, memory_index, node);
            }
        }
        Overview {
            nodes,
            top_cpu: cpu.into_sorted(),
            top_memory: memory.into_sorted(),
            tick_unix_ms: self.newest_tick_ms,
        }
    }
}

impl NewestRow {
    fn of(slot: &Slot) -> Self {
        let fields = 0..slot.layout.fields().len();
        let row = slot.row();
        Self {
            entity: Arc::clone(&slot.entity),
            layout: Arc::clone(&slot.layout),
            time_ms: slot.time_ms,
            cells: fields.map(|field| row.value(field)).collect(),
        }
    }
}

fn node_now(name: &str, ring: &Ring) -> NodeNow {
    let slots = || ring.slots().map(|(_, slot)| slot);
    let own = slots().find(|slot| slot.entity.level == Level::Node);
    let value = |metric: &'static MetricDef| {
        let slot = own?;
        let index = slot.layout.index_of(metric)?;
        slot.value(index).to_real(metric.value_type)
    };
    NodeNow {
        name: name.to_owned(),
        cpu_millicores: value(table::CPU_USAGE_RATE.def()),
        cpu_capacity: value(table::CPU_NODE_CAPACITY.def()),
        memory_bytes: value(table::MEMORY_WORKING_SET.def())
            .or_else(|| value(table::MEMORY_USAGE.def())),
        memory_capacity: value(table::MEMORY_NODE_CAPACITY.def()),
        containers: slots().filter(|slot| is_container(slot)).count(),
        time_ms: slots().map(|slot| slot.time_ms).max().unwrap_or_default(),
    }
}

fn is_container(slot: &Slot) -> bool {
    matches!(slot.entity.level, Level::PodContainer | Level::SysContainer)
}

/// Whether a container is a control group that is the sum of others; see
/// [`ClusterModel::overview`].
fn is_sum(entity: &Entity, node: &Node) -> bool {
    if entity.level != Level::SysContainer {
        return false;
    }
    let group = entity.name.trim_end_matches('/');
    if group.is_empty() {
        return true;
    }
    let below = format!("{group}/");
    let first = Key::new(Level::SysContainer, "", "", &below);
    let has_parts = node
        .names
        .from(&node.ring, &first)
        .next()
        .is_some_and(|key| key.level == Level::SysContainer && key.name.starts_with(&below));
    let holds_pods = || group == "pods" || group.contains("kubepods");
    let has_pods = || {
        let mut from = node.names.from(&node.ring, &Key::new(Level::PodContainer, "", "", ""));
        from.next().is_some_and(|key| key.level == Level::PodContainer)
    };
    has_parts || (holds_pods() && has_pods())
}

/// Where a layout has CPU and memory; most neighbours share one.
#[derive(Default)]
struct FieldFinder {
    layout: Option<Arc<Layout>>,
    fields: [Option<usize>; 2],
}

impl FieldFinder {
    fn find(&mut self, layout: &Arc<Layout>) -> [Option<usize>; 2] {
        if !self.layout.as_ref().is_some_and(|known| Arc::ptr_eq(known, layout)) {
            let memory = layout.index_of(table::MEMORY_WORKING_SET.def());
            self.fields = [
                layout.index_of(table::CPU_USAGE_RATE.def()),
                memory.or_else(|| layout.index_of(table::MEMORY_USAGE.def())),
            ];
            self.layout = Some(Arc::clone(layout));
        }
        self.fields
    }
}

/// Keeps the greatest values that it is offered.
struct Greatest {
    count: usize,
    heap: BinaryHeap<Reverse<Top>>,
}

impl Greatest {
    fn new(count: usize) -> Self {
        Self { count, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, slot: &Slot, field: Option<usize>, node: &Node) {
        let value = field.and_then(|field| slot.value(field).as_int());
        let Some(value) = value.filter(|value| *value > 0) else { return };
        let full = self.heap.len() >= self.count;
        if full && self.heap.peek().is_none_or(|Reverse(least)| least.value >= value) {
            return;
        }
        // Asked last, for only a few get here.
        if is_sum(&slot.entity, node) {
            return;
        }
        if full {
            self.heap.pop();
        }
        let names = || slot.entity.lineage().take_while(|part| part.level != Level::Node);
        let mut name: Vec<&str> = names().map(|part| part.name.as_str()).collect();
        name.extend(slot.entity.namespace());
        name.reverse();
        self.heap.push(Reverse(Top { value, name: name.join("/"), node: node.name.to_string() }));
    }

    fn into_sorted(self) -> Vec<Top> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(top)| top).collect()
    }
}
