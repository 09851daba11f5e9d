//! A real container: runc with a root that has busybox and nothing else, in the control group that
//! Docker would give it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{anonymous_bytes, eventually, remove_group};

/// Memory that its process allocates.
pub(crate) const MEMORY_BYTES: u64 = 32 << 20;

/// Holds 32 MiB in a variable, then works and rests in turns.
const LOAD: &str = "x=$(head -c 33554432 /dev/zero | tr '\\0' x); \
    while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; usleep 30000; done";

/// A running container, which is killed and removed when this is dropped.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) pid: u32,
    directory: tempfile::TempDir,
    /// Groups named `docker` that were not there before.
    parents: Vec<PathBuf>,
}

impl Container {
    /// Starts it, and waits until it has its memory; the error says why that cannot be done here.
    pub(crate) fn start() -> Result<Self, String> {
        let [first, second] = [uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()];
        let id = format!("{first}{second}");
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        bundle(directory.path(), &id)?;
        let mut container = Self { id, pid: 0, directory, parents: missing_parents() };
        container.run()?;
        let pid = container.pid;
        eventually("the container's allocation", || anonymous_bytes(pid) > MEMORY_BYTES);
        Ok(container)
    }

    fn run(&mut self) -> Result<(), String> {
        let directory = self.directory.path();
        let log = fs::File::create(directory.join("log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let status = runc(directory)
            .args(["run", "--detach", "--pid-file"])
            .arg(directory.join("pid"))
            .arg("--bundle")
            .arg(directory)
            .arg(&self.id)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .status()
            .map_err(|error| format!("runc cannot be started ({error}); install runc"))?;
        if !status.success() {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            return Err(format!("runc failed with {status}: {log}"));
        }
        let pid = fs::read_to_string(directory.join("pid")).map_err(|error| error.to_string())?;
        self.pid = pid.trim().parse().map_err(|_| format!("`{pid}` is no process id"))?;
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut delete = runc(self.directory.path());
        let _ = delete.args(["delete", "--force", &self.id]).stderr(Stdio::null()).status();
        for parent in &self.parents {
            if parent.is_dir() {
                remove_group(&parent.join(&self.id));
                // Docker may have made it its own meanwhile; then it is not empty.
                let _ = fs::remove_dir(parent);
            }
        }
    }
}

fn runc(directory: &Path) -> Command {
    let mut command = Command::new("runc");
    command.arg("--root").arg(directory.join("state"));
    command
}

/// Groups `/docker` that runc will make, in every tree.
fn missing_parents() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let trees = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let trees = trees.filter(|path| path.join("cgroup.procs").exists()).chain([root.to_owned()]);
    trees.map(|tree| tree.join("docker")).filter(|path| !path.exists()).collect()
}

fn bundle(directory: &Path, id: &str) -> Result<(), String> {
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.ok_or("there is no busybox; install busybox-static")?;
    let rootfs = directory.join("rootfs");
    let made = || -> std::io::Result<()> {
        for place in ["bin", "proc", "dev"] {
            fs::create_dir_all(rootfs.join(place))?;
        }
        fs::copy(busybox, rootfs.join("bin/busybox"))?;
        for applet in ["sh", "head", "tr", "usleep"] {
            symlink("busybox", rootfs.join("bin").join(applet))?;
        }
        fs::write(directory.join("config.json"), config(id).to_string())
    };
    made().map_err(|error| format!("the bundle cannot be written: {error}"))
}

fn config(id: &str) -> Value {
    let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/bin/sh", "-c", LOAD],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
        ],
        "linux": { "cgroupsPath": format!("/docker/{id}"), "namespaces": namespaces },
    })
}
