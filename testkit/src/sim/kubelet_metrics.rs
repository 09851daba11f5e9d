//! The kubelet's metrics as text: `/metrics/resource` and `/metrics/cadvisor`.

use super::{
    cadvisor_v2::{cgroup, image_of},
    json::{Out, go_decimal, text},
    view::{ContainerView, HostView, PodView, Sample},
    workload::{LIMIT_BYTES, LIMIT_MILLICORES, REQUEST_MILLICORES},
};

const NANO: usize = 9;
/// A process has one period of the CPU's quota in each tenth of a second...
const PERIOD_MS: u64 = 100;
/// ... of which it is throttled in one out of so many...
const THROTTLED_ONE_IN: u64 = 8;
/// ... for so long.
const THROTTLED_NS: u64 = 25_000_000;

/// The answer of `/metrics/resource`.
pub(super) fn resource(view: &HostView<'_>) -> Out {
    let rows = rows(view);
    let mut out = Out::with_capacity(rows.len() * 400 + 2048);
    let is = |kind| move |row: &&Row| row.kind == kind;
    let cpu = "Cumulative cpu time consumed by the";
    let memory = "Current working set of the";
    for (kind, name) in
        [(Kind::Container, "container"), (Kind::Machine, "node"), (Kind::Pod, "pod")]
    {
        let help = format!("[ALPHA] {cpu} {name} in core-seconds");
        let family = format!("{name}_cpu_usage_seconds_total");
        header(&mut out, &family, &help, "counter");
        for row in rows.iter().filter(is(kind)) {
            row.resource(&mut out, &family, row.sample.cpu_ns, NANO);
        }
        let help = format!("[ALPHA] {memory} {name} in bytes");
        let family = format!("{name}_memory_working_set_bytes");
        header(&mut out, &family, &help, "gauge");
        for row in rows.iter().filter(is(kind)) {
            row.resource(&mut out, &family, row.sample.working_set, 0);
        }
    }
    let help = "[ALPHA] 1 if there was an error while getting container metrics, 0 otherwise";
    header(&mut out, "scrape_error", help, "gauge");
    text(&mut out, "scrape_error 0\n");
    out
}

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Machine,
    Pod,
    Sandbox,
    Container,
}

/// One control group, its labels in pieces, for other labels come between them.
struct Row {
    kind: Kind,
    sample: Sample,
    started_ms: i64,
    /// `container="..."`.
    container: String,
    /// `,id="...",image="..."`.
    id_and_image: String,
    /// `,name="..."`.
    name: String,
    /// `,namespace="...",pod="..."`.
    pod: String,
}

fn rows(view: &HostView<'_>) -> Vec<Row> {
    let machine = view.machine();
    let mut rows = vec![Row::new(view, Kind::Machine, None, &machine)];
    for pod in view.pods() {
        rows.push(Row::new(view, Kind::Pod, Some(&pod), &view.pod_cgroup(&pod)));
        if view.config().sandboxes {
            rows.push(Row::new(view, Kind::Sandbox, Some(&pod), &view.sandbox(&pod)));
        }
        for container in view.containers(&pod) {
            rows.push(Row::new(view, Kind::Container, Some(&pod), &container));
        }
    }
    rows
}

impl Row {
    fn new(view: &HostView<'_>, kind: Kind, pod: Option<&PodView>, of: &ContainerView) -> Self {
        let container = if kind == Kind::Container { of.name.as_str() } else { "" };
        let image = match kind {
            Kind::Container | Kind::Sandbox => image_of(&of.name),
            _ => "",
        };
        let (namespace, pod_name) =
            pod.map_or(("", ""), |pod| (pod.identity.namespace, pod.identity.name.as_str()));
        Self {
            kind,
            sample: view.newest(of),
            started_ms: view.shown(of.life.started_ms),
            container: format!("container=\"{container}\""),
            id_and_image: format!(",id=\"{}\",image=\"{image}\"", id(view, pod, of)),
            name: format!(",name=\"{}\"", of.id),
            pod: format!(",namespace=\"{namespace}\",pod=\"{pod_name}\""),
        }
    }

