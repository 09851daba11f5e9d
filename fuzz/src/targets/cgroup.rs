//! The kernel's files, and those of Docker and podman: whole polls of a machine that is made of them.

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
};

use heapster_buddy::source::cgroup_door::MachineReader;

use super::{BETWEEN, Target, readings};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "cgroup-v1",
        run: |input| poll(&V1, input),
        recorded: &[],
        made: || recorded(&V1),
    },
    Target {
        name: "cgroup-v2",
        run: |input| poll(&V2, input),
        recorded: &[],
        made: || recorded(&V2),
    },
];

/// A machine: files by their paths, and what was recorded of each. The group's own are below `GROUP`,
/// whose name is the first part of an input.
struct Machine {
    groups: &'static [&'static str],
    files: &'static [(&'static str, &'static str)],
}

/// Stands for the name of the group.
const GROUP: &str = "GROUP";

macro_rules! testdata {
    ($file:literal) => {
        include_str!(concat!("../../../buddy/testdata/cgroup/", $file))
    };
}

const V1: Machine = Machine {
    groups: &["cgroup/cpu,cpuacct", "cgroup/memory", "cgroup/blkio"],
    files: &[
        ("cgroup/cpu,cpuacct/GROUP/cpuacct.usage", "819578850125\n"),
        ("cgroup/memory/GROUP/memory.usage_in_bytes", "4096\n"),
        ("cgroup/memory/GROUP/memory.stat", testdata!("memory.stat-v1")),
        (
            "cgroup/blkio/GROUP/blkio.throttle.io_service_bytes_recursive",
            "254:0 Read 4096\n254:0 Write 8192\n8:0 Read 1\nTotal 12289\n",
        ),
        ("proc/stat", testdata!("proc/stat")),
        ("proc/meminfo", testdata!("proc/meminfo")),
        ("proc/vmstat", testdata!("proc/vmstat")),
        ("proc/diskstats", testdata!("proc/diskstats")),
        ("proc/1/net/dev", testdata!("proc/1/net/dev")),
        ("proc/1/mountinfo", testdata!("proc/self/mountinfo")),
        ("docker/containers/ID/config.v2.json", r#"{"Name":"/web","Config":{"Image":"nginx:1"}}"#),
        ("podman/overlay-containers/containers.json", r#"[{"id":"ID","names":["db"]}]"#),
    ],
};

const V2: Machine = Machine {
    groups: &["cgroup"],
    files: &[
        ("cgroup/GROUP/cpu.stat", "usage_usec 808138082\nuser_usec 5\nsystem_usec 6\n"),
        ("cgroup/GROUP/memory.current", "4096\n"),
        ("cgroup/GROUP/memory.stat", testdata!("memory.stat-v2")),
        (
            "cgroup/GROUP/io.stat",
            "7:1 7:0 254:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n8:0 \n",
        ),
        ("proc/stat", testdata!("proc/stat")),
        ("proc/meminfo", testdata!("proc/meminfo")),
        ("proc/vmstat", testdata!("proc/vmstat")),
        ("proc/diskstats", testdata!("proc/diskstats")),
        ("proc/1/net/dev", testdata!("proc/1/net/dev")),
        ("proc/self/mountinfo", testdata!("mountinfo-hybrid")),
    ],
};

const ID: &str = "335d55451c600f8a7e9a1f3d1c2b4a59687f6e5d4c3b2a190817263544536271";

thread_local! {
    static DIRECTORY: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// A poll holds what holds for all readings, and so does the next one, of the same files: that reads
/// the same.
fn poll(machine: &Machine, input: &[u8]) {
    DIRECTORY.with_borrow_mut(|kept| {
        // The directories of another group are gone with the one before. Disks are slow at that.
        *kept = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).ok();
        let Some(directory) = kept else { return };
        if write(machine, directory.path(), input).is_err() {
            return;
        }
        let mut reader = MachineReader::new(directory.path());
        let first = reader.poll().inspect(readings::hold).ok();
        let again = reader.poll().inspect(readings::hold).ok();
        assert_eq!(first.map(|it| it.len()), again.map(|it| it.len()), "the second poll");
    });
}

fn write(machine: &Machine, directory: &Path, input: &[u8]) -> io::Result<()> {
    let mut parts = input.split(|byte| *byte == BETWEEN);
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let name = name.trim_matches('/').replace("..", "");
    let place =
        |path: &str| -> PathBuf { directory.join(path.replace(GROUP, &name).replace("ID", ID)) };
    for group in machine.groups {
        fs::create_dir_all(directory.join(group).join(&name))?;
        fs::write(directory.join(group).join("cgroup.controllers"), "cpu memory io\n")?;
    }
    for ((path, _), content) in machine.files.iter().zip(parts) {
        let path = place(path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, content)?;
    }
    Ok(())
}

/// The recorded files behind each other, of groups of several kinds.
fn recorded(machine: &Machine) -> Vec<Vec<u8>> {
    let files = machine.files.iter().map(|(_, content)| content.replace("ID", ID));
    let files: Vec<String> = files.collect();
    let pod = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f6b2c1e_8a3d_4c5b_9e7f_112233445566.slice";
    [
        format!("docker/{ID}"),
        format!("machine.slice/libpod-{ID}.scope"),
        format!("{pod}/cri-containerd-{ID}.scope"),
        "system.slice/ssh.service".to_owned(),
    ]
    .map(|name| {
        let parts: Vec<&[u8]> =
            std::iter::once(name.as_bytes()).chain(files.iter().map(|it| it.as_bytes())).collect();
        parts.join(&BETWEEN)
    })
    .into()
}
