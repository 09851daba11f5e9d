//! Whole polls of trees and a `proc` made of recorded files, with exact values.

use std::{fs, path::Path};

use heapster_shared::row::Cell;

use super::*;
use crate::source::{PlainReading, Subject};

const PROC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cgroup/proc");
const MEMORY_STAT_V1: &str = include_str!("../../../testdata/cgroup/memory.stat-v1");
const MEMORY_STAT_V2: &str = include_str!("../../../testdata/cgroup/memory.stat-v2");
const ID: &str = "335d55451c600f8a7e9a1f3d1c2b4a59687f6e5d4c3b2a190817263544536271";

/// A directory to build trees in, and a source that reads them.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, and the directories above it.
    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn source(&self, more: &str) -> Box<dyn Source> {
        let root = self.path().display();
        let text = format!("cgroup:?root={root}/cg&docker_root={root}/docker&name=node-a{more}");
        build(text.parse().unwrap()).unwrap()
    }

    fn with_proc(&self) -> Box<dyn Source> {
        self.source(&format!("&proc={PROC}"))
    }
}

fn poll(source: &dyn Source) -> Result<Vec<PlainReading>, PollError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(source.poll(&source.own_host().unwrap())).map(|readings| readings.to_plain())
}

fn name(reading: &PlainReading) -> &str {
    match &reading.subject {
        Subject::SysContainer { name, .. } => name,
        Subject::Node { .. } => "NODE",
        other => panic!("a cgroup is no {other:?}"),
    }
}

fn names(readings: &[PlainReading]) -> Vec<&str> {
    readings.iter().map(name).collect()
}

fn get<'a>(readings: &'a [PlainReading], wanted: &str) -> &'a PlainReading {
    readings.iter().find(|reading| name(reading) == wanted).unwrap()
}

fn labels(reading: &PlainReading) -> String {
    match &reading.subject {
        Subject::SysContainer { labels, .. } | Subject::Node { labels } => labels.joined(","),
        other => panic!("a cgroup is no {other:?}"),
    }
}

/// `metric value` and `metric[device] value`, without filesystems, which are the real ones.
fn values(reading: &PlainReading) -> Vec<String> {
    let show = |(field, cell): &(heapster_shared::schema::Field, Cell)| {
        let device =
            field.labels.as_ref().map(|labels| format!("[{}]", labels.get("resource_id").unwrap()));
        let value = cell.to_json(field.metric.value_type());
        format!("{}{} {value}", field.metric.name(), device.unwrap_or_default())
    };
    let shown = reading.values.iter().map(show);
    shown.filter(|text| !text.starts_with("filesystem/")).collect()
}

fn v1(bench: &Bench) {
    let docker = format!("docker/{ID}");
    bench
        .file(&format!("cg/cpu,cpuacct/{docker}/cpuacct.usage"), "819578850125\n")
        .file(&format!("cg/memory/{docker}/memory.usage_in_bytes"), "16101150720\n")
        .file(&format!("cg/memory/{docker}/memory.stat"), MEMORY_STAT_V1)
        .file(
            &format!("cg/blkio/{docker}/blkio.throttle.io_service_bytes_recursive"),
            "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 0\n254:0 Total 12288\nTotal 12288\n",
        )
        .file("cg/cpu,cpuacct/system.slice/ssh.service/cpuacct.usage", "5\n")
        .file("cg/memory/empty/tasks", "");
}

const V1_CONTAINER: [&str; 9] = [
    "cpu/usage 819578850125",
    "memory/usage 16101150720",
    "memory/working_set 2837127168",
    "memory/rss 3309536",
    "memory/cache 16088235944",
    "memory/page_faults 21272001",
    "memory/major_page_faults 2977",
    "disk/io_read_bytes[vda] 4096",
    "disk/io_write_bytes[vda] 8192",
];

#[test]
fn v1_trees_give_exact_values_and_leave_out_what_they_lack() {
    let bench = Bench::new();
    v1(&bench);
    let readings = poll(&*bench.with_proc()).unwrap();
    assert_eq!(names(&readings), ["NODE", "docker-335d55451c60", "system.slice/ssh.service"]);
    let container = get(&readings, "docker-335d55451c60");
    assert_eq!(values(container), V1_CONTAINER);
    assert_eq!(labels(container), format!("container_id:{ID},container_runtime:docker"));
    assert_eq!(values(get(&readings, "system.slice/ssh.service")), ["cpu/usage 5"]);
    assert!(container.start_time_ms > 0 && container.start_time_ms <= container.time_ms);
}