    /// A line of `/metrics/resource`; a node has no labels there.
    fn resource(&self, out: &mut Out, family: &str, digits: u64, scale: usize) {
        text(out, family);
        if self.kind != Kind::Machine {
            text(out, "{");
            if self.kind == Kind::Container {
                text(out, &self.container);
                text(out, &self.pod);
            } else {
                text(out, &self.pod[1..]);
            }
            text(out, "}");
        }
        value(out, digits, scale, Some(self.sample.time_ms));
    }
}

fn id(view: &HostView<'_>, pod: Option<&PodView>, of: &ContainerView) -> String {
    let Some(pod) = pod else { return "/".into() };
    let mut name = Out::new();
    cgroup(&mut name, view, pod, of);
    let name = String::from_utf8_lossy(&name);
    // A pod's own group has no id below it.
    name.trim_end_matches('/').to_owned()
}

fn header(out: &mut Out, family: &str, help: &str, kind: &str) {
    for part in ["# HELP ", family, " ", help, "\n# TYPE ", family, " ", kind, "\n"] {
        text(out, part);
    }
}

fn value(out: &mut Out, digits: u64, scale: usize, time_ms: Option<i64>) {
    text(out, " ");
    go_decimal(out, digits, scale);
    if let Some(time_ms) = time_ms {
        text(out, " ");
        text(out, itoa::Buffer::new().format(time_ms));
    }
    text(out, "\n");
}

