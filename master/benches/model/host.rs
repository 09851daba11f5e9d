//! The rows of a host with 60 containers in 30 pods, as they might be: counters that grow at a
//! rate of their own with some noise, memory that wanders by pages, and much that never changes.

use std::sync::Arc;

use heapster_shared::{
    entity::{Definition, Entity, EntityTable, Labels, Level},
    row::{Block, Cell, RowBatch, RowHead},
    schema::{Field, Layout, MetricId, table},
    tag,
    tick::Tick,
};

pub(crate) const TICK_MS: i64 = 15_000;
/// A tick to start from.
pub(crate) const EPOCH_MS: i64 = 1_795_345_200_000;

const PODS: usize = 30;
const NAMESPACES: usize = 7;

/// The layouts of nodes, pods and containers, shared by all hosts.
#[derive(Clone)]
pub(crate) struct Layouts([Arc<Layout>; 3]);

/// How a field of an entity moves.
#[derive(Clone, Copy)]
enum Motion {
    Constant,
    /// A counter: so much a tick, give or take a fifth.
    Grows(i64),
    /// A gauge in pages: up or down by at most so many.
    Wanders(i64),
}

struct Thing {
    layout: usize,
    entity: Arc<Entity>,
    motions: Vec<Motion>,
    cells: Vec<i64>,
    time_ms: i64,
}

/// See the file's header.
pub(crate) struct Host {
    layouts: Layouts,
    things: Vec<Thing>,
    random: u64,
}

impl Default for Layouts {
    fn default() -> Self {
        use table::*;
        let plain = |ids: &[MetricId]| -> Vec<Field> {
            ids.iter().map(|id| Field::plain(id.def())).collect()
        };
        let resources = |ids: &[MetricId], resource: &str| -> Vec<Field> {
            ids.iter().map(|id| Field::resource(id.def(), resource)).collect()
        };
        let usage = plain(&[
            CPU_USAGE,
            MEMORY_USAGE,
            MEMORY_WORKING_SET,
            MEMORY_RSS,
            MEMORY_CACHE,
            MEMORY_PAGE_FAULTS,
            MEMORY_MAJOR_PAGE_FAULTS,
        ]);
        let claims = plain(&[CPU_REQUEST, CPU_LIMIT, MEMORY_REQUEST, MEMORY_LIMIT, RESTART_COUNT]);
        let network = plain(&[NETWORK_RX, NETWORK_TX, NETWORK_RX_ERRORS, NETWORK_TX_ERRORS]);
        let files = [FILESYSTEM_USAGE, FILESYSTEM_LIMIT, FILESYSTEM_AVAILABLE];
        let (root, logs) = (resources(&files, "/"), resources(&files, "logs"));
        let disks = resources(&[DISK_IO_READ_BYTES, DISK_IO_WRITE_BYTES], "sda");
        let capacity = plain(&[CPU_NODE_CAPACITY, MEMORY_NODE_CAPACITY]);
        let node = [&usage[..], &network, &root, &disks, &capacity].concat();
        let pod = [&usage[1..5], &network, &claims, &plain(&[CPU_USAGE_RATE])].concat();
        let container = [&usage[..], &claims, &root, &logs].concat();
        Self([node, pod, container].map(|fields| Arc::new(Layout::new(fields))))
    }
}

impl Host {
    pub(crate) fn new(number: usize, table: &mut EntityTable, layouts: &Layouts) -> Self {
        let mut host =
            Self { layouts: layouts.clone(), things: Vec::new(), random: number as u64 + 1 };
        let name = format!("node-{number}");
        let id = host.uid();
        let labels = [(tag::HOSTNAME, name.as_str()), (tag::HOST_ID, &id)];
        let node = define(table, None, Level::Node, &name, "", &labels);
        host.add(0, Arc::clone(&node));
        for pod in 0..PODS {
            host.add_pod(table, &node, pod);
        }
        host
    }

    fn add_pod(&mut self, table: &mut EntityTable, node: &Arc<Entity>, number: usize) {
        let namespace = format!("team-{}", number % NAMESPACES);
        let uid = self.uid();
        let name = format!("service-{number}-7d4b9c6f5-{}", &uid[..5]);
        let set = format!("app:service-{number},pod-template-hash:7d4b9c6f5");
        let labels = [(tag::NAMESPACE_NAME, namespace.as_str()), (tag::LABELS, &set)];
        let pod = define(table, Some(node), Level::Pod, &name, &uid, &labels);
        self.add(1, Arc::clone(&pod));
        for (name, image) in [("main", "team/service"), ("proxy", "mesh/proxy")] {
            let image = format!("registry.example.com/{image}-{number}:v1.{number}.3");
            let labels = [(tag::CONTAINER_BASE_IMAGE, image.as_str())];
            let container = define(table, Some(&pod), Level::PodContainer, name, "", &labels);
            self.add(2, container);
        }
    }