/// What did not change from poll to poll is the same `Arc`; a group that comes changes nobody else.
#[test]
fn the_unchanged_is_the_same() {
    let bench = Bench::new();
    v1(&bench);
    let source = bench.with_proc();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let poll = || runtime.block_on(source.poll(&source.own_host().unwrap())).unwrap();
    let first = poll();
    bench.file("cg/cpu,cpuacct/a.slice/cpuacct.usage", "1\n");
    let second = poll();
    assert_eq!((first.len(), second.len()), (3, 4));
    let third = poll();
    let again = second.iter().filter(|(reading, _)| {
        let name = |subject: &Subject| matches!(subject, Subject::SysContainer { name, .. } if name == "a.slice");
        !name(&reading.subject)
    });
    for ((one, _), (other, _)) in first.iter().zip(again) {
        assert!(
            Arc::ptr_eq(&one.subject, &other.subject) && Arc::ptr_eq(&one.layout, &other.layout)
        );
    }
    for ((one, _), (other, _)) in second.iter().zip(third.iter()) {
        assert!(
            Arc::ptr_eq(&one.subject, &other.subject) && Arc::ptr_eq(&one.layout, &other.layout)
        );
    }
}

#[test]
fn v2_trees_give_exact_values() {
    let bench = Bench::new();
    let pod = "kubepods.slice/kubepods-pod0f6b2c1e_8a3d_4c5b_9e7f_112233445566.slice";
    let container = format!("cg/{pod}/cri-containerd-{ID}.scope");
    bench
        .file("cg/cgroup.controllers", "cpu io memory\n")
        .file(
            &format!("{container}/cpu.stat"),
            "usage_usec 808138082\nuser_usec 592717864\nsystem_usec 215420217\nnice_usec 0\n",
        )
        .file(&format!("{container}/memory.current"), "50843648\n")
        .file(&format!("{container}/memory.stat"), MEMORY_STAT_V2)
        .file(
            &format!("{container}/io.stat"),
            "254:0 rbytes=41603072 wbytes=4096 rios=700 wios=1 dbytes=0 dios=0\n",
        );
    let readings = poll(&*bench.with_proc()).unwrap();
    assert_eq!(names(&readings), ["NODE", "containerd-335d55451c60"]);
    assert_eq!(
        values(&readings[1]),
        [
            "cpu/usage 808138082000",
            "memory/usage 50843648",
            "memory/working_set 21680128",
            "memory/rss 6209536",
            "memory/cache 41603072",
            "memory/page_faults 30274",
            "memory/major_page_faults 212",
            "disk/io_read_bytes[vda] 41603072",
            "disk/io_write_bytes[vda] 4096",
        ]
    );
    assert_eq!(
        labels(&readings[1]),
        format!(
            "container_id:{ID},container_runtime:containerd,pod_id:0f6b2c1e-8a3d-4c5b-9e7f-112233445566"
        )
    );
}

/// In a hybrid machine the v1 trees go first; a unit that only the unified tree has is measured
/// there.
#[test]
fn hybrid_trees_fill_each_others_gaps() {
    let bench = Bench::new();
    v1(&bench);
    bench
        .file("cg/unified/cgroup.controllers", "hugetlb\n")
        .file(&format!("cg/unified/docker/{ID}/cpu.stat"), "usage_usec 1\n")
        .file("cg/unified/system.slice/cron.service/cpu.stat", "usage_usec 7\n");
    let source = bench.with_proc();
    let readings = poll(&*source).unwrap();
    assert_eq!(values(get(&readings, "docker-335d55451c60")), V1_CONTAINER);
    assert_eq!(values(get(&readings, "system.slice/cron.service")), ["cpu/usage 7000"]);
    let found = source.describe().unwrap();
    assert_eq!(
        found,
        "node-a (cgroup hybrid, 6 cgroups: 1 docker, 2 systemd services, 1 systemd slice, 2 others)"
    );
}

