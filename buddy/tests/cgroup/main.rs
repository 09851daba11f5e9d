//! The source `cgroup` against the kernel of the machine that runs the tests: a process in a
//! control group of its own, a container that runc runs, and the machine as a whole, each compared with
//! what the kernel says elsewhere.
//!
//! What is not possible here (no permission, no runc) is said and passed over, except where `CI` is
//! `true`, which fails instead.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod burner;
mod container;
mod support;

use heapster_shared::schema::table;
use support::{Machine, counter, real};

/// Part of the truth that a measured value may be off by.
const TOLERANCE: f64 = 0.05;

/// A process that burns a share of a CPU in a control group of its own: its CPU rate is the one that
/// the kernel counts for the process, and its memory is what it allocated.
#[test]
fn a_process_in_its_own_group_is_measured_rightly() {
    let group = match support::OwnGroup::create("controllers", support::controllers()) {
        Ok(group) => group,
        Err(reason) => return support::cannot(&format!("no control group can be made: {reason}")),
    };
    let burner = burner::Burner::start(|pid| group.enter(pid));
    let machine = Machine::new("");

    let window = support::measure(&machine, &group.name, burner.pid());
    window.assert_cpu_within(TOLERANCE);
    let allocated = (burner::MEMORY_BYTES) as f64;
    let rss = counter(&window.last, table::MEMORY_RSS) as f64;
    support::assert_near("memory/rss against what was allocated", rss, allocated, TOLERANCE);
    let resident = support::anonymous_bytes(burner.pid()) as f64;
    support::assert_near("memory/rss against RssAnon", rss, resident, TOLERANCE);

    drop(burner);
    drop(group);
    assert!(machine.find(&window.name).is_none(), "a group that has gone leaves no row");
}

/// The same by the unified tree alone, whose `cpu.stat` counts on hybrid machines too.
#[test]
fn a_process_in_the_unified_tree_is_measured_rightly() {
    let Some(unified) = support::unified() else {
        return support::cannot("there is no unified tree");
    };
    let options = format!("?root={}", unified.display());
    let group = match support::OwnGroup::create("unified", vec![unified]) {
        Ok(group) => group,
        Err(reason) => return support::cannot(&format!("no control group can be made: {reason}")),
    };
    let burner = burner::Burner::start(|pid| group.enter(pid));
    let machine = Machine::new(&options);
    let described = machine.source.describe().unwrap();
    assert!(described.contains("cgroup v2"), "{described}");
    support::measure(&machine, &group.name, burner.pid()).assert_cpu_within(TOLERANCE);
}

/// A container of runc in the place that Docker gives its containers: recognised, and its CPU rate
/// and memory are right.
#[test]
fn a_real_container_is_recognised_and_measured_rightly() {
    let container = match container::Container::start() {
        Ok(container) => container,
        Err(reason) => return support::cannot(&format!("no container can be run: {reason}")),
    };
    let machine = Machine::new("?containers_only=true");
    let name = format!("docker-{}", &container.id[..12]);

    let window = support::measure(&machine, &name, container.pid);
    window.assert_cpu_within(TOLERANCE);
    let rss = counter(&window.last, table::MEMORY_RSS) as f64;
    let resident = support::anonymous_bytes(container.pid) as f64;
    support::assert_near("memory/rss against RssAnon", rss, resident, TOLERANCE);
    assert!(rss > container::MEMORY_BYTES as f64, "{rss}");
    let labels = support::labels(&window.last);
    assert_eq!(labels.get("container_runtime"), Some("docker"));
    assert_eq!(labels.get("container_id"), Some(container.id.as_str()));
    let age_ms = window.last.time_ms - window.last.start_time_ms;
    assert!((0..120_000).contains(&age_ms), "started just now, not {age_ms} ms ago");

    drop(container);
    assert!(machine.find(&name).is_none(), "a container that has gone leaves no row");
}

/// The machine as a whole: its CPU time lies between two looks at `/proc/stat` round the poll, and
/// its sizes are the kernel's.
#[test]
fn the_machine_as_a_whole_is_measured_rightly() {
    let machine = Machine::new("");
    let before = support::machine_cpu_ns();
    let node = machine.node();
    let after = support::machine_cpu_ns();
    let usage = counter(&node, table::CPU_USAGE);
    assert!((before..=after).contains(&usage), "{usage} is not within {before} and {after}");

    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap().matches("processor\t").count();
    if cores > 0 {
        assert_eq!(real(&node, table::CPU_NODE_CAPACITY), cores as f64 * 1000.0);
    }
    let capacity = real(&node, table::MEMORY_NODE_CAPACITY);
    let usage = counter(&node, table::MEMORY_USAGE) as f64;
    let working_set = counter(&node, table::MEMORY_WORKING_SET) as f64;
    assert!(0.0 < working_set && working_set <= usage && usage < capacity);
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime_s: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let measured_s = (node.time_ms - node.start_time_ms) as f64 / 1000.0;
    assert!((uptime_s - measured_s).abs() < 5.0, "{uptime_s} s up, not {measured_s}");
    let described = machine.source.describe().unwrap();
    assert!(described.contains("cgroup"), "{described}");
}