    fn add(&mut self, layout: usize, entity: Arc<Entity>) {
        let layout_of = Arc::clone(&self.layouts.0[layout]);
        let idle = self.random(5) < 2;
        let motion = |field: &Field, random: i64| match field.metric.name() {
            // 0.1 % to 60 % of a core.
            "cpu/usage" => Motion::Grows(15_000_000 << (random % 10)),
            "cpu/usage_rate" => Motion::Wanders(0),
            "memory/page_faults" if !idle => Motion::Grows(20 << (random % 8)),
            "memory/major_page_faults" if random % 10 == 0 => Motion::Grows(2),
            "network/rx" | "network/tx" => Motion::Grows(2_000 << (random % 10)),
            "memory/usage" | "memory/working_set" | "memory/rss" if !idle => Motion::Wanders(60),
            "memory/cache" if random % 3 == 0 => Motion::Wanders(20),
            "disk/io_write_bytes" => Motion::Grows(1 << 20),
            "filesystem/usage" | "filesystem/available" if random % 10 == 0 => Motion::Wanders(4),
            _ => Motion::Constant,
        };
        let fields = layout_of.measured();
        let motions = fields.iter().map(|field| motion(field, self.random(1 << 20))).collect();
        let cells = (0..fields.len()).map(|_| self.random(1 << 18) << 12).collect();
        self.things.push(Thing { layout, entity, motions, cells, time_ms: EPOCH_MS - TICK_MS });
    }

    fn uid(&mut self) -> String {
        let mut number = |bits: u32| self.random(1 << bits);
        let (a, b, c) = (number(32), number(16), number(12));
        format!("{a:08x}-{b:04x}-4{c:03x}-a{:03x}-{:012x}", number(12), number(48))
    }

    /// A number below the bound.
    fn random(&mut self, bound: i64) -> i64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.unsigned_abs()).cast_signed()
    }

    /// The host's rows of a tick.
    pub(crate) fn batch(&mut self, tick_ms: i64) -> RowBatch {
        let mut things = std::mem::take(&mut self.things);
        let mut blocks = self.layouts.0.clone().map(Block::new);
        for thing in &mut things {
            let increases = self.advance(thing);
            let time_ms = tick_ms + 500 + self.random(100);
            let before_ms = std::mem::replace(&mut thing.time_ms, time_ms);
            let interval_ms = u32::try_from(time_ms - before_ms).unwrap_or_default();
            let head = RowHead { entity: Arc::clone(&thing.entity), time_ms, interval_ms };
            let cells: Vec<Cell> = thing.cells.iter().copied().map(Cell::int).collect();
            blocks[thing.layout].push(head, &cells, &increases);
        }
        self.things = things;
        RowBatch { cluster: "bench".into(), tick: Tick(tick_ms), blocks: blocks.into() }
    }

    /// Moves the cells; says what the counters grew by.
    fn advance(&mut self, thing: &mut Thing) -> Vec<Cell> {
        let layout = Arc::clone(&self.layouts.0[thing.layout]);
        let mut increases = Vec::with_capacity(layout.counters().len());
        for (index, cell) in thing.cells.iter_mut().enumerate() {
            let growth = match thing.motions[index] {
                Motion::Constant => 0,
                Motion::Grows(rate) => rate - rate / 5 + self.random(rate * 2 / 5 + 1),
                Motion::Wanders(0) => self.random(41) - 20,
                Motion::Wanders(pages) => 4096 * (self.random(2 * pages + 1) - pages),
            };
            *cell += growth;
            if layout.counters().contains(&index) {
                increases.push(Cell::int(growth));
            }
        }
        increases
    }
}

fn define(
    table: &mut EntityTable,
    parent: Option<&Arc<Entity>>,
    level: Level,
    name: &str,
    uid: &str,
    labels: &[(&str, &str)],
) -> Arc<Entity> {
    table.intern(Definition {
        parent: parent.cloned(),
        level,
        name: name.into(),
        uid: uid.into(),
        start_time_ms: EPOCH_MS - 86_400_000,
        labels: labels.iter().copied().collect::<Labels>(),
    })
}