#[test]
fn the_machine_is_read_from_proc() {
    let bench = Bench::new();
    let readings = poll(&*bench.with_proc()).unwrap();
    assert_eq!(names(&readings), ["NODE"], "a machine without cgroups is still a machine");
    let node = &readings[0];
    assert_eq!(node.start_time_ms, 1_795_348_281_000);
    assert!(labels(node).contains("hostname:"));
    // One tick is 10 ms.
    assert_eq!(
        values(node),
        [
            "cpu/usage 814810000000",
            "cpu/node_capacity 2000.0",
            "cpu/node_allocatable 2000.0",
            "memory/usage 17071153152",
            "memory/working_set 3783049216",
            "memory/rss 22286336",
            "memory/cache 16137842688",
            "memory/node_capacity 25276514304.0",
            "memory/node_allocatable 25276514304.0",
            "memory/page_faults 22020241",
            "memory/major_page_faults 3209",
            "network/rx 241543584",
            "network/tx 487041",
            "network/rx_errors 2",
            "network/tx_errors 3",
            "disk/io_read_bytes[vda] 6511907840",
            "disk/io_write_bytes[vda] 24008425472",
        ]
    );
    let filesystems: Vec<_> =
        node.values.iter().filter(|(field, _)| field.metric.name() == "filesystem/limit").collect();
    assert_eq!(filesystems.len(), 1);
    assert_eq!(filesystems[0].0.labels.as_ref().unwrap().get("resource_id"), Some("/dev/vda"));
}

/// Every metric that comes out is one that the schema lists at that level, each once.
#[test]
fn levels_are_those_of_the_schema() {
    use heapster_shared::{entity::Level, schema::Metric};
    let bench = Bench::new();
    v1(&bench);
    for reading in poll(&*bench.with_proc()).unwrap() {
        let level = match reading.subject {
            Subject::Node { .. } => Level::Node,
            _ => Level::SysContainer,
        };
        for (index, (field, _)) in reading.values.iter().enumerate() {
            let Metric::Known(def) = field.metric else { panic!("a metric of the table") };
            assert!(def.levels.contains(&level), "{} at {level}", def.name);
            assert!(
                reading.values[..index].iter().all(|(other, _)| other != field),
                "{}",
                def.name
            );
        }
    }
}

#[test]
fn nothing_to_read_at_all_is_an_error_that_says_what_to_do() {
    let bench = Bench::new();
    let none = bench.path().join("none");
    let more = format!("&proc={}", none.display());
    let error = poll(&*bench.source(&more)).unwrap_err().to_string();
    assert!(error.contains("none/stat") && error.contains("proc=PATH"), "{error}");
    // With cgroups the machine's row is there, and empty.
    v1(&bench);
    let readings = poll(&*bench.source(&more)).unwrap();
    assert_eq!((readings.len(), readings[0].values.len()), (3, 0));
}

/// A container goes by the name that Docker gave it, which stays its own when another of the same
/// name shows up, and is free again when it is gone.
#[test]
fn names_are_the_containers_own_and_unique() {
    let bench = Bench::new();
    let second = ID.replace('3', "4");
    for id in [ID, &second] {
        bench.file(&format!("cg/cpuacct/docker/{id}/cpuacct.usage"), "1\n").file(
            &format!("docker/containers/{id}/config.v2.json"),
            r#"{"Name":"/web","Config":{"Image":"nginx:1.27"}}"#,
        );
    }
    let source = bench.with_proc();
    let other = format!("docker/{second}");
    let readings = poll(&*source).unwrap();
    assert_eq!(names(&readings), ["NODE", "web", &other]);
    assert!(labels(&readings[1]).starts_with("container_base_image:nginx:1.27,container_id:335d"));

    fs::remove_dir_all(bench.path().join("cg/cpuacct/docker").join(ID)).unwrap();
    assert_eq!(names(&poll(&*source).unwrap()), ["NODE", &other], "a name never changes hands");
    fs::remove_dir_all(bench.path().join("cg/cpuacct/docker").join(&second)).unwrap();
    assert_eq!(names(&poll(&*source).unwrap()), ["NODE"]);
    bench.file(&format!("cg/cpuacct/docker/{ID}/cpuacct.usage"), "1\n");
    assert_eq!(names(&poll(&*source).unwrap()), ["NODE", "web"]);
}