/// A label that stands among those that every row has.
#[derive(Clone, Copy)]
enum Extra {
    None,
    /// Between `container` and `id`.
    BeforeId(&'static str),
    /// Between `image` and `name`.
    BeforeName(&'static str),
    /// Behind `pod`.
    Last(&'static str),
    /// The two of `container_memory_failures_total`.
    Failure(&'static str, &'static str),
}

/// A family of `/metrics/cadvisor`.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    of: fn(Kind) -> bool,
    extras: &'static [Extra],
    /// The value's digits and its scale; the second argument counts the extra labels.
    value: fn(&Row, usize) -> (u64, usize),
    /// Specifications have no time.
    timed: bool,
}

/// The answer of `/metrics/cadvisor`.
pub(super) fn cadvisor(view: &HostView<'_>) -> Out {
    let rows = rows(view);
    let mut out = Out::with_capacity(rows.len() * 16_000 + 8192);
    header(
        &mut out,
        "cadvisor_version_info",
        "A metric with a constant '1' value labeled by kernel version, OS version, docker version, \
         cadvisor version & cadvisor revision.",
        "gauge",
    );
    text(&mut out, "cadvisor_version_info{cadvisorRevision=\"\",cadvisorVersion=\"\",");
    text(&mut out, "dockerVersion=\"Unknown\",kernelVersion=\"6.1.0\",osVersion=\"Debian\"} 1\n");
    for family in FAMILIES {
        header(&mut out, family.name, family.help, family.kind);
        for row in rows.iter().filter(|row| (family.of)(row.kind)) {
            for (index, extra) in family.extras.iter().enumerate() {
                line(&mut out, family, row, *extra);
                let (digits, scale) = (family.value)(row, index);
                let time_ms = family.timed.then_some(row.sample.time_ms);
                value(&mut out, digits, scale, time_ms);
            }
        }
    }
    machine(&mut out, view);
    out
}

fn line(out: &mut Out, family: &Family, row: &Row, extra: Extra) {
    text(out, family.name);
    text(out, "{");
    text(out, &row.container);
    match extra {
        Extra::BeforeId(label) | Extra::Failure(label, _) => text(out, label),
        _ => {}
    }
    text(out, &row.id_and_image);
    if let Extra::BeforeName(label) = extra {
        text(out, label);
    }
    text(out, &row.name);
    text(out, &row.pod);
    match extra {
        Extra::Last(label) | Extra::Failure(_, label) => text(out, label),
        _ => {}
    }
    text(out, "}");
}

fn machine(out: &mut Out, view: &HostView<'_>) {
    let id = view.machine_id();
    let labels = format!(
        "{{boot_id=\"{}\",machine_id=\"{id}\",system_uuid=\"{id}\"}}",
        super::machine::BOOT_ID
    );
    for (name, help, digits) in [
        ("machine_cpu_cores", "Number of logical CPU cores.", view.cores()),
        ("machine_cpu_physical_cores", "Number of physical CPU cores.", view.cores()),
        ("machine_cpu_sockets", "Number of CPU sockets.", 1),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", view.memory_bytes()),
    ] {
        header(out, name, help, "gauge");
        text(out, name);
        text(out, &labels);
        value(out, digits, 0, None);
    }
    for (name, end) in [("container", ""), ("machine", ".")] {
        let family = format!("{name}_scrape_error");
        let help =
            format!("1 if there was an error while getting {name} metrics, 0 otherwise{end}");
        header(out, &family, &help, "gauge");
        text(out, &family);
        text(out, " 0\n");
    }
}

fn all(_: Kind) -> bool {
    true
}

fn containers(kind: Kind) -> bool {
    kind == Kind::Container
}

fn processes(kind: Kind) -> bool {
    matches!(kind, Kind::Container | Kind::Sandbox)
}

fn networks(kind: Kind) -> bool {
    matches!(kind, Kind::Machine | Kind::Sandbox)
}

fn disks(kind: Kind) -> bool {
    matches!(kind, Kind::Machine | Kind::Container)
}

fn machines(kind: Kind) -> bool {
    kind == Kind::Machine
}

const PLAIN: &[Extra] = &[Extra::None];
const DEVICE: &[Extra] = &[Extra::BeforeId(",device=\"/dev/sda\"")];
const INTERFACE: &[Extra] = &[Extra::BeforeName(",interface=\"eth0\"")];
const FAILURES: &[Extra] = &[
    Extra::Failure(",failure_type=\"pgfault\"", ",scope=\"container\""),
    Extra::Failure(",failure_type=\"pgfault\"", ",scope=\"hierarchy\""),
    Extra::Failure(",failure_type=\"pgmajfault\"", ",scope=\"container\""),
    Extra::Failure(",failure_type=\"pgmajfault\"", ",scope=\"hierarchy\""),
];
const STATES: &[Extra] = &[
    Extra::Last(",state=\"iowaiting\""),
    Extra::Last(",state=\"running\""),
    Extra::Last(",state=\"sleeping\""),
    Extra::Last(",state=\"stopped\""),
    Extra::Last(",state=\"uninterruptible\""),
];

/// Writes the table below with less noise.
macro_rules! families {
    ($($name:literal $kind:ident $of:ident $extras:ident $timed:literal $help:literal $value:expr;)*) => {
        &[$(Family {
            name: $name,
            help: $help,
            kind: stringify!($kind),
            of: $of,
            extras: $extras,
            value: $value,
            timed: $timed,
        }),*]
    };
}

const CPU: &[Extra] = &[Extra::BeforeId(",cpu=\"total\"")];
const ULIMIT: &[Extra] = &[Extra::Last(",ulimit=\"max_open_files\"")];

/// By name, as they come.
const FAMILIES: &[Family] = families! {
    "container_cpu_cfs_periods_total" counter containers PLAIN true "Number of elapsed enforcement period intervals." |row, _| (row.periods(), 0);
    "container_cpu_cfs_throttled_periods_total" counter containers PLAIN true "Number of throttled period intervals." |row, _| (row.throttled(), 0);
    "container_cpu_cfs_throttled_seconds_total" counter containers PLAIN true "Total time duration the container has been throttled." |row, _| (row.throttled() * THROTTLED_NS, NANO);
    "container_cpu_load_average_10s" gauge all PLAIN true "Value of container cpu load average over the last 10 seconds." |_, _| (0, 0);
    "container_cpu_system_seconds_total" counter all PLAIN true "Cumulative system cpu time consumed in seconds." |row, _| (row.sample.cpu_ns / 10_000_000 * 3_000_000, NANO);
    "container_cpu_usage_seconds_total" counter all CPU true "Cumulative cpu time consumed in seconds." |row, _| (row.sample.cpu_ns, NANO);
    "container_cpu_user_seconds_total" counter all PLAIN true "Cumulative user cpu time consumed in seconds." |row, _| (row.sample.cpu_ns / 10_000_000 * 7_000_000, NANO);
    "container_file_descriptors" gauge all PLAIN true "Number of open file descriptors for the container." |_, _| (8, 0);
    "container_fs_inodes_free" gauge machines DEVICE true "Number of available Inodes" |_, _| (super::machine::INODES_FREE, 0);
    "container_fs_inodes_total" gauge machines DEVICE true "Number of Inodes" |_, _| (super::machine::INODES, 0);
    "container_fs_io_current" gauge machines DEVICE true "Number of I/Os currently in progress" |_, _| (0, 0);
    "container_fs_io_time_seconds_total" counter machines DEVICE true "Cumulative count of seconds spent doing I/Os" |_, _| (0, 0);
    "container_fs_io_time_weighted_seconds_total" counter machines DEVICE true "Cumulative weighted I/O time in seconds" |_, _| (0, 0);
    "container_fs_limit_bytes" gauge machines DEVICE true "Number of bytes that can be consumed by the container on this filesystem." |_, _| (super::machine::DISK_BYTES, 0);
    "container_fs_read_seconds_total" counter machines DEVICE true "Cumulative count of seconds spent reading" |_, _| (0, 0);
    "container_fs_reads_bytes_total" counter disks DEVICE true "Cumulative count of bytes read" |row, _| (row.sample.read, 0);
    "container_fs_reads_merged_total" counter machines DEVICE true "Cumulative count of reads merged" |_, _| (0, 0);
    "container_fs_reads_total" counter disks DEVICE true "Cumulative count of reads completed" |row, _| (row.sample.read / 4096, 0);
    "container_fs_sector_reads_total" counter machines DEVICE true "Cumulative count of sector reads completed" |row, _| (row.sample.read / 512, 0);
    "container_fs_sector_writes_total" counter machines DEVICE true "Cumulative count of sector writes completed" |row, _| (row.sample.written / 512, 0);
    "container_fs_usage_bytes" gauge disks DEVICE true "Number of bytes that are consumed by the container on this filesystem." |row, _| (row.sample.disk_used, 0);
    "container_fs_write_seconds_total" counter machines DEVICE true "Cumulative count of seconds spent writing" |_, _| (0, 0);
    "container_fs_writes_bytes_total" counter disks DEVICE true "Cumulative count of bytes written" |row, _| (row.sample.written, 0);
    "container_fs_writes_merged_total" counter machines DEVICE true "Cumulative count of writes merged" |_, _| (0, 0);
    "container_fs_writes_total" counter disks DEVICE true "Cumulative count of writes completed" |row, _| (row.sample.written / 4096, 0);
    "container_last_seen" gauge all PLAIN true "Last time a container was seen by the exporter" |row, _| (row.sample.time_ms.unsigned_abs() / 1000, 0);
    "container_memory_cache" gauge all PLAIN true "Number of bytes of page cache memory." |row, _| (row.sample.cache, 0);
    "container_memory_failcnt" counter all PLAIN true "Number of memory usage hits limits" |_, _| (0, 0);
    "container_memory_failures_total" counter all FAILURES true "Cumulative count of memory allocation failures." |row, extra| (if extra < 2 { row.sample.page_faults } else { row.sample.major_page_faults }, 0);
    "container_memory_mapped_file" gauge all PLAIN true "Size of memory mapped files in bytes." |_, _| (0, 0);
    "container_memory_max_usage_bytes" gauge all PLAIN true "Maximum memory usage recorded in bytes" |row, _| (row.sample.working_set + row.sample.cache + (1 << 20), 0);
    "container_memory_rss" gauge all PLAIN true "Size of RSS in bytes." |row, _| (row.sample.working_set / 2, 0);
    "container_memory_swap" gauge all PLAIN true "Container swap usage in bytes." |_, _| (0, 0);
    "container_memory_usage_bytes" gauge all PLAIN true "Current memory usage in bytes, including all memory regardless of when it was accessed" |row, _| (row.sample.working_set + row.sample.cache, 0);
    "container_memory_working_set_bytes" gauge all PLAIN true "Current working set in bytes." |row, _| (row.sample.working_set, 0);
    "container_network_receive_bytes_total" counter networks INTERFACE true "Cumulative count of bytes received" |row, _| (row.sample.received, 0);
    "container_network_receive_errors_total" counter networks INTERFACE true "Cumulative count of errors encountered while receiving" |_, _| (0, 0);
    "container_network_receive_packets_dropped_total" counter networks INTERFACE true "Cumulative count of packets dropped while receiving" |_, _| (0, 0);
    "container_network_receive_packets_total" counter networks INTERFACE true "Cumulative count of packets received" |row, _| (row.sample.received / 800, 0);
    "container_network_transmit_bytes_total" counter networks INTERFACE true "Cumulative count of bytes transmitted" |row, _| (row.sample.sent, 0);
    "container_network_transmit_errors_total" counter networks INTERFACE true "Cumulative count of errors encountered while transmitting" |_, _| (0, 0);
    "container_network_transmit_packets_dropped_total" counter networks INTERFACE true "Cumulative count of packets dropped while transmitting" |_, _| (0, 0);
    "container_network_transmit_packets_total" counter networks INTERFACE true "Cumulative count of packets transmitted" |row, _| (row.sample.sent / 800, 0);
    "container_processes" gauge all PLAIN true "Number of processes running inside the container." |_, _| (1, 0);
    "container_sockets" gauge all PLAIN true "Number of open sockets for the container." |_, _| (1, 0);
    "container_spec_cpu_period" gauge all PLAIN false "CPU period of the container." |_, _| (100_000, 0);
    "container_spec_cpu_quota" gauge containers PLAIN false "CPU quota of the container." |_, _| (LIMIT_MILLICORES * 100, 0);
    "container_spec_cpu_shares" gauge all PLAIN false "CPU share of the container." |row, _| (if row.kind == Kind::Container { REQUEST_MILLICORES * 1024 / 1000 } else { 1024 }, 0);
    "container_spec_memory_limit_bytes" gauge all PLAIN false "Memory limit for the container." |row, _| (row.memory_limit(), 0);
    "container_spec_memory_reservation_limit_bytes" gauge all PLAIN false "Memory reservation limit for the container." |_, _| (0, 0);
    "container_spec_memory_swap_limit_bytes" gauge all PLAIN false "Memory swap limit for the container." |row, _| (row.memory_limit(), 0);
    "container_start_time_seconds" gauge all PLAIN false "Start time of the container since unix epoch in seconds." |row, _| (row.started_ms.unsigned_abs() / 1000, 0);
    "container_tasks_state" gauge all STATES true "Number of tasks in given state" |_, _| (0, 0);
    "container_threads" gauge all PLAIN true "Number of threads running inside the container" |_, _| (2, 0);
    "container_threads_max" gauge all PLAIN true "Maximum number of threads allowed inside the container, infinity if value is zero" |_, _| (0, 0);
    "container_ulimits_soft" gauge processes ULIMIT true "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice" |_, _| (32_768, 0);
};

impl Row {
    fn periods(&self) -> u64 {
        self.sample.elapsed_ms / PERIOD_MS
    }

    fn throttled(&self) -> u64 {
        self.periods() / THROTTLED_ONE_IN
    }

    fn memory_limit(&self) -> u64 {
        if self.kind == Kind::Container { LIMIT_BYTES } else { 0 }
    }
}