#[test]
fn options_choose_what_is_shown() {
    let bench = Bench::new();
    v1(&bench);
    let only = bench.source(&format!("&proc={PROC}&containers_only=1"));
    assert_eq!(names(&poll(&*only).unwrap()), ["NODE", "docker-335d55451c60"]);
    let shallow = bench.source(&format!("&proc={PROC}&max_depth=1&interfaces=lo,%20ifb0"));
    let readings = poll(&*shallow).unwrap();
    assert_eq!(names(&readings), ["NODE"]);
    assert!(values(&readings[0]).contains(&"network/rx 3193".to_owned()));
}

/// The kernel gives a directory a new time when it was dropped from its caches; the group did not
/// start again. Another directory of the same path did.
#[test]
fn a_start_stays_for_as_long_as_the_group_is_the_same() {
    let bench = Bench::new();
    bench.file("cg/cpuacct/a/cpuacct.usage", "1\n").file("cg/cpuacct/b/cpuacct.usage", "1\n");
    let source = bench.with_proc();
    let start = |name: &str| get(&poll(&*source).unwrap(), name).start_time_ms;
    let first = start("a");
    let a = fs::File::open(bench.path().join("cg/cpuacct/a")).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    a.set_modified(later).unwrap();
    assert_eq!(start("a"), first);

    // What was `b`, another directory, is now `a`.
    fs::rename(bench.path().join("cg/cpuacct/a"), bench.path().join("cg/cpuacct/c")).unwrap();
    fs::rename(bench.path().join("cg/cpuacct/b"), bench.path().join("cg/cpuacct/a")).unwrap();
    let b = fs::File::open(bench.path().join("cg/cpuacct/a")).unwrap();
    b.set_modified(later).unwrap();
    assert!(start("a") >= first + 59_000);
}

#[test]
fn samples_are_built_and_bad_options_are_refused() {
    for sample in KIND.samples {
        let source = build(sample.parse().unwrap()).unwrap();
        assert_eq!(source.kind(), "cgroup");
        assert!(source.own_host().is_some());
    }
    let host = build("cgroup:?name=node-7".parse().unwrap()).unwrap().own_host().unwrap();
    assert_eq!((host.id.as_str(), host.name.as_str()), ("node-7", "node-7"));
    let refused = [
        ("cgroup:/host/cg", "cgroup:?root=/host/cg"),
        ("cgroup:?rot=/x", "unknown option `rot`, expected one of `root`"),
        ("cgroup:?root=sys/fs/cgroup", "no absolute path"),
        ("cgroup:?proc=", "proc= is no absolute path"),
        ("cgroup:?max_depth=0", "not within 1 and 256"),
        ("cgroup:?name=", "name is empty"),
        ("cgroup:?containers_only=maybe", "neither true nor false"),
    ];
    for (text, reason) in refused {
        let error = build(text.parse().unwrap()).map(drop).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    /// A kernel newer than this code, or a `proc` that is none, may write anything.
    #[test]
    fn no_content_of_a_file_is_a_panic(
        any_text in r"([a-z:0-9 .=_-]{0,12}[\n\\ ]){0,40}",
        numbers in r"(cpu|btime|Cached:|Buffers:|8 0 sda|8:0 Read|eth0:)( [0-9]{1,22}){0,17}\n",
    ) {
        let bench = Bench::new();
        for text in [any_text, numbers] {
            bench
                .file("cg/cgroup.controllers", "")
                .file("cg/a/cpu.stat", &text)
                .file("cg/a/memory.stat", &text)
                .file("cg/a/io.stat", &text);
            for name in ["stat", "meminfo", "vmstat", "diskstats", "1/net/dev", "self/mountinfo"] {
                bench.file(&format!("proc/{name}"), &text);
            }
            let _ = poll(&*bench.source(&format!("&proc={}/proc", bench.path().display())));
        }
    }

    /// A container may name the groups that it makes within its own as it likes.
    #[test]
    fn no_name_of_a_group_is_a_panic(
        path in r"(/?(kubepods|pod|docker-|[a-f0-9_-]{60,66}|\PC{0,9}|:|\.slice|\.scope)){0,8}",
    ) {
        let _ = recognise::recognise(&path);
    }
}
